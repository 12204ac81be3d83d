"""The validation study: predicted against observed for recordings, testbed runs and gateway races, and what it shows."""

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from simlib.calibrate.source import find_source, kind_of
from simlib.case.case import Case, load_case
from simlib.common.errors import InputError
from simlib.common.shipped import CASE, DATA
from simlib.estimate.wording import milliseconds
from simlib.model.queueing_theory import ASSUMPTIONS
from simlib.replay.recording import shipped_recordings
from simlib.replay.time_slices import PIECES
from simlib.report import validation_charts as charts
from simlib.report import validation_tables as tables
from simlib.report.figure import Figure
from simlib.report.html import Html, bullets, coded, paragraphs, table_html
from simlib.report.table import Table
from simlib.report.validation_tables import SMALL_PRINT
from simlib.validate.assumptions import CLOSE, Answer, Unmodelled, answer, theoretical, unmodelled, variants, workload_alone
from simlib.validate.predict import QUANTILES, REPLICATES, Half, compare, halves, replicate_of
from simlib.validate.races import BINS, Windows, read_trials, validate_races
from simlib.validate.scores import Condition, Score
from simlib.validate.validate import read_observed

KNOWN_WRONG = (
    "**Slow spells come together** (garbage collection, the disk): holds follow each other and requests pile up behind them. A "
    "workload draws its times independently. Its clobber rates and its long waits are then too low, by what the grid shows.",
    "**A host that changes speed.** The pieces take turns, so both halves have seen the same host. Who predicts another day "
    "from a calibration of today has not; by how much holds changed while these sources were recorded stands below.",
    "**Two processes** poll the lock file, so the wait has a gap between the shortest waits and the poll's pause. A quantile "
    "at the edge of that gap is predicted on the one side and observed on the other.",
    "**Strategies that compute in the lock** change the timing, and a recording of another strategy cannot judge them. They "
    "are left out of the store figures; only races of real programs that ship them can judge them.",
)


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


