"""What goes into a run, and where each number is from: measured, or chosen, in the words of the workload file."""

from typing import Any

import yaml

from simlib.report.html import Html, safe
from simlib.workload.workload import DESCRIPTIVE, Workload

NOT_SAID = "not said"
LONGEST = 400
"""Characters of a value that are shown; the whole workload stands at the end of the page."""


def inputs_table(workload: Workload) -> Html:
    """A row for each key of the workload that has a source, and for each that has none and is covered by no other."""
    data = workload.model_dump(mode="json", exclude_defaults=True)
    keys = [*workload.sources, *(key for key in data if key not in DESCRIPTIVE and key not in workload.sources)]
    rows = "".join(
        _row(key, _value(workload.model_dump(mode="json"), data, key), workload.sources.get(key, "")) for key in keys
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("input", "value", "from"))
    return Html(
        '<div class="scroll inputs"><table><caption>Where the numbers are from</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(key: str, value: str, source: str) -> str:
    kind, _, reason = source.partition(": ")
    badge = f'<span class="badge {kind}">{kind}</span> {safe(reason)}' if source else f'<span class="badge">{NOT_SAID}</span>'
    return (
        f'<tr><th scope="row"><code>{safe(key)}</code></th><td data-label="value"><code>{safe(value)}</code></td>'
        f'<td data-label="from">{badge}</td></tr>'
    )


def _value(everything: dict[str, Any], given: dict[str, Any], key: str) -> str:
    """The value as YAML in one line; of what the file leaves to the defaults, those."""
    found: Any = given
    for data in (given, everything):
        found = data
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            break
    text = " ".join(yaml.safe_dump(found, default_flow_style=True, sort_keys=False, width=10_000).split()).removesuffix(" ...")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
