"""Figures observed and predicted, one by one and all together: what a validation comes down to."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from simlib.estimate.wording import percent

GOAL_RMSE, GOAL_COVERAGE = 0.002, 0.9
"""What a prediction should reach: error of a clobber rate, and share of the figures inside their interval."""


@dataclass(frozen=True)
class Condition:
    """One figure, observed and predicted. Rates are shares; waits are seconds.

    Attributes:
        source, rule, figure: which recording, which strategy, and which figure of it.
        low, high: the 95 % prediction interval, the observation's own noise included.
        n: how many units of work, writes or transactions were observed.
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
        """The headline: clobber rates, one for each source and strategy; shares of losses in races, of failures under load."""
        return tuple(one for one in self.figures if one.figure == "clobber_rate" or one.figure.startswith(("lost.", "failed,")))

    def to_frame(self) -> pd.DataFrame:
        """A row per figure, as `conditions_frame`, and `headline`: whether it is one of `conditions`."""
        headline = set(map(id, self.conditions))
        return conditions_frame(self.figures).assign(headline=[id(figure) in headline for figure in self.figures])

    @property
    def rmse(self) -> float:
        """Root mean square error of the predicted rates, the observations' own sampling variance taken off.

        Units of work weigh alike: a recording counts by how many it has. NaN without any condition.
        """
        rows = self.conditions
        if not rows:
            return float("nan")
        errors = [(row.predicted - row.observed) ** 2 - row.variance for row in rows]
        return float(np.sqrt(max(0.0, np.average(errors, weights=[row.n for row in rows]))))

    @property
    def driven_rmse(self) -> float:
        """Root mean square error of the rates that the model gives for the very arrivals and times that were observed.

        Units of work weigh alike; nothing is taken off. NaN without any such condition.
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


def conditions_frame(figures: Sequence[Condition]) -> pd.DataFrame:
    """A row per figure: the attributes of `Condition` as columns, shares and seconds; NaN for what was not tried."""
    frame = pd.DataFrame([asdict(figure) for figure in figures], columns=[column.name for column in fields(Condition)])
    return frame.astype({"driven": float})


def validation_json(validation: Validation) -> dict[str, Any]:
    """The validation as JSON: `conditions` are clobber rates, `figures` all the others. What is not known is null."""
    frame = validation.to_frame()
    rows = [
        {name: None if value != value else value for name, value in row.items()}
        for row in frame.drop(columns=["variance", "headline"]).to_dict("records")
    ]
    summary = {name: getattr(validation, name) for name in ("rmse", "coverage", "driven_rmse")}
    return {
        "conditions": [row for row, headline in zip(rows, frame["headline"], strict=True) if headline],
        "figures": [row for row, headline in zip(rows, frame["headline"], strict=True) if not headline],
        **{name: value if np.isfinite(value) else None for name, value in summary.items()},
    }


@dataclass(frozen=True)
class Score:
    """How good some predictions are; rates as shares.

    Attributes:
        raw, noise, error: root mean square error, what sampling alone makes of it, and what is left.
        hidden: the error that could hide in the noise.
        inside, figures: of all figures, how many are inside their interval.
    """

    raw: float
    noise: float
    error: float
    hidden: float
    inside: int
    figures: int

    @classmethod
    def of(cls, figures: Sequence[Condition], timelines: int) -> "Score":
        """The score of figures that come from so many independent timelines."""
        validation = Validation(tuple(figures))
        rows = validation.conditions
        inside = sum(figure.inside for figure in figures)
        if not rows:
            nan = float("nan")
            return cls(nan, nan, nan, nan, inside, len(figures))
        weights = [row.n for row in rows]
        raw = float(np.average([(row.predicted - row.observed) ** 2 for row in rows], weights=weights))
        noise = float(np.average([row.variance for row in rows], weights=weights))
        # A mean of squares of k normal errors has the variance 2 noise² / k.
        hidden = max(0.0, raw - noise) + 1.645 * noise * np.sqrt(2 / timelines)
        return cls(np.sqrt(raw), np.sqrt(noise), validation.rmse, float(np.sqrt(hidden)), inside, len(figures))

    def _share_inside(self) -> str:
        return percent(self.inside / self.figures if self.figures else math.nan)

    def sentence(self, what: str) -> str:
        """What it shows and does not."""
        covered = f"{self._share_inside()} of {self.figures} figures are inside their 95 % interval"
        if math.isnan(self.error):
            return f"**{what.capitalize()}**: no unit of work, so there is no clobber rate to compare; {covered}."
        enough = "" if self.inside >= GOAL_COVERAGE * self.figures else f", fewer than the {percent(GOAL_COVERAGE)} aimed at"
        text = f"**{what.capitalize()}**: the predicted rates are off by {pp(self.error)} once sampling noise is taken off; "
        text += f"{covered}{enough}."
        if self.error > GOAL_RMSE:
            return f"{text} That is more than the {pp(GOAL_RMSE)} aimed at."
        if self.hidden > GOAL_RMSE:
            hidden = f"an error of up to {pp(self.hidden)} could hide in it"
            return (
                f"{text} This says that no error stands out of a noise of {pp(self.noise)}, not that there is none: {hidden}."
            )
        return f"{text} With a noise of {pp(self.noise)}, an error above {pp(self.hidden)} would have shown."


def pp(share: float) -> str:
    """An error in percentage points, two digits after the point."""
    return "n/a" if math.isnan(share) else f"{100 * share:.2f} pp"
