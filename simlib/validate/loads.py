"""Loads: units of work on one record while outside writes to it come at a regular rate, as measured on real processes.

A recording holds a phase for each rate: when every unit of work was sent and whether a guard failed it, and when every outside
write was sent and answered. Outside writes are served one after the other, so the time that each took the store's one writer is
known: from when it was sent, or the one before it was answered, until it was answered. The mean of every other one goes into
the section's workload; how many units fail, and how long the other writes take, is then predicted. How well the mean is known
is part of the prediction: each replicate resamples those that were fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import Case
from simlib.case.sections import LoadsModel, needed
from simlib.common.arrays import Bools, Floats
from simlib.common.errors import InputError, allowed
from simlib.common.json_text import parse_json
from simlib.model.compiled_model import simulate
from simlib.model.history import FAILED, History
from simlib.validate.predict import LEVEL
from simlib.validate.scores import Condition
from simlib.workload.traffic import draw
from simlib.workload.workload import Recorded, Workload, load_workload

LARGEST = 20_000_000
"""Bytes of a recording; a shipped one has at most some 150,000."""
SENT, ANSWER, END, CLASS = 0, 1, 2, 3
"""Columns of a row of a phase: milliseconds from its start, to the answer, to the end; and of units what became of it."""


@dataclass(frozen=True)
class Phase:
    """One rate of one recording. Times in seconds from its start.

    Attributes:
        source, rule: the recording, and the strategy that it shows.
        rate: outside writes a second.
        duration: how long they were sent.
        units: (n,) when each unit of work was sent.
        failed: (n,) whether its guard failed it.
        sent, answered: (m,) of the outside writes that were answered, in the order in which they were sent.
    """

    source: str
    rule: str
    rate: float
    duration: float
    units: Floats
    failed: Bools
    sent: Floats
    answered: Floats

    @property
    def served(self) -> Floats:
        """(m,) how long each outside write took the one writer."""
        before = np.concatenate([[0.0], np.maximum.accumulate(self.answered)[:-1]])
        return np.asarray(np.maximum(self.answered - np.maximum(self.sent, before), 0.0))

    @property
    def waited(self) -> float:
        """Seconds to an answer, the median of every other outside write, which nothing is fitted to; NaN without any."""
        return float(np.median((self.answered - self.sent)[1::2])) if self.sent.size > 1 else np.nan


@dataclass(frozen=True)
class Prediction:
    """What the model says of a phase, fitted to half of its outside writes.

    Attributes:
        failed: (replicates,) share of the units of work that their guard fails.
        waited: (replicates,) seconds, the median from sending an outside write to its answer, of those answered while the
            phase lasted; NaN without any.
    """

    phase: Phase
    failed: Floats
    waited: Floats


def read_phases(path: Path, case: Case) -> list[Phase]:
    """The phases of a recording.

    Raises:
        InputError: the file cannot be read or is no such recording, or the case does not say what it shows.
    """
    section = needed(case.sections.loads, "loads", case.name, str(path))
    if path.stem not in section.recordings:
        raise InputError(f"{path}: case {case.name} does not say what it shows; {allowed(list(section.recordings))}")
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise InputError(f"{path}: {size:,} bytes; allowed: {LARGEST:,}")
        data = parse_json(path.read_bytes())
        return [_phase(path.stem, section, phase) for phase in data["rates"]]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: not a recording of loads: {error!r:.200}; needed: rates, each with its rows") from None


def _phase(source: str, section: LoadsModel, phase: Mapping[str, Any]) -> Phase:
    units, writes = phase["turns"], sorted(phase["patches"])
    sent = np.array([row[SENT] for row in writes], dtype=np.float64) / 1000
    return Phase(
        source=source,
        rule=section.recordings[source],
        rate=float(phase["summary"]["rate_wanted"]),
        duration=float(phase["summary"]["seconds"]),
        units=np.array([row[SENT] for row in units], dtype=np.float64) / 1000,
        failed=np.array([row[CLASS] == "conflict" for row in units], dtype=np.bool_),
        sent=sent,
        answered=sent + np.array([row[ANSWER] for row in writes], dtype=np.float64) / 1000,
    )


def load_like(phase: Phase, section: LoadsModel, served: Floats) -> Workload:
    """The section's workload at the rate of a phase: units sent when they were, and writes that are `served` in the mean."""
    workload = load_workload(section.workload)
    unit, outside = section.unit.flow, section.outside.flow
    times = Recorded(kind="recorded", times=phase.units.tolist())
    hold = float(workload.times[section.outside.site].hold.quantile(np.zeros(1))[0])
    release = float(served.mean()) - hold if served.size else workload.store.release
    return workload.model_copy(
        update={
            "duration": phase.duration,
            "store": workload.store.model_copy(update={"release": max(0.0, release)}),
            "traffic": {
                unit: workload.traffic[unit].model_copy(update={"arrivals": times}),
                outside: workload.traffic[outside].model_copy(update={"rate": phase.rate}),
            },
        }
    )


