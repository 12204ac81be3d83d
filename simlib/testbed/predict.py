"""What the model predicts of a testbed run, given the times that its store really took: conflicts, failures, latency.

The times are those of `measured`. *Same draws*: the model is given the run's very arrivals and, as nearly as one uniform a time
allows, its preparations, so that little is left to chance. *Predicted*: the mean of replicates with draws of their own; how
these vary is the sampling noise of the run.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.model.compiled_model import simulate
from simlib.model.history import History
from simlib.replay.efforts import effort
from simlib.replay.replay import replay_strategy
from simlib.testbed.measured import measured
from simlib.testbed.run import TestbedRun
from simlib.workload.traffic import draw


class Predicted(NamedTuple):
    """One figure of a run: rates are shares, latencies seconds; NaN where there is none.

    Attributes:
        figure: its name.
        observed: in the run.
        same_draws: by the model, with the run's own draws.
        predicted: the mean of the model's replicates.
        noise: the standard deviation of one of them.
    """

    figure: str
    observed: float
    same_draws: float
    predicted: float
    noise: float


def predict(run: TestbedRun, seed: int, replicates: int = 20) -> list[Predicted]:
    """The figures of a run of that seed: observed, and predicted by replicates, at least 2, beside the one with its draws."""
    case, strategy, workload = run.case, run.case.strategy(run.strategy), measured(run)
    found = [figures(case, strategy, run.history, workload.duration)]
    for replicate in range(replicates + 1):
        timeline = simulate(workload, case, draw(workload, case, seed, replicate), strategy.discipline)
        found.append(figures(case, strategy, timeline, workload.duration))
    columns = {name: np.array([each[name] for each in found]) for name in found[0]}
    return [
        Predicted(name, *(float(x) for x in (column[0], column[1], column[2:].mean(), column[2:].std(ddof=1))))
        for name, column in columns.items()
    ]


def figures(case: Case, strategy: Strategy, history: History, duration: float) -> dict[str, float]:
    """What a run is judged by, of a history of so many seconds of arrivals."""
    counts = effort(case, history, strategy.discipline, duration)
    began = history.read if history.attempts is None else history.attempts.began
    committed = history.ok & case.in_unit[history.site]
    latency = (history.end - began)[committed]
    culprits = replay_strategy(case, strategy, history).clobbers.culprit
    clobbered = np.unique(history.flow[culprits[case.in_unit[history.site[culprits]]]]).size
    return {
        "conflict_rate": _share(counts.conflicts, counts.guarded),
        "failed_rate": _share(counts.units_failed, counts.units_begun),
        "clobber_rate": _share(clobbered, counts.units_begun),
        "latency_p50": float(np.quantile(latency, 0.5)) if latency.size else float("nan"),
        "latency_p99": float(np.quantile(latency, 0.99)) if latency.size else float("nan"),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def rms_error(observed: Sequence[Predicted]) -> tuple[float, float]:
    """How far predictions are off, root mean square: as it is, and with sampling noise taken off.

    The observed figure varies as one replicate does, and the predicted one is a mean of many.
    """
    off = np.array([(each.predicted - each.observed) ** 2 for each in observed])
    noise = np.array([each.noise**2 for each in observed])
    return float(np.sqrt(off.mean())), float(np.sqrt(max(0.0, (off - noise).mean())))
