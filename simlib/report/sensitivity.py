"""The sensitivity study: a finished sweep's results, and the sections of the report that say what they depend on."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from simlib.common.text import counted
from simlib.estimate.wording import listed
from simlib.report import sensitivity_charts as charts
from simlib.report import sensitivity_words as words
from simlib.report.figure import Figure
from simlib.report.finding import Finding
from simlib.report.html import Html, bullets, marked, paragraphs
from simlib.report.table import Columns, Table, whole
from simlib.sweep.folder import Folder
from simlib.sweep.pairs import baseline_of, order, pair_frame, pair_table, thresholds
from simlib.sweep.sensitivity import (
    MOST_VALUES,
    PARTS,
    axes_of,
    by_importance,
    is_number,
    load_complete,
    rank_measures,
    sobol_measures,
)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What the sensitivity report is made of; each method below is one section.

    Attributes:
        frame: a row per cell and strategy, as `load_complete` gives it.
        pairs: a row per cell and pair of strategies, as `pair_frame` gives it.
        asked: of the sweep file, `sweep`, `about`, `axes` and `design`.
    """

    frame: pd.DataFrame
    pairs: pd.DataFrame
    asked: Mapping[str, Any]

    @property
    def axes(self) -> list[str]:
        """In the sweep's order."""
        return axes_of(self.frame)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Sobol' indices if the design allows them, else measures by rank."""
        found = sobol_measures(self.frame, self.asked)
        return rank_measures(self.frame) if found is None else found

    @cached_property
    def ranking(self) -> list[str]:
        """The axes, the one that matters most first."""
        return by_importance(self.measures)

    def heading(self) -> Html:
        """What was varied, and over what."""
        name, about = self.asked.get("sweep", "a sweep"), self.asked.get("about", "")
        cells, left_out = self.frame["cell"].nunique(), self.frame.attrs.get("left_out", 0)
        ranges = [f"`{axis}`: {_range(self.frame[axis])}" for axis in self.axes]
        without = f" ({left_out:,} more failed or have no rate, and are left out)" if left_out else ""
        text = f"{counted(cells, 'cell')}{without}; each is the workload with other values of "
        text += f"{'these keys' if len(ranges) > 1 else 'this key'}:"
        title = f"<h1>What the rates depend on: {marked(f'`{name}`')}</h1>"
        return Html(title + paragraphs(f"The sweep `{name}`{f': {about}' if about else ''}.", text).text + bullets(ranges).text)

    def verdict(self) -> Html:
        """What moves, what stays, and where a conclusion changes."""
        found = order(self.frame, self.pairs)
        lead = [words.order_holds(found, self.frame, self.axes), words.moves(self.frame, self.ranking[0], self._shown)]
        changes = [words.changes(one) for one in thresholds(self.pairs, self.axes)]
        rest = bullets([*changes, *words.not_told_apart(self.pairs, self.axes)])
        return Html(f'<div class="verdict">{paragraphs(*lead).text}{rest.text}</div>', Finding(verdict=" ".join(lead)))

    @property
    def _shown(self) -> str:
        """The strategy that sentences tell of: the baseline, or one that clobbers if that does not."""
        clobber = self.frame.loc[self.frame["best_rate"] > 0, "strategy"].unique()
        baseline = baseline_of(self.frame)
        return baseline if baseline in clobber or not len(clobber) else str(clobber[0])

    def against(self) -> Figure:
        """Rate against each axis."""
        finding = words.moves(self.frame, self.ranking[0], self._shown).replace("`", "")
        return charts.against_axes(self.frame, self.axes, finding)

    def heat(self) -> Figure | Html:
        """Rate over the two axes that matter most."""
        if len(self.axes) < 2:
            return paragraphs("The sweep has one axis.")
        across, up = sorted(self.ranking[:2], key=self.axes.index)
        cells = self.frame[self.frame["strategy"] == self._shown]
        worst, best = (cells.loc[cells["best_rate"].agg(which)] for which in ("idxmax", "idxmin"))
        finding = f"{self._shown} clobbers most at {_place(worst, (across, up))} and least at {_place(best, (across, up))}."
        return charts.heat_maps(self.frame, across, up, finding)

    def importance(self) -> Figure:
        """Which axes matter."""
        return charts.importance(self.measures, words.matters(self.measures, self.ranking))

    def comparisons(self) -> Table | Html:
        """Every two strategies: in how many cells which of them clobbers more."""
        if self.pairs.empty:
            return paragraphs("The sweep has one strategy.")
        columns: Columns = {
            "one": itemgetter("first"),
            "other": itemgetter("second"),
            "cells where the one clobbers more": whole("more"),
            "fewer": whole("fewer"),
            "not told apart": whole("alike"),
        }
        return Table(pair_table(self.pairs), columns, after=paragraphs(words.by_chance(self.pairs)))

    def method(self) -> Html:
        """How it was computed."""
        replicates = self.frame["replicates"]
        capped = self.frame.loc[self.frame["state"] == "capped", "cell"].nunique()
        sobol = "alone" in self.measures
        cut = [axis for axis in self.axes if is_number(self.frame[axis]) and self.frame[axis].nunique() > MOST_VALUES]
        return bullets(
            [
                f"{replicates.min():,} to {counted(int(replicates.max()), 'replicate')} a cell; {counted(capped, 'cell')} with "
                "as many as allowed and less precise than asked for. The cells share their random streams.",
                "A rate against an axis is the average over the cells with that value, whatever their other settings. The ends "
                "of its band are the averages of the cells' 95 % intervals: as wide as if all of them erred together. Where no "
                "cell shows a clobber, the mark is open and stands at the average of the upper bounds.",
                *([f"{listed(cut)}: cut into {PARTS} parts of equally many cells, shown at their medians."] if cut else []),
                "Sobol' indices are of the rate as it is, by scipy.stats.sobol_indices: a dot is what an axis explains of its "
                "variance, together with others; an open one, what it does alone. Intervals: bootstrap over the base points."
                if sobol
                else "Axes of numbers are ranked by Spearman's correlation, axes of names by the ranks' correlation ratio."
                " Intervals: bootstrap over the cells. Sobol' indices need a sweep with the design `saltelli`, all cells done.",
                "Differences are paired by replicate. A threshold is told where nine cells of ten on each side agree.",
                f"simlib {version('simlib')}, Python {platform.python_version()}, numpy {version('numpy')}, "
                f"scipy {version('scipy')}.",
            ]
        )


def study(folder: str, *, without_failed: bool = False) -> Sensitivity:
    """Load what the report shows.

    Args:
        folder: of the sweep.
        without_failed: leave out cells that failed or have no rate.

    Raises:
        InputError: there are no results, or they cannot be read.
        RunError: a cell failed or has no rate, and it was not said to leave it out.
    """
    place = Folder(Path(folder))
    frame = load_complete(place.path, without_failed)
    asked = (place.read_plan() or {}).get("sweep", {})
    return Sensitivity(frame, pair_frame(place, frame, axes_of(frame)), asked)


def _range(values: "pd.Series[Any]") -> str:
    distinct = values.drop_duplicates()
    if not is_number(values):
        return listed([str(value) for value in distinct])
    low, high = (charts.quantity(float(value)) for value in (values.min(), values.max()))
    return f"{low} to {high}, {counted(len(distinct), 'value')}"


def _place(row: "pd.Series[Any]", axes: Sequence[str]) -> str:
    return listed([f"{axis}={charts.quantity(row[axis])}" for axis in axes])