@dataclass(frozen=True)
class Fidelity:
    """What the validation report is made of; each method is one section.

    Attributes:
        sources: as they were given.
        assumed: half -> what is assumed -> the prediction then, for the longest recording.
    """

    case: Case
    sources: tuple[str, ...]
    stores: tuple[Store, ...]
    gateway_races: tuple[Races, ...]
    assumed: dict[str, dict[str, Answer]]
    replicates: int
    seed: int

    def heading(self) -> Html:
        """What was asked, and how it was answered."""
        return paragraphs(
            f"**{self.case.title}**",
            f"Is what the simulation says also what a real store does? Each recording is cut into {PIECES} pieces by time "
            "(two, where flows last too long). A calibration from the even ones predicts the odd ones, and the other way "
            "round: the same host in the same minutes. That is done for every strategy that does not change timing, with the "
            "noise of both in the interval. Half of the gateway races are held out of the fit. "
            f"{self.replicates} replicates, seed {self.seed}.",
        )

    def headline(self) -> Html:
        """Errors and coverage, and what they do and do not show."""
        rows, sentences = [], []
        for what, figures, units in self._groups():
            score = Score.of(figures, units)
            rows.append(score.row(what))
            sentences += [score.sentence(what), *tables.driven_sentence(what, figures)]
        text = bullets([*sentences, *([self._waits_sentence()] if self.stores else [])])
        return Html(f'<div class="verdict">{text.text}</div>{table_html(pd.DataFrame(rows))}{paragraphs(SMALL_PRINT).text}')

    def _groups(self) -> list[tuple[str, list[Condition], int]]:
        """What was measured, its figures, and how many independent timelines they are of."""
        groups = []
        for measured, what in (("recording", "store recordings"), ("testbed", "testbed")):
            stores = [store for store in self.stores if store.measured == measured]
            if stores:
                groups.append((what, [row for store in stores for half in store.conditions for row in half], 2 * len(stores)))
        if self.gateway_races:
            rows = [row for races in self.gateway_races for row in races.conditions]
            groups.append(("gateway races", rows, BINS * len(self.gateway_races)))
        return groups

    def _waits_sentence(self) -> str:
        rows = self._figures("lock_wait.p50")
        near = sum(charts.off(row) <= charts.TOLERANCE for row in rows)
        everything = [row for name in QUANTILES for row in self._figures(f"lock_wait.{name}")]
        inside = sum(row.inside for row in everything)
        return (
            f"**Lock waits**: {near} of {len(rows)} predicted medians are within {100 * charts.TOLERANCE:.0f} % of what was "
            f"observed. Of {len(everything)} quantiles {inside} are inside their interval."
        )

    def _figures(self, figure: str) -> list[Condition]:
        return [row for store in self.stores for half in store.conditions for row in half if row.figure == figure]

    def diagonal(self) -> Figure:
        """Predicted against observed clobber rates, every strategy."""
        return charts.diagonal(self._figures("clobber_rate"))

    def driven(self) -> Figure:
        """The mechanics alone: the model's clobber rates for the very arrivals and times that were observed."""
        return charts.driven(self._figures("clobber_rate"))

    def grid(self) -> Html:
        """Observed, model, workload alone, and theory, one line a half."""
        rows = [
            tables.grid_row(half.name, answers)
            for store in self.stores
            for half, answers in zip(store.halves, store.answers, strict=True)
        ]
        notes = paragraphs(
            "**Model**: the model with blocks of the other half, as in every prediction here. **Workload**: the model with the "
            "workload that `simlib calibrate` makes of the other half, as a user would run it. **Theory**: an M/G/1 queue with "
            "the same calibration and Poisson arrivals; it knows stale snapshots and no clobbers, and no second process (n/a)."
        )
        return Html(table_html(pd.DataFrame(rows)) + notes.text + "<p>Theory assumes:</p>" + bullets(ASSUMPTIONS).text)

    def races(self) -> Figure | Html:
        """P(lost | offset) on each build, held-out trials against the prediction."""
        if not self.gateway_races:
            return paragraphs("No gateway races were given.")
        return charts.races([(races.title, races.conditions) for races in self.gateway_races])

    def windows(self) -> Html:
        """The fitted windows with their uncertainty."""
        if not self.gateway_races:
            return Html("")
        table = pd.DataFrame(
            [(races.title, *tables.edges(races.windows)) for races in self.gateway_races],
            columns=["build and run", "lost from (95 %)", "lost until (95 %)"],
        )
        fitted, *others = self.case.sections.races.lost if self.case.sections.races else [""]
        unseen = f"{coded(others)}: predicted without having been looked at. " if others else ""
        return Html(
            table_html(table)
            + paragraphs(
                f"Offsets from the request of the {self.case.words.unit} to the outside write. Fitted to `{fitted}` in every "
                f"other trial. {unseen}Where hardly any trial was sent near an edge, it is hardly known. A build that loses "
                "nothing has no window."
            ).text
        )

    def waits(self) -> Figure:
        """Median lock waits."""
        return charts.medians(self._figures("lock_wait.p50"))

    def bias(self) -> Html:
        """By figure: the mean of the errors, and how many are inside. An error common to all would show here."""
        rows = []
        for figure in ("clobber_rate", "lost_write_rate", "stale_snapshots", *(f"lock_wait.{name}" for name in QUANTILES)):
            found = self._figures(figure)
            if found:
                rows.append(tables.bias_row(figure, found))
        return Html(table_html(pd.DataFrame(rows)))

    def outside(self) -> Table | Html:
        """Every figure outside its interval."""
        rows = [row for _, figures, _ in self._groups() for row in figures if not row.inside]
        return charts.condition_table(rows) if rows else paragraphs("No figure is outside its interval.")

    def known_wrong(self) -> Html:
        """Where the model is known to be wrong, and how large what it leaves out is."""
        rows = [
            {
                "source": store.name,
                f"gaps below {milliseconds(CLOSE)}, against Poisson": f"{store.unmodelled.together:.2f} x",
                "correlation of a hold with the one before": f"{store.unmodelled.following:+.2f}",
                "median hold, later against earlier": tables.change(store.unmodelled.drift),
                "lock held after the commit is seen": f"{1000 * store.unmodelled.release:.2f} ms",
            }
            for store in self.stores
        ]
        return Html(bullets([*self.case.known_wrong, *KNOWN_WRONG]).text + table_html(pd.DataFrame(rows)))

    def assumptions(self) -> Html:
        """What each assumption does to the answer, for the longest recording."""
        if not self.assumed:
            return paragraphs("No store recording was given.")
        half_of = {half.name: half for store in self.stores for half in store.halves}
        rows = []
        for name, answers in self.assumed.items():
            predicted = answers["as predicted"]
            rows.append(tables.assumed_row(name, "observed", answer(half_of[name].rule, [half_of[name].observed]), predicted))
            rows += [tables.assumed_row(name, what, answer, predicted) for what, answer in answers.items()]
        note = "In brackets: against the prediction as it is, with the same replicates."
        return Html(table_html(pd.DataFrame(rows)) + paragraphs(note).text)

    def method(self) -> Html:
        """How to do it again."""
        return bullets(
            [
                "Intervals of rates are of negative binomial counts with the mean and variance of the replicates, each of "
                "which has a calibration of its own from resampled blocks; those of waits reach from the least to the greatest "
                "replicate. Intervals of races are quantiles of simulated counts.",
                "A testbed run's store was checked when it ran: replaying the history gave its final content exactly, else "
                "there would be no file.",
                f"The figures alone: `simlib validate {shlex.join(self.sources)} --json`.",
                f"simlib {version('simlib')}, Python {platform.python_version()}, numpy {version('numpy')}.",
            ]
        )


