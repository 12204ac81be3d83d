"""What the validation report looks at: recordings, testbed runs and races, each predicted from a part of itself."""

from dataclasses import dataclass
from pathlib import Path

from simlib.calibrate.source import kind_of
from simlib.case.case import Case
from simlib.common.shipped import DATA
from simlib.replay.recording import shipped_recordings
from simlib.validate.assumptions import Answer, Unmodelled, answer, theoretical, unmodelled, workload_alone
from simlib.validate.predict import Half, compare, halves, replicate_of
from simlib.validate.races import Windows, read_trials, validate_races
from simlib.validate.scores import Condition
from simlib.validate.validate import read_observed


@dataclass(frozen=True)
class Store:
    """One store recording or testbed run: its two halves with the figures predicted for them, and other answers to the same.

    Attributes:
        measured: `recording` or `testbed`.
        conditions: all predicted figures of each half.
        answers: of each half, who answers -> the answer.
        unmodelled: what it shows that a workload does not have.
    """

    name: str
    measured: str
    halves: tuple[Half, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    answers: tuple[dict[str, Answer | None], ...]
    unmodelled: Unmodelled


@dataclass(frozen=True)
class Races:
    """One recording of gateway races: the held-out trials predicted, and the fitted window (None: the build never loses)."""

    build: str
    rule: str
    runs: bool
    conditions: tuple[Condition, ...]
    windows: Windows | None

    @property
    def title(self) -> str:
        """Build, what it ships, and how long its runs last."""
        return f"{self.build} ({self.rule}), run {'lasts 2 s' if self.runs else 'fails at once'}"


def shipped_sources() -> list[str]:
    """The names of the shipped store recordings and gateway races."""
    races = (path for path in (DATA / "recordings").glob("gateway-*.json") if kind_of(path) == "races")
    return [*shipped_recordings(), *sorted(path.stem for path in races)]


def predict_store(path: Path, measured: str, case: Case, replicates: int, seed: int) -> Store:
    """A recording or a testbed run, each half of it predicted from the other."""
    name, history, rule = read_observed(path, case)
    cut = halves(history, case, name, rule)
    firsts = [number * replicates for number in range(len(cut))]
    runs = [[replicate_of(half, seed, first + n) for n in range(replicates)] for half, first in zip(cut, firsts, strict=True)]
    return Store(
        name,
        measured,
        tuple(cut),
        tuple(tuple(compare(half, shown)) for half, shown in zip(cut, runs, strict=True)),
        tuple(
            {
                "observed": answer(half.rule, [half.observed]),
                "model": answer(half.rule, shown),
                "workload": workload_alone(half, replicates, seed, first),
                "theory": theoretical(half),
            }
            for half, shown, first in zip(cut, runs, firsts, strict=True)
        ),
        unmodelled(history, cut),
    )


def predict_races(path: Path, case: Case, seed: int) -> Races:
    """Gateway races, the held-out trials predicted from the others."""
    trials = read_trials(path, case)
    conditions, windows = validate_races(path, case, seed=seed)
    return Races(trials.build, trials.rule, trials.lasts, tuple(conditions), windows)
