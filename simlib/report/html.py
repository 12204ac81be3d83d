"""Pieces of HTML: what a notebook shows and a report keeps.

Everything that comes from a workload, a case or a recording is made visible and escaped here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from simlib.common.text import visible
from simlib.estimate.wording import listed
from simlib.report.finding import Finding

_LINE_ENDS = re.compile(r"\s*\n\s*")
_NUMBER = re.compile(r"[+−]?[\d.,]+( (%|pp|ms|s|min|h))?")


@dataclass(frozen=True, repr=False)
class Html:
    """A piece of a page, already escaped; notebooks display it.

    Attributes:
        finding: what the page says, for who lists many.
    """

    text: str
    finding: Finding | None = None

    def _repr_html_(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {} if self.finding is None else self.finding.bundle()

    def __repr__(self) -> str:
        return f"<Html: {len(self.text):,} characters>"


def safe(text: object) -> str:
    """Any text as HTML: on one line, its signs made visible, escaped."""
    return escape(visible(str(text)))


def table_html(table: pd.DataFrame, caption: str = "") -> str:
    """The table with every cell and header escaped; its index is not shown, and its first column names the rows.

    Each cell says of which column it is, so that a sheet can show a row as a card where there is no room for a table.
    """
    names = [safe(name) for name in table.columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(f"<tr>{_cells(row, names)}</tr>" for row in table.itertuples(index=False))
    title = f"<caption>{marked(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cells(row: Sequence[object], columns: Sequence[str]) -> str:
    texts = [value.text if isinstance(value, Html) else safe(value) for value in row]
    others = (_cell(value, text, column) for value, text, column in list(zip(row, texts, columns, strict=True))[1:])
    return f'<th scope="row">{texts[0]}</th>{"".join(others)}'


def _cell(value: object, text: str, column: str) -> str:
    number = ' class="number"' if not isinstance(value, Html) and _NUMBER.fullmatch(str(value)) else ""
    return f'<td{number} data-label="{column}">{text}</td>'


def two_lines(text: str) -> Html:
    """`estimate (interval)` with the interval on a second line."""
    first, bracket, rest = text.partition(" (")
    return Html(safe(first) + (f"<br><small>{safe(rest.removesuffix(')'))}</small>" if bracket else ""))


def paragraphs(*texts: str) -> Html:
    """Plain sentences as paragraphs; `code` in backticks is set as code."""
    return Html("".join(f"<p>{marked(text)}</p>" for text in texts if text))


def coded(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    return listed([f"`{name}`" for name in names])


def bullets(texts: Sequence[str]) -> Html:
    """Plain sentences as a list."""
    return Html("<ul>" + "".join(f"<li>{marked(text)}</li>" for text in texts) + "</ul>")


def marked(text: str) -> str:
    """Prose, escaped, with `code` in backticks and **strong** words set as such; line ends are blanks."""
    return _between(_between(safe(_LINE_ENDS.sub(" ", text.strip())), "`", "code"), "**", "strong")


def _between(text: str, mark: str, tag: str) -> str:
    parts = text.split(mark)
    if len(parts) % 2 == 0:  # an unpaired mark stays as it is
        return text
    return "".join(f"<{tag}>{part}</{tag}>" if number % 2 else part for number, part in enumerate(parts))
