"""The validation study: predicted against observed for recordings, testbed runs and gateway races, and what it shows."""

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from simlib.calibrate.source import find_source, kind_of
from simlib.case.case import Case, load_case
from simlib.common.errors import InputError
from simlib.common.shipped import CASE
from simlib.model.queueing_theory import ASSUMPTIONS
from simlib.replay.time_slices import PIECES
from simlib.report import validation_charts as charts
from simlib.report import validation_tables as tables
from simlib.report.figure import Figure
from simlib.report.finding import Finding
from simlib.report.html import Html, bullets, coded, paragraphs
from simlib.report.table import Table
from simlib.report.validation_sources import Races, Store, predict_races, predict_store, shipped_sources
from simlib.validate.assumptions import Answer, answer, variants
from simlib.validate.predict import QUANTILES, REPLICATES
from simlib.validate.races import BINS
from simlib.validate.scores import Condition, Score

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
        text = paragraphs(
            f"**{self.case.title}**",
            f"Is what the simulation says also what a real store does? Each recording is cut into {PIECES} pieces by time "
            "(two, where flows last too long). A calibration from the even ones predicts the odd ones, and the other way "
            "round: the same host in the same minutes. That is done for every strategy that does not change timing, with the "
            "noise of both in the interval. Half of the gateway races are held out of the fit. "
            f"{self.replicates} replicates, seed {self.seed}.",
        )
        return replace(text, finding=Finding(verdict=" ".join(self._sentences())))

    def headline(self) -> Table:
        """Errors and coverage, and what they do and do not show."""
        found = [(what, Score.of(figures, units)) for what, figures, units in self._groups()]
        return replace(tables.scores(found), before=Html(f'<div class="verdict">{bullets(self._sentences()).text}</div>'))

    def _sentences(self) -> list[str]:
        sentences = []
        for what, figures, units in self._groups():
            sentences += [Score.of(figures, units).sentence(what), *tables.driven_sentence(what, figures)]
        return [*sentences, *([self._waits_sentence()] if self.stores else [])]

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

    def grid(self) -> Table:
        """Observed, model, workload alone, and theory, one line a half."""
        notes = paragraphs(
            "**Model**: the model with blocks of the other half, as in every prediction here. **Workload**: the model with the "
            "workload that `simlib calibrate` makes of the other half, as a user would run it. **Theory**: an M/G/1 queue with "
            "the same calibration and Poisson arrivals; it knows stale snapshots and no clobbers, and no second process (n/a)."
        )
        after = Html(notes.text + "<p>Theory assumes:</p>" + bullets(ASSUMPTIONS).text)
        pairs = [pair for store in self.stores for pair in zip(store.halves, store.answers, strict=True)]
        return replace(tables.grid((half.name, answers) for half, answers in pairs), after=after)

    def race_words(self) -> Html:
        """What raced against what, in the case's own words."""
        if not self.case.sections.races:
            return paragraphs("The case says nothing of races.")
        site, unit = self.case.sections.races.outside.site, self.case.words.unit
        return paragraphs(
            f"One {unit} against one write at `{site}`, in the real program: the share of those writes that are lost, by when "
            "they are sent."
        )

    def races(self) -> Figure | Html:
        """P(lost | offset) on each build, held-out trials against the prediction."""
        if not self.gateway_races:
            return paragraphs("No gateway races were given.")
        return charts.races([(races.title, races.conditions) for races in self.gateway_races])

    def windows(self) -> Table | Html:
        """The fitted windows with their uncertainty."""
        if not self.gateway_races:
            return Html("")
        fitted, *others = self.case.sections.races.lost if self.case.sections.races else [""]
        unseen = f"{coded(others)}: predicted without having been looked at. " if others else ""
        note = paragraphs(
            f"Offsets from the request of the {self.case.words.unit} to the outside write. Fitted to `{fitted}` in every "
            f"other trial. {unseen}Where hardly any trial was sent near an edge, it is hardly known. A build that loses "
            "nothing has no window."
        )
        return replace(tables.windows([(races.title, races.windows) for races in self.gateway_races]), after=note)

    def waits(self) -> Figure:
        """Median lock waits."""
        return charts.medians(self._figures("lock_wait.p50"))

    def bias(self) -> Table:
        """By figure: the mean of the errors, and how many are inside. An error common to all would show here."""
        kinds = ("clobber_rate", "lost_write_rate", "stale_snapshots", *(f"lock_wait.{name}" for name in QUANTILES))
        return tables.bias({figure: self._figures(figure) for figure in kinds})

    def outside(self) -> Table | Html:
        """Every figure outside its interval."""
        rows = [row for _, figures, _ in self._groups() for row in figures if not row.inside]
        return charts.condition_table(rows) if rows else paragraphs("No figure is outside its interval.")

    def known_wrong(self) -> Table:
        """Where the model is known to be wrong, and how large what it leaves out is."""
        table = tables.unmodelled([(store.name, store.unmodelled) for store in self.stores])
        return replace(table, before=bullets([*self.case.known_wrong, *KNOWN_WRONG]))

    def assumptions(self) -> Table | Html:
        """What each assumption does to the answer, for the longest recording."""
        if not self.assumed:
            return paragraphs("No store recording was given.")
        half_of = {half.name: half for store in self.stores for half in store.halves}
        rows = []
        for name, answers in self.assumed.items():
            observed = answer(half_of[name].rule, [half_of[name].observed])
            rows += [(name, what, one, answers["as predicted"]) for what, one in {"observed": observed, **answers}.items()]
        return tables.assumed(rows)

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
    stores = [predict_store(path, what, compiled, replicates, seed) for path, what in paths if kind_of(path) != "races"]
    found = [predict_races(path, compiled, seed) for path, _ in paths if kind_of(path) == "races"]
    real = [store for store in stores if store.measured == "recording"] or stores
    longest = max(real, key=lambda store: store.halves[0].observed.waits.size, default=None)
    assumed = {
        half.name: variants(half, replicates, seed, number * replicates)
        for number, half in enumerate(longest.halves if longest else ())
    }
    return Fidelity(compiled, named, tuple(stores), tuple(found), assumed, replicates, seed)
