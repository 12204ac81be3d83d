"""The atlas as one page: a section for each case. No script, no font, no request."""

from collections.abc import Sequence
from pathlib import Path

from simlib.common.files import replacing
from simlib.report.atlas import Entry, atlas_table
from simlib.report.html import bullets, marked, paragraphs, safe

_STYLE = Path(__file__).with_name("template") / "batch.css"
CHOSEN = "Rates and times are chosen, not measured: compare the cures of one case, and no two cases."


def write_page(entries: Sequence[Entry], page: Path) -> None:
    """Write the page."""
    with replacing(page) as temporary:
        temporary.write_text(atlas_page(entries), encoding="utf-8")


def atlas_page(entries: Sequence[Entry]) -> str:
    """The page."""
    sections = "\n".join(_section(entry) for entry in entries)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>simlib: atlas</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<h1>Atlas of races</h1>
<p>{len(entries):,} public races, each with the cures that compete there. {CHOSEN}</p>
{sections}
</main>
</body>
</html>
"""


def _section(entry: Entry) -> str:
    case = entry.case
    cures = [f"`{one.name}`: {one.title}" for one in entry.strategies]
    reports = "".join(f"<li>{_link(name, url)}</li>" for name, url in case.links.items())
    return (
        f"<h2>{safe(case.title)}</h2>{paragraphs(case.about, f'Workload: {entry.workload.about}.').text}"
        f"{atlas_table([entry])._repr_html_()}{bullets(cures).text}"
        f"<p>Reports:</p><ul>{reports}</ul>{bullets(case.assumptions).text}"
    )


def _link(name: str, url: str) -> str:
    """A link only where it is one to a page; else both as text."""
    return f'<a href="{safe(url)}">{safe(name)}</a>' if url.startswith("https://") else marked(f"{name}: {url}")
