"""The tables of the validation report: how good predictions are, as frames of numbers and as people read them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from simlib.estimate.wording import milliseconds, percent
from simlib.report.html import paragraphs
from simlib.report.table import Columns, Table
from simlib.validate.assumptions import CLOSE, Answer, Unmodelled
from simlib.validate.races import Edge, Windows
from simlib.validate.scores import Condition, Score, Validation, pp

SMALL_PRINT = (
    "Error: root mean square of predicted less observed rates, weighted by turns; noise: what the observations' own sampling "
    "variance alone would make of it; error, noise off: what is left; could hide: what the remaining error may be at most "
    "without standing out of that noise (one-sided 95 %, counting each half of a timeline once). Inside: of all figures, which "
    "are no independent evidence: one lost write shows in several fields and strategies."
)
"""What the columns of a table of scores mean."""

_Form = Callable[[float], str]


def scores(found: Sequence[tuple[str, Score]]) -> Table:
    """A row per place that was measured: the attributes of its `Score`."""
    columns: Columns = {
        "measured on": itemgetter("measured_on"),
        "error": _as("raw", pp),
        "noise": _as("noise", pp),
        "error, noise off": _as("error", pp),
        "could hide": _as("hidden", pp),
        "inside": lambda row: f"{row['inside']} of {row['figures']}",
        "share inside": lambda row: percent(row["inside"] / row["figures"] if row["figures"] else float("nan")),
    }
    frame = pd.DataFrame([{"measured_on": what, **asdict(score)} for what, score in found])
    return Table(frame, columns, after=paragraphs(SMALL_PRINT))


def driven_sentence(what: str, figures: Sequence[Condition]) -> list[str]:
    """What the model's mechanics are off by, in a sentence; none where they were not tried."""
    error = Validation(tuple(figures)).driven_rmse
    if not np.isfinite(error):
        return []
    return [
        f"**{what.capitalize()}, mechanics alone**: given the very arrivals and times that were observed, and how the lock "
        f"works as the other half tells it, the model's clobber rates are off by {pp(error)}. Nothing is taken off."
    ]


def grid(rows: Iterable[tuple[str, Mapping[str, Answer | None]]]) -> Table:
    """A row per half: of everybody who answers WHO.FIGURE for each of the _ANSWERS; NaN where somebody has no answer."""
    found = [(half.removeprefix("store-").removesuffix(" half"), answers) for half, answers in rows]
    frame = pd.DataFrame(
        {"half": half, **{f"{who}.{key}": value for who, one in answers.items() for key, value in _numbers(one).items()}}
        for half, answers in found
    )
    everybody = list(found[0][1]) if found else []
    columns: Columns = {
        f"{title.removesuffix(' snapshots')}, {who}": _as(f"{who}.{key}", form)
        for key, (title, form) in _ANSWERS.items()
        for who in everybody
        if who != "theory" or key == "stale"
    }
    return Table(frame, {"half": itemgetter("half"), **columns})


def assumed(rows: Iterable[tuple[str, str, Answer, Answer]]) -> Table:
    """A row per half and assumption: the numbers of the answer then, and as `predicted.FIGURE` those of the prediction.

    Args:
        rows: half, what is assumed, the answer then, and the prediction as it is.
    """
    frame = pd.DataFrame(
        {"half": half, "assumed": what, "itself": one is predicted}
        | _numbers(one)
        | {f"predicted.{key}": value for key, value in _numbers(predicted).items()}
        for half, what, one, predicted in rows
    )
    columns: Columns = {title: _compared(key, form) for key, (title, form) in _ANSWERS.items()}
    return Table(
        frame,
        {"half": itemgetter("half"), "assumed": itemgetter("assumed"), **columns},
        after=paragraphs("In brackets: against the prediction as it is, with the same replicates."),
    )


def _compared(key: str, form: _Form) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        base = row[f"predicted.{key}"]
        return form(row[key]) + (f" ({change(row[key] / base)})" if base and not row["itself"] else "")

    return cell


