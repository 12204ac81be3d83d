"""The list of all reports in a folder: one page, no request, the filter in its address; it reads without script too."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from simlib.common.files import replacing
from simlib.common.text import counted
from simlib.estimate.wording import listed, seconds
from simlib.report.batch_file import INDEX
from simlib.report.batch_folder import Point, Record, changed, read_history, read_records
from simlib.report.finding import Share
from simlib.report.html import marked, safe
from simlib.report.index_pictures import rates_picture, trend_picture, words

_TEMPLATE = Path(__file__).with_name("template")


def write_index(folder: Path, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write the list, made of what the folder knows of its reports; returns the page."""
    page = folder / f"{INDEX}.html"
    there = {path.name for path in folder.iterdir()}
    text = index_page(list(read_records(folder, say).values()), read_history(folder), there)
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return page


def index_page(records: Sequence[Record], history: dict[str, list[Point]], there: set[str]) -> str:
    """The page.

    Args:
        records: a row each.
        history: member -> the times that it was done, the oldest first.
        there: names of the files in the folder; what is not there is not linked.
    """
    style, script = ((_TEMPLATE / name).read_text(encoding="utf-8") for name in ("batch.css", "batch.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    heads = "".join(f'<th scope="col"{_named(name, kind)}>{text}</th>' for text, name, kind in _COLUMNS)
    rows = "\n".join(_row(record, history.get(record.member, []), there) for record in records)
    failed = sum(record.state == "failed" for record in records)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>simlib: reports</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>Reports</h1>
<p>{counted(len(records), "report")}, {failed:,} failed. {_LEGEND}</p>
<div id="tools" hidden><label>Filter <input id="filter" type="search"></label><span id="count" role="status"></span></div>
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
<script>{script}</script>
</body>
</html>
"""


_COLUMNS = (
    ("Report", "report", "text"),
    ("State", "state", "text"),
    ("Verdict", "", ""),
    ("Clobber rates", "rate", "number"),
    ("Over time", "moved", "number"),
    ("Parameters", "parameters", "text"),
    ("Date", "date", "text"),
    ("Duration", "duration", "number"),
)
"""Heading, its name in the address, and how it is sorted; without a name it is not."""
_LEGEND = (
    "Rates are shares with 95 % intervals, on a logarithmic scale; a hollow mark is an upper bound, as nothing was seen. "
    "Fails: the share of units of work that end in an error. "
    "Over time: the first of them; a dotted line says that its inputs changed, a coloured mark that it moved: its interval has "
    "nothing in common with that of the run before."
)


def _named(name: str, kind: str) -> str:
    return f' data-name="{name}" data-kind="{kind}"' if name else ""


def _row(record: Record, points: Sequence[Point], there: set[str]) -> str:
    first = next(iter(record.rates.items()), None)
    cells = [
        ("name", record.member, _links(record, there)),
        ("short", record.state, f'<span class="{record.state}">{record.state}</span>'),
        ("verdict", "", marked(record.verdict) if record.state == "done" else f"<code>{safe(record.reason)}</code>"),
        ("rates", str(first[1].estimate) if first else "", _rates(first, record)),
        ("trend", *_trend(points, first[0] if first else "")),
        ("parameters", "", safe(", ".join(f"{name}={_plain(value)}" for name, value in record.parameters.items()))),
        ("short", record.date, safe(record.date[:16].replace("T", " "))),
        ("short", str(record.seconds), safe(seconds(record.seconds))),
    ]
    return "<tr>" + "".join(_cell(*cell) for cell in cells) + "</tr>"


def _cell(kind: str, key: str, html: str) -> str:
    return f'<td class="{kind}"{f" data-key={chr(34)}{safe(key)}{chr(34)}" if key else ""}>{html}</td>'


def _links(record: Record, there: set[str]) -> str:
    """To what is there; the names of the files are ours, whatever the member is called."""
    page, partly = f"{record.stem}.html", f"{record.stem}.failed.ipynb"
    name = f'<a href="{page}">{safe(record.member)}</a>' if page in there else safe(record.member)
    more = f'<small><a href="{partly}">the partly run notebook</a></small>' if partly in there else ""
    return f"{name}<small>{safe(record.batch)}: {safe(record.notebook)}</small>{more}"


def _rates(first: tuple[str, Share] | None, record: Record) -> str:
    failed = "".join(f"<small>{safe(name)} fails {safe(words(share))}</small>" for name, share in record.failed_units.items())
    rate = f"{rates_picture(record.rates)}<small>{safe(first[0])}: {safe(words(first[1]))}</small>" if first else ""
    return rate + failed


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _trend(points: Sequence[Point], strategy: str) -> tuple[str, str]:
    """How often the rate moved, for sorting; the picture, and the newest change in words."""
    points = [point for point in points if strategy in point.rates]
    shares = [point.rates[strategy] for point in points]
    changes = [[], *(changed(before.inputs, now.inputs) for before, now in pairwise(points))]
    moved = [number for number in range(1, len(shares)) if shares[number].apart(shares[number - 1])]
    newest = moved[-1] if moved else next((number for number in reversed(range(len(points))) if changes[number]), None)
    if len(points) < 2:
        return "", ""
    text = ""
    if newest is not None:
        why = f"{listed(changes[newest])} changed" if changes[newest] else "the same inputs"
        how = f": {words(shares[newest - 1])}, then {words(shares[newest])}" if moved else ""
        text = f"<small{' class=moved' * bool(moved)}>{safe(f'{points[newest].date[:10]}: {why}{how}')}</small>"
    return str(len(moved)), trend_picture(shares, [bool(change) for change in changes]) + text
