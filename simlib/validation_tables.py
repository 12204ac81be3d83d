"""The tables of the validation report: how good predictions are, and lines of numbers as people read them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simlib.assumptions import Answer
from simlib.conditions import Condition, Validation
from simlib.page import milliseconds, percent
from simlib.races import Edge, Windows

GOAL_RMSE, GOAL_COVERAGE = 0.002, 0.9
"""What a prediction should reach: error of a clobber rate, and share of the figures inside their interval."""
SMALL_PRINT = (
    "Error: root mean square of predicted less observed rates, weighted by turns; noise: what the observations' own sampling "
    "variance alone would make of it; error, noise off: what is left; could hide: what the remaining error may be at most "
    "without standing out of that noise (one-sided 95 %, counting each half of a timeline once). Inside: of all figures, which "
    "are no independent evidence: one lost write shows in several fields and strategies."
)
"""What the columns of a `Score` mean."""


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

    def row(self, what: str) -> dict[str, str]:
        """One line of the table."""
        return {
            "measured on": what,
            "error": pp(self.raw),
            "noise": pp(self.noise),
            "error, noise off": pp(self.error),
            "could hide": pp(self.hidden),
            "inside": f"{self.inside} of {self.figures}",
            "share inside": self._share_inside(),
        }

    def _share_inside(self) -> str:
        return percent(self.inside / self.figures if self.figures else math.nan)

    def sentence(self, what: str) -> str:
        """What it shows and does not."""
        covered = f"{self._share_inside()} of {self.figures} figures are inside their 95 % interval"
        if math.isnan(self.error):
            return f"**{what.capitalize()}**: no agent turn, so there is no clobber rate to compare; {covered}."
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


def driven_sentence(what: str, figures: Sequence[Condition]) -> list[str]:
    """What the model's mechanics are off by, in a sentence; none where they were not tried."""
    error = Validation(tuple(figures)).driven_rmse
    if not np.isfinite(error):
        return []
    return [
        f"**{what.capitalize()}, mechanics alone**: given the very arrivals and times that were observed, and how the lock "
        f"works as the other half tells it, the model's clobber rates are off by {pp(error)}. Nothing is taken off."
    ]


def grid_row(half: str, answers: Mapping[str, Answer | None]) -> dict[str, str]:
    """Who answers what, on one line; n/a where somebody has no answer."""
    row = {"half": half.removeprefix("store-").removesuffix(" half")}
    for title, number, form in (
        ("clobber rate", 0, percent),
        ("stale", 1, percent),
        ("wait p50", 2, _ms),
        ("wait p99", 3, _ms),
    ):
        for who, answer in answers.items():
            if who != "theory" or number == 1:
                row[f"{title}, {who}"] = form(_numbers(answer)[number]) if answer else "n/a"
    return row


def assumed_row(half: str, what: str, answer: Answer, predicted: Answer) -> dict[str, str]:
    """An answer, and in brackets how far it is from the prediction."""
    titles = ("clobber rate", "stale snapshots", "wait p50", "wait p99")
    cells = [
        f"{form(value)} ({change(value / base)})" if base and answer is not predicted else form(value)
        for value, base, form in zip(_numbers(answer), _numbers(predicted), (percent, percent, _ms, _ms), strict=True)
    ]
    return {"half": half, "assumed": what, **dict(zip(titles, cells, strict=True))}


def bias_row(figure: str, rows: Sequence[Condition]) -> dict[str, str]:
    """The mean of one kind of figure, observed and predicted."""
    form = _ms if figure.startswith("lock_wait") else percent
    observed, predicted = (float(np.mean([getattr(row, name) for row in rows])) for name in ("observed", "predicted"))
    return {
        "figure": figure,
        "observed, mean": form(observed),
        "predicted, mean": form(predicted),
        "off": change(predicted / observed, 1) if observed else "n/a",
        "inside": f"{sum(row.inside for row in rows)} of {len(rows)}",
    }


def change(ratio: float, digits: int = 0) -> str:
    """A ratio as a change in percent, with a true minus; no change has no sign."""
    text = f"{100 * (ratio - 1):+.{digits}f} %"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text[1:]


def edges(windows: Windows | None) -> tuple[str, str]:
    """From which offset on a patch is lost, and until which."""
    return (_edge(windows.start), _edge(windows.end)) if windows else ("never", "never")


def _edge(edge: Edge) -> str:
    low, high = edge.interval()
    return f"{1000 * edge.mean():,.0f} ms ({1000 * low:,.0f} to {1000 * high:,.0f})".replace("-", "−")


def pp(share: float) -> str:
    """An error in percentage points, two digits after the point."""
    return "n/a" if math.isnan(share) else f"{100 * share:.2f} pp"


def _numbers(answer: Answer) -> tuple[float, ...]:
    return (answer.clobber_rate, answer.stale, *answer.waits)


def _ms(value: float) -> str:
    return f"{1000 * value:.2f} ms" if value < 0.01 else milliseconds(value)