def predict_phase(phase: Phase, case: Case, replicates: int = 39, seed: int = 1) -> Prediction:
    """What the model says of the phase."""
    section = needed(case.sections.loads, "loads", case.name, phase.source)
    discipline, fitted = case.strategy(phase.rule).discipline, phase.served[::2]
    failed, waited = np.empty(replicates), np.full(replicates, np.nan)
    for number in range(replicates):
        chosen = np.random.default_rng((seed, number)).integers(fitted.size, size=fitted.size) if fitted.size else slice(None)
        workload = load_like(phase, section, fitted[chosen])
        history = simulate(workload, case, draw(workload, case, seed, number), discipline)
        failed[number] = _failed(case, section, history)
        waits = _waits(case, section, history, float(phase.answered.max(initial=0.0)), workload.store.release)
        if waits.size:
            waited[number] = np.median(waits)
    return Prediction(phase, failed, waited)


def _failed(case: Case, section: LoadsModel, history: History) -> float:
    """The share of the units of work that their guard failed."""
    site = history.site == case.sites.index(section.unit.site)
    units = np.unique(history.flow[site]).size
    outcome = np.zeros(len(history), dtype=np.int64) if history.attempts is None else history.attempts.outcome
    return float((site & (outcome == FAILED)).sum() / units) if units else 0.0


def _waits(case: Case, section: LoadsModel, history: History, last: float, release: float) -> Floats:
    """Seconds from sending to answer, of the outside writes answered by `last`."""
    rows = history.site == case.sites.index(section.outside.site)
    answered = history.end[rows] + release
    return np.asarray((answered - history.read[rows])[answered <= last], dtype=np.float64)


def validate_loads(path: Path, case: Case, replicates: int = 39, seed: int = 1) -> list[Condition]:
    """Of each phase of a recording the share of the units of work that fail, and the median wait of an outside write.

    The wait is observed on the outside writes that nothing was fitted to.

    Raises:
        InputError: the file is no such recording, or the case does not say what it shows.
    """
    conditions = []
    for phase in read_phases(path, case):
        found, count = predict_phase(phase, case, replicates, seed), phase.units.size
        failing = float(found.failed.mean())
        figures = [("failed", float(phase.failed.mean()), found.failed, count, failing * (1 - failing) / count)]
        if phase.sent.size > 1:
            figures.append(("wait_p50_s", phase.waited, found.waited, phase.sent[1::2].size, 0.0))
        for name, seen, predicted, n, variance in figures:
            low, high = np.quantile(predicted, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation").tolist()
            figure = f"{name}, {phase.rate:g} a second"
            inside = bool(low <= seen <= high)
            conditions.append(
                Condition(phase.source, phase.rule, figure, seen, float(predicted.mean()), low, high, inside, n, variance)
            )
    return conditions