def study(
    sources: Sequence[str] = (),
    *,
    testbed: Sequence[str] = (),
    case: str = CASE,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> Fidelity:
    """Predict every source from a part of itself, for the report.

    Args:
        sources: names or paths of store recordings, histories and gateway races; the shipped ones if empty.
        testbed: paths of histories that the testbed saved (Parquet).
        case: name or path.
        replicates: of the model for each half.
        seed: of the model.

    Raises:
        InputError: a source cannot be read, shows no commits, or is too short.
    """
    if replicates < 2:
        raise InputError(f"replicates: {replicates} is too small; allowed: 2 or more")
    compiled = load_case(case)
    named = (*(sources or shipped_sources()), *testbed)
    paths = [(find_source(source), "recording") for source in sources or shipped_sources()]
    paths += [(find_source(source), "testbed") for source in testbed]
    stores = [_store(path, what, compiled, replicates, seed) for path, what in paths if kind_of(path) != "races"]
    found = [_races(path, compiled, seed) for path, _ in paths if kind_of(path) == "races"]
    real = [store for store in stores if store.measured == "recording"] or stores
    longest = max(real, key=lambda store: store.halves[0].observed.waits.size, default=None)
    assumed = {
        half.name: variants(half, replicates, seed, number * replicates)
        for number, half in enumerate(longest.halves if longest else ())
    }
    return Fidelity(compiled, named, tuple(stores), tuple(found), assumed, replicates, seed)


def shipped_sources() -> list[str]:
    """The names of the shipped store recordings and gateway races."""
    races = (path for path in (DATA / "recordings").glob("gateway-*.json") if kind_of(path) == "races")
    return [*shipped_recordings(), *sorted(path.stem for path in races)]


def _store(path: Path, measured: str, case: Case, replicates: int, seed: int) -> Store:
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


def _races(path: Path, case: Case, seed: int) -> Races:
    trials = read_trials(path, case)
    conditions, windows = validate_races(path, case, seed=seed)
    return Races(trials.build, trials.rule, trials.lasts, tuple(conditions), windows)
