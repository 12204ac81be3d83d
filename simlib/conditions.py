"""Figures observed and predicted, one by one and all together: what a validation comes down to."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Condition:
    """One figure, observed and predicted. Rates are shares; waits are seconds.

    Attributes:
        source, rule, figure: which recording, which strategy, and which figure of it.
        low, high: the 95 % prediction interval, the observation's own noise included.
        n: how many turns, writes or transactions were observed.
        variance: the observation's own sampling variance.
        driven: what the model says when it is given the very arrivals and times that were observed (None: not tried); how the
            lock works is inferred from the rest of the source.
    """

    source: str
    rule: str
    figure: str
    observed: float
    predicted: float
    low: float
    high: float
    inside: bool
    n: int
    variance: float
    driven: float | None = None


@dataclass(frozen=True)
class Validation:
    """All figures of some recordings."""

    figures: tuple[Condition, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The headline: clobber rates, one for each source and strategy, and in gateway races the share of losses."""
        return tuple(figure for figure in self.figures if figure.figure == "clobber_rate" or figure.figure.startswith("lost."))

    @property
    def rmse(self) -> float:
        """Root mean square error of the predicted rates, the observations' own sampling variance taken off.

        Turns weigh alike: a recording counts by how many it has. NaN without any condition.
        """
        rows = self.conditions
        if not rows:
            return float("nan")
        errors = [(row.predicted - row.observed) ** 2 - row.variance for row in rows]
        return float(np.sqrt(max(0.0, np.average(errors, weights=[row.n for row in rows]))))

    @property
    def driven_rmse(self) -> float:
        """Root mean square error of the rates that the model gives for the very arrivals and times that were observed.

        Turns weigh alike; nothing is taken off. NaN without any such condition.
        """
        rows = [(row.driven - row.observed, row.n) for row in self.conditions if row.driven is not None]
        if not rows:
            return float("nan")
        errors, weights = np.array(rows).T
        return float(np.sqrt(np.average(errors**2, weights=weights)))

    @property
    def coverage(self) -> float:
        """Share of all figures that are inside their prediction interval; NaN without any figure."""
        if not self.figures:
            return float("nan")
        return float(np.mean([figure.inside for figure in self.figures]))


def validation_json(validation: Validation) -> dict[str, Any]:
    """The validation as JSON: `conditions` are clobber rates, `figures` all the others. What is not known is null."""

    def row(condition: Condition) -> dict[str, Any]:
        return {name: value for name, value in asdict(condition).items() if name != "variance"}

    headline = set(map(id, validation.conditions))
    summary = {name: getattr(validation, name) for name in ("rmse", "coverage", "driven_rmse")}
    return {
        "conditions": [row(condition) for condition in validation.conditions],
        "figures": [row(figure) for figure in validation.figures if id(figure) not in headline],
        **{name: value if np.isfinite(value) else None for name, value in summary.items()},
    }
