"""Pictures of a validation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simlib.predict import Condition


def predicted_against_observed(conditions: Sequence[Condition], title: str = "Predicted against observed") -> Figure:
    """Observed rates (across) against predicted ones with their 95 % intervals (up), in per cent; the diagonal is agreement."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    for inside, colour, label in ((True, "#0072b2", "inside the interval"), (False, "#d55e00", "outside")):
        rows = [row for row in conditions if row.inside == inside]
        if rows:
            observed, predicted, low, high = (
                100 * np.array([[row.observed, row.predicted, row.low, row.high] for row in rows]).T
            )
            axes.errorbar(
                observed, predicted, [predicted - low, high - predicted], fmt="o", ms=4, lw=1, color=colour, label=label
            )
    top = 100 * max([row.high for row in conditions] + [row.observed for row in conditions], default=0.01) * 1.05
    axes.plot([0, top], [0, top], color="0.6", lw=1, zorder=0)
    axes.set(xlabel="observed, %", ylabel="predicted, %", xlim=(0, top), ylim=(0, top), title=title)
    if conditions:
        axes.legend(frameon=False)
    return figure
