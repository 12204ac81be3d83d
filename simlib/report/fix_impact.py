"""The fix-impact study: one experiment and one recording, and the sections of the report that say what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from simlib.case.case import Case, load_case
from simlib.common.errors import InputError, allowed
from simlib.common.shipped import RECORDING
from simlib.estimate.crossover import REPLICATES, crossover, possible_loads, rivals
from simlib.estimate.experiment import ENGINES, find_example, run
from simlib.estimate.frontier import shows_price
from simlib.estimate.levers import Lever, levers, pull
from simlib.estimate.limit import with_limits
from simlib.estimate.result import Result
from simlib.replay.counterfactual import Counterfactual, counterfactual
from simlib.replay.judging import KIND_MEANINGS, KINDS
from simlib.replay.recording import Recording, find_recording, read_recording
from simlib.replay.replay import Outcomes
from simlib.report import charts
from simlib.report import impact_tables as tables
from simlib.report.crossover_chart import crossover_chart
from simlib.report.decision import Decision, decide
from simlib.report.diagram import schedule, sequence
from simlib.report.difference_chart import difference_chart
from simlib.report.efforts import efforts
from simlib.report.evidence import strip
from simlib.report.figure import Figure
from simlib.report.frontier_chart import frontier_chart
from simlib.report.html import Html, bullets, coded, marked, paragraphs
from simlib.report.impact_method import command, method
from simlib.report.inputs import inputs_table
from simlib.report.lever_chart import lever_chart, lever_finding
from simlib.report.measured import recorded_races
from simlib.report.price_chart import price
from simlib.report.summary import summary
from simlib.report.table import Table
from simlib.report.verdict import verdict, why
from simlib.search.counterexample import judge
from simlib.search.proofs import Proofs
from simlib.search.prove import prove
from simlib.workload.workload import Workload, load_workload


@dataclass(frozen=True)
class Impact:
    """What the fix-impact report is made of; each method below is one section.

    Attributes:
        result: the simulated strategies.
        counter: the same strategies on a recorded timeline; None if no recording was asked for.
        proofs: every strategy, in every interleaving of the case's scopes that use no other write sites than the workload; None
            if there is no such scope.
        overrides: the `--set` values that the workload was loaded with.
        workload_name, case_name, recording_name: as the user gave them, for the command that reproduces the report.
    """

    result: Result
    counter: Counterfactual | None
    proofs: Proofs | None
    overrides: tuple[str, ...]
    workload_name: str
    case_name: str
    recording_name: str

    @cached_property
    def _levers(self) -> list[Lever]:
        return levers(self.result.workload)

    @cached_property
    def _pulled(self) -> dict[tuple[str, Fraction], Result]:
        return pull(self.result, self._levers)

    @cached_property
    def decision(self) -> Decision:
        """What to do, how sure that is, and what would change it."""
        units = self.result.clobber_rate(self.result.baseline).exposures.any()
        flips = lever_finding(self.result, self._levers, self._pulled) if units else ""
        return decide(self.result, self.proofs, flips)

    @property
    def case(self) -> Case:
        """The case in question."""
        return self.result.case

    def heading(self) -> Html:
        """The title, and what was asked."""
        model = self.result.workload
        return Html(
            f"<h1>{marked(self.case.title)}</h1>"
            + paragraphs(
                f"What each patch strategy does under the workload `{model.workload}`: {model.about}. A **clobber** is a field "
                "where the committed value differs from what a serial execution would have written."
            ).text
        )

    def card(self) -> Html:
        """The decision."""
        return self.decision.card()

    def evidence(self) -> Html:
        """For each strategy what was measured, simulated and proved."""
        return strip(self.result, self.decision.judged, self.proofs, self.counter, recorded_races(self.case))

    def verdict(self) -> Html:
        """The findings in plain words with numbers."""
        return verdict(self.result, self.proofs, self.decision.what, summary(self.result, self.decision, self.proofs))

    def strategies(self) -> Table:
        """The strategies in one table: safety and price side by side."""
        return tables.strategies(self.result, self.proofs)

    def rates(self) -> Figure:
        """Clobber rate by strategy."""
        return charts.clobber_rates(self.result)

    def levers(self) -> Figure | Html:
        """How the rates move when something about the workload is another."""
        return lever_chart(self.result, self._levers, self._pulled)

    def differences(self) -> Figure | Html:
        """By how much each strategy differs from the baseline."""
        return difference_chart(self.result)

    def inputs(self) -> Html:
        """Where the numbers of the workload are from."""
        return inputs_table(self.result.workload)

    def fields(self) -> Figure:
        """Clobbers by field and kind."""
        return charts.by_field_and_kind(self.result)

    def kinds(self) -> Html:
        """What the kinds mean, and which fields show none."""
        seen = sum(self.result.by_field(name).sum(axis=1) for name in self.result.strategies)
        silent = coded([field for field, count in zip(self.case.fields, np.ravel(seen), strict=True) if not count])
        said = paragraphs(f"Nothing was seen of {silent}, with any strategy.") if silent else Html("")
        return Html(said.text + bullets([f"**{kind}**: {KIND_MEANINGS[kind]}." for kind in KINDS]).text)

    def sites(self) -> Figure:
        """Clobbers by write site."""
        return charts.by_site(self.result)

    def why(self) -> Html:
        """For each strategy that clobbers: what its author meant, and how each write site fails."""
        return why(self.result)

    def shortest(self) -> Figure | Html:
        """The shortest schedule that clobbers the same field in the same way at the same write site as the example below."""
        if self._example is None:
            return paragraphs("No strategy clobbered anything in this run, so there is nothing to draw.")
        outcomes, number = self._example
        clobbers = outcomes.clobbers
        proof = self.proofs.strategies.get(outcomes.strategy) if self.proofs else None
        site, field = self.case.sites[outcomes.history.site[clobbers.culprit[number]]], self.case.fields[clobbers.field[number]]
        one = proof.shortest(KINDS[clobbers.kind[number]], bool(clobbers.racing[number]), field, site) if proof else None
        if one is None:
            return paragraphs(f"No scope of the case has this sort of clobber at {site}.")
        return schedule(self.case, *judge(self.case, one))

    def example(self) -> Html:
        """One clobber from this run, drawn."""
        if self._example is None:
            return Html("")
        return Html(paragraphs("And one from this run:").text + sequence(self.case, *self._example)._repr_html_())

    @cached_property
    def _example(self) -> tuple[Outcomes, int] | None:
        """Of the baseline; of another strategy if the baseline has none."""
        found = (find_example(self.result, name) for name in (self.result.baseline, *self.result.strategies))
        return next((example for example in found if example), None)

    def price(self) -> Figure:
        """Lock wait and hold."""
        return price(self.result)

    def efforts(self) -> Table | Html:
        """Conflicts, failed units of work, latency and throughput limits, where guards or locks of its own make any."""
        return efforts(with_limits(self.result)) if shows_price(self.result) else Html("")

    def frontier(self) -> Figure | Html:
        """What each strategy leaves clobbered against what it costs, where guards or locks of its own cost something."""
        shown = shows_price(self.result) and self.result.clobber_rate(self.result.baseline).exposures.any()
        return frontier_chart(self.result) if shown else Html("")

    def crossover(self) -> Figure | Html:
        """At which conflict rate a guard becomes worse than a lock, where there are both."""
        pair = rivals(self.result)
        if pair is None:
            return Html("")
        workload, replicates = self.result.workload, max(2, min(REPLICATES, self.result.replicates))
        found = crossover(
            workload, self.case, *pair, loads=possible_loads(workload), seed=self.result.seed, replicates=replicates
        )
        return crossover_chart(found)

    def recorded(self) -> Figure | Html:
        """The counterfactual on the recording."""
        return (
            charts.counterfactual(self.counter, self.case.words) if self.counter else paragraphs("No recording was asked for.")
        )

    def recorded_scope(self) -> Html:
        """What the recording can speak of, and what it cannot."""
        if self.counter is None:
            return Html("")
        recording = self.counter.recording
        seen = np.unique(recording.history.site)
        there = coded([site for number, site in enumerate(self.case.sites) if number in seen])
        missing = coded([site for number, site in enumerate(self.case.sites) if number not in seen])
        text = f"The recording has the write sites {there}, and looks at {coded(recording.fields)}."
        text += f" It has no {missing}: a zero here says nothing of those." if missing else ""
        if left_out := coded(self.counter.left_out):
            text += f" Not judged here: {left_out}. With their guards, locks or snapshots it would have been another timeline."
        return paragraphs(
            text + " It is one timeline, so there are no intervals; the bound of a zero takes "
            f"{self.case.words.units} as independent."
        )

    def rules(self) -> Html:
        """What each strategy writes, for the sites where strategies differ."""
        return tables.rules(self.result)

    def method(self) -> Html:
        """How it was computed, on which assumptions, and the command that does it again."""
        return method(
            self.result, command(self.result, self.workload_name, self.overrides, self.case_name, self.recording_name)
        )


def study(
    workload: str,
    *,
    case: str = "",
    seed: int = 1,
    replicates: int = 0,
    strategies: Sequence[str] = (),
    overrides: Sequence[str] = (),
    recording: str = "",
    engine: str = "compiled",
) -> Impact:
    """Run the experiment and the counterfactual that a fix-impact report shows.

    Args:
        workload: name or path.
        case: name or path; the workload's own if empty.
        seed: root of the random streams.
        replicates: the workload's own number if 0.
        strategies: names; all of the case if empty.
        overrides: `key.key=value` for the workload.
        recording: name or path; no counterfactual if empty.
        engine: `compiled` or `simpy`.

    Raises:
        InputError: anything in the input that does not fit.
    """
    model, compiled, recorded = check_input(workload, case, seed, replicates, strategies, overrides, recording, engine)
    counter = counterfactual(compiled, recorded, strategies) if recorded else None
    result = run(model, compiled, strategies, seed=seed, replicates=replicates or None, engine=engine)
    return Impact(result, counter, _proofs(result), tuple(overrides), workload, case, recording)


def _proofs(result: Result) -> Proofs | None:
    """Search what the workload exercises; several processes on one file can read one commit behind."""
    used = {site for flow in result.workload.traffic.values() for site in flow.steps}
    scopes = [scope.name for scope in result.case.scopes if used.issuperset(site for _, sites in scope.flows for site in sites)]
    stale_reads = 1 if result.workload.store.gateways > 1 else 0
    return prove(result.case, result.strategies, scopes, stale_reads) if scopes else None


def check_input(
    workload: str,
    case: str,
    seed: int,
    replicates: int,
    strategies: Sequence[str],
    overrides: Sequence[str],
    recording: str,
    engine: str,
) -> tuple[Workload, Case, Recording | None]:
    """Load what a study needs, without running anything; arguments as of `study`.

    Raises:
        InputError: anything in the input that does not fit.
    """
    for label, value in (("seed", seed), ("replicates", replicates)):
        if value < 0:
            raise InputError(f"{label}: {value} is too small; allowed: 0 or more")
    if engine not in ENGINES:
        raise InputError(f"engine '{engine}' is not known; {allowed(list(ENGINES))}")
    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    model.check_case(compiled, workload)
    for name in strategies:
        compiled.strategy(name)
    return model, compiled, read_recording(find_recording(recording), compiled) if recording else None


def fitting_recording(case: Case) -> str:
    """The recording that a report shows unless it is told otherwise; empty if the case has other names than the recording."""
    try:
        read_recording(find_recording(RECORDING), case)
    except InputError:
        return ""
    return RECORDING
