"""The tables of the validation report: how good predictions are, and lines of numbers as people read them."""

from collections.abc import Mapping, Sequence

import numpy as np

from simlib.estimate.wording import milliseconds, percent
from simlib.validate.assumptions import Answer
from simlib.validate.races import Edge, Windows
from simlib.validate.scores import Condition, Validation, pp

SMALL_PRINT = (
    "Error: root mean square of predicted less observed rates, weighted by turns; noise: what the observations' own sampling "
    "variance alone would make of it; error, noise off: what is left; could hide: what the remaining error may be at most "
    "without standing out of that noise (one-sided 95 %, counting each half of a timeline once). Inside: of all figures, which "
    "are no independent evidence: one lost write shows in several fields and strategies."
)
"""What the columns of a `Score` mean."""


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


def _numbers(answer: Answer) -> tuple[float, ...]:
    return (answer.clobber_rate, answer.stale, *answer.waits)


def _ms(value: float) -> str:
    return f"{1000 * value:.2f} ms" if value < 0.01 else milliseconds(value)
