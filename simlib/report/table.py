"""Numbers before text: a frame, and how people read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simlib.estimate.wording import interval_text, percent
from simlib.report.html import Html, table_html

Columns = Mapping[str, Callable[[Mapping[str, Any]], str | Html]]
"""What a table shows of a frame: heading -> the text of a cell, given the row (column name -> number)."""


_NOTHING = Html("")


@dataclass(frozen=True, repr=False, eq=False)
class Table:
    """A table of numbers, and its text.

    Attributes:
        frame: the numbers as they are; units are in the names of the columns (`_s`: seconds), rates are shares.
        columns: what is shown of them, and how.
        before, after: sentences around it.

    Examples:
        >>> waits = Table(pd.DataFrame({"strategy": ["a"], "wait_s": [0.25]}), {"wait": lambda row: f"{row['wait_s']} s"})
        >>> waits.frame["wait_s"].sum(), list(waits.shown["wait"])
        (np.float64(0.25), ['0.25 s'])
    """

    frame: pd.DataFrame
    columns: Columns
    before: Html = _NOTHING
    after: Html = _NOTHING

    @property
    def shown(self) -> pd.DataFrame:
        """The numbers as people read them: a column of texts for each heading."""
        rows: list[Any] = self.frame.to_dict("records")
        return pd.DataFrame({heading: [form(row) for row in rows] for heading, form in self.columns.items()}, dtype=object)

    def rows(self) -> list[dict[str, str]]:
        """What is shown, a dictionary a row, for a terminal."""
        return [{str(heading): str(cell) for heading, cell in row.items()} for row in self.shown.to_dict("records")]

    def __repr__(self) -> str:
        return f"<Table: {len(self.frame)} rows of {', '.join(map(str, self.frame.columns))}>"

    def _repr_html_(self) -> str:
        return f"{self.before.text}{table_html(self.shown)}{self.after.text}"


def whole(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A count, with commas."""
    return lambda row: f"{int(row[name]):,}"


def share(name: str, form: Callable[[float], str] = percent) -> Callable[[Mapping[str, Any]], str]:
    """A share, or what `form` makes of it, with its interval: from the columns NAME, NAME_low and NAME_high."""
    return lambda row: interval_text(row[name], row[f"{name}_low"], row[f"{name}_high"], form)