def bias(figures: Mapping[str, Sequence[Condition]]) -> Table:
    """A row per kind of figure: means of `observed` and `predicted` (shares or seconds), how many are `inside`, `of` all."""
    frame = pd.DataFrame(
        {
            "figure": figure,
            "observed": float(np.mean([row.observed for row in rows])),
            "predicted": float(np.mean([row.predicted for row in rows])),
            "inside": sum(row.inside for row in rows),
            "of": len(rows),
        }
        for figure, rows in figures.items()
        if rows
    )

    def mean(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda row: (_ms if row["figure"].startswith("lock_wait") else percent)(row[name])

    columns: Columns = {
        "figure": itemgetter("figure"),
        "observed, mean": mean("observed"),
        "predicted, mean": mean("predicted"),
        "off": lambda row: change(row["predicted"] / row["observed"], 1) if row["observed"] else "n/a",
        "inside": lambda row: f"{row['inside']} of {row['of']}",
    }
    return Table(frame, columns)


def unmodelled(found: Sequence[tuple[str, Unmodelled]]) -> Table:
    """A row per source: what it shows that a workload does not have."""
    columns: Columns = {
        "source": itemgetter("source"),
        f"gaps below {milliseconds(CLOSE)}, against Poisson": lambda row: f"{row['together']:.2f} x",
        "correlation of a hold with the one before": lambda row: f"{row['following']:+.2f}",
        "median hold, later against earlier": _as("drift", lambda ratio: change(ratio)),
        "lock held after the commit is seen": lambda row: f"{1000 * row['release']:.2f} ms",
    }
    return Table(pd.DataFrame([{"source": source, **asdict(one)} for source, one in found]), columns)


def windows(found: Sequence[tuple[str, Windows | None]]) -> Table:
    """A row per recording of races: where losing begins and ends (seconds, with 95 % intervals); NaN for who never loses."""
    nan = (float("nan"),) * 3
    frame = pd.DataFrame(
        [(title, *(_edge(one.start) + _edge(one.end) if one else nan + nan)) for title, one in found],
        columns=["title", *(f"{edge}{end}_s" for edge in ("start", "end") for end in ("", "_low", "_high"))],
    )
    columns: Columns = {
        "build and run": itemgetter("title"),
        "lost from (95 %)": _window("start"),
        "lost until (95 %)": _window("end"),
    }
    return Table(frame, columns)


def _edge(edge: Edge) -> tuple[float, float, float]:
    return (edge.mean(), *edge.interval())


def _window(edge: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        mean, low, high = (1000 * row[f"{edge}{end}_s"] for end in ("", "_low", "_high"))
        return "never" if mean != mean else f"{mean:,.0f} ms ({low:,.0f} to {high:,.0f})".replace("-", "−")

    return cell


def change(ratio: float, digits: int = 0) -> str:
    """A ratio as a change in percent, with a true minus; no change has no sign."""
    text = f"{100 * (ratio - 1):+.{digits}f} %"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text[1:]


def _numbers(answer: Answer | None) -> dict[str, float]:
    """What an answer has of the _ANSWERS, NaN for what it has not."""
    known = (answer.clobber_rate, answer.stale, *answer.waits) if answer else ()
    return dict(zip(_ANSWERS, (*known, *[float("nan")] * (len(_ANSWERS) - len(known))), strict=True))


def _as(name: str, form: _Form) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: form(row[name])


def _ms(value: float) -> str:
    return f"{1000 * value:.2f} ms" if value < 0.01 else milliseconds(value)


_ANSWERS: dict[str, tuple[str, _Form]] = {
    "clobber_rate": ("clobber rate", percent),
    "stale": ("stale snapshots", percent),
    "wait_p50_s": ("wait p50", _ms),
    "wait_p99_s": ("wait p99", _ms),
}
"""The figures of an answer: column -> its title, and how it reads."""
