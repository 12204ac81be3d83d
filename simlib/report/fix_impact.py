"""The fix-impact study: one experiment and one recording, and the sections of the report that say what they mean."""

import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np
import pandas as pd
import yaml

from simlib.case.case import Case, Noticed, load_case
from simlib.common.errors import InputError, allowed
from simlib.common.shipped import RECORDING
from simlib.estimate.experiment import ENGINES, FEW, find_example, run
from simlib.estimate.result import Result
from simlib.estimate.wording import milliseconds, percent, rate_text, seconds
from simlib.replay.counterfactual import Counterfactual, counterfactual
from simlib.replay.judging import KIND_MEANINGS, KINDS
from simlib.replay.recording import Recording, find_recording, read_recording
from simlib.replay.replay import Outcomes
from simlib.report import charts
from simlib.report.diagram import sequence
from simlib.report.figure import Figure
from simlib.report.html import Html, bullets, coded, marked, paragraphs, safe, table_html, two_lines
from simlib.report.price_chart import price
from simlib.report.verdict import verdict, why
from simlib.search.counterexample import judge
from simlib.search.prove import Proofs, prove
from simlib.workload.workload import Workload, load_workload

ASSUMPTIONS = (
    "A transaction reads, prepares, queues, takes the lock, holds it, commits. The lock is per store file and first come, "
    "first served within a process; across processes it is a polled lock file.",
    "The rates and the mix are the workload's; times are independent of each other and of the load. The workload file says "
    "what was measured and what was chosen.",
    "A strategy changes when the lock is held (its `in_lock` sites), and nothing else about the traffic: nobody sends a "
    "message again because a reply went astray.",
    "Two values that happen to be equal cannot clobber each other: a small domain hides clobbers, as it does in life.",
    "Intervals are for one comparison each, at 95 %, from replicate totals; nothing is corrected for comparing several.",
)


@dataclass(frozen=True)
class Impact:
    """What the fix-impact report is made of; each method below is one section.

    Attributes:
        result: the simulated strategies.
        counter: the same strategies on a recorded timeline; None if no recording was asked for.
        proofs: the baseline, and the strategies of which no clobber was seen, in every interleaving of the case's scopes that
            use no other write sites than the workload; None if there is no such scope.
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

    def verdict(self) -> Html:
        """The findings in plain words with numbers."""
        return verdict(self.result, self.proofs)

    def _proof(self, name: str) -> str:
        return self.proofs.verdict(name) if self.proofs and name in self.proofs.strategies else ""

    def strategies(self) -> Html:
        """The strategies in one table: safety and price side by side."""
        result, rows = self.result, []
        for name in result.strategies:
            difference = result.difference(name)
            price = result.price(name)
            median, standing = result.stood(name)
            rows.append(
                {
                    "strategy": Html(f"{marked(f'`{name}`')}<br>{marked(self.case.strategy(name).title)}"),
                    "clobber rate": self._rate_cell(name),
                    f"against {result.baseline}": "baseline" if difference is None else two_lines(rate_text(difference)),
                    "lost writes": two_lines(rate_text(result.lost_write_rate(name))),
                    **{noticed.title: two_lines(rate_text(result.noticed_rate(name, noticed))) for noticed in self._noticed()},
                    "wrong value stood": "n/a" if math.isnan(standing) else seconds(median),
                    "lock held, mean": milliseconds(price["hold_mean"]),
                    "wait, p99": milliseconds(price["wait_p99"]),
                }
            )
        notes = ["Small print under a rate: its 95 % interval. How long a wrong value stood is a median."]
        notes += [f"**{noticed.title}**: {noticed.about}." for noticed in self._noticed()]
        ended = [f"`{name}` {percent(result.stood(name)[1])}" for name in result.strategies if result.stood(name)[1] > 0]
        notes += [f"Wrong values that still stood when the replicate ended: {', '.join(ended)}."] if ended else []
        return Html(table_html(pd.DataFrame(rows)) + paragraphs(*notes).text)

    def _rate_cell(self, name: str) -> Html:
        """The rate with its interval; beside a zero, what the search says of it."""
        rate = self.result.best_rate(name)
        proof = self._proof(name) if rate.estimate == 0 else ""
        return Html(two_lines(rate_text(rate)).text + (f"<br>{safe(proof)}" if proof else ""))

    def _noticed(self) -> list[Noticed]:
        return [
            noticed for noticed in self.case.noticed if self.result.noticed_rate(self.result.baseline, noticed).exposures.any()
        ]

    def rates(self) -> Figure:
        """Clobber rate by strategy."""
        return charts.clobber_rates(self.result)

    def fields(self) -> Figure:
        """Clobbers by field and kind."""
        return charts.by_field_and_kind(self.result)

    def kinds(self) -> Html:
        """What the kinds mean."""
        return bullets([f"**{kind}**: {KIND_MEANINGS[kind]}." for kind in KINDS])

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
        return sequence(self.case, *judge(self.case, one))

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
        return paragraphs(
            text + " It is one timeline, so there are no intervals; the bound of a zero takes "
            f"{self.case.words.units} as independent."
        )

    def rules(self) -> Html:
        """What each strategy writes, for the sites where strategies differ; equal columns and equal rows stand once."""
        pieces = []
        for site in self.case.sites:
            tables = {name: self.case.strategy(name).rules[site] for name in self.result.strategies}
            columns = _grouped({name: str(rules) for name, rules in tables.items()})
            if len(columns) == 1:
                continue
            fields = [field for field in self.case.fields if any(field in rules for rules in tables.values())]
            cells = {field: [_rule(tables[names[0]].get(field)) for names in columns] for field in fields}
            rows = [[coded(group), *cells[group[0]]] for group in _grouped({field: str(row) for field, row in cells.items()})]
            table = pd.DataFrame(rows, columns=["field", *(", ".join(names) for names in columns)]).map(
                lambda text: Html(marked(text))
            )
            pieces.append(f"<p>Write site {marked(f'`{site}`')}:</p>{table_html(table)}")
        sources = bullets([f"`{name}`: {self.case.strategy(name).source}." for name in self.result.strategies])
        note = "`*` is the field's own name. An en dash: the key is absent from the patch, so the fresh value stays."
        return Html(sources.text + "".join(pieces) + paragraphs(note).text)

    def method(self) -> Html:
        """How it was computed, on which assumptions, and the command that does it again."""
        result, model = self.result, self.result.workload
        timelines = len({self.case.strategy(name).in_lock for name in result.strategies})
        facts = [
            f"{result.replicates} replicates of {model.duration:g} s each, seed {result.seed}, engine {result.engine}: "
            f"{result.transactions:,} transactions on {timelines} timelines.",
            f"SimPy and compiled histories identical: {result.checked:,} transactions of the first replicate."
            if result.checked
            else "Everything was simulated with SimPy.",
            "Strategies that compute in the same place are judged on the very same timelines; the others on timelines with the "
            f"same draws. Differences are paired by replicate{self._paired_gain()}.",
            "The replicate is the unit: rates are ratio estimates with a t interval on the logit scale. A count of zero is "
            f"given the 95 % upper bound of that many {self.case.words.units}, "
            "divided by the clustering that the baseline shows (1 if none).",
            *self._conditional(),
            f"simlib {version('simlib')}, Python {platform.python_version()}, "
            f"simpy {version('simpy')}, numpy {version('numpy')}.",
        ]
        return Html(
            bullets(facts).text
            + f"<pre>{self._command()}</pre>"
            + "<p>Assumptions:</p>"
            + bullets([*ASSUMPTIONS, *self.case.assumptions]).text
            + f"<details><summary>The workload</summary><pre>{_escaped_yaml(model)}</pre></details>"
        )

    def _conditional(self) -> list[str]:
        """For rates that were not simply counted: how they came about, and what that gained."""
        gains = [
            f"`{name}` {counted.standard_error**2 / rate.standard_error**2:,.0f} times"
            for name, rate in self.result.conditional.items()
            if (counted := self.result.clobber_rate(name)).standard_error and rate.standard_error
        ]
        if not self.result.conditional:
            return []
        gain = f" The variance is smaller than that of counting: {', '.join(gains)}." if gains else ""
        return [
            f"Fewer than {FEW} clobbered {self.case.words.units} were seen with "
            f"{coded([*self.result.conditional])}. Their rates are by "
            f"conditional Monte Carlo: the probability that a flow which commits during one "
            f"{self.case.words.unit} is of the same record stands in the place of 0 or 1. That is unbiased.{gain}"
        ]

    def _paired_gain(self) -> str:
        """What pairing saves: the least and the greatest variance ratio of the differences."""
        clobber = [name for name in self.result.strategies if self.result.best_rate(name).estimate > 0]
        ratios = [difference.variance_ratio for difference in map(self.result.difference, clobber) if difference]
        ratios = [ratio for ratio in ratios if math.isfinite(ratio)]
        if not ratios:
            return ""
        factor = f"{min(ratios):,.1f} to {max(ratios):,.0f}"
        return f"; for the same precision independent runs would need {factor} times as many replicates"

    def _command(self) -> str:
        result = self.result
        words = [
            "simlib",
            "report",
            self.workload_name,
            "--seed",
            str(result.seed),
            "--replicates",
            str(result.replicates),
        ]
        for override in self.overrides:
            words += ["--set", override]
        if self.case_name:
            words += ["--case", self.case_name]
        if set(result.strategies) != set(self.case.strategies):
            words += [word for name in result.strategies for word in ("--strategy", name)]
        if result.engine != "compiled":
            words += ["--engine", result.engine]
        words += ["--recording", self.recording_name]
        return safe(shlex.join(words))


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
    names = [name for name in result.strategies if result.best_rate(name).estimate == 0 or name == result.baseline]
    stale_reads = 1 if result.workload.store.gateways > 1 else 0
    return prove(result.case, names, scopes, stale_reads) if scopes else None


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


def _grouped(keys: Mapping[str, str]) -> list[list[str]]:
    """Names with equal keys together, in the order in which they first come."""
    groups: dict[str, list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _rule(rule: object) -> str:
    return "–" if rule is None else f"`{rule}`"


def _escaped_yaml(model: Workload) -> str:
    dumped = yaml.safe_dump(model.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=110)
    return "\n".join(map(safe, dumped.split("\n")))


def fitting_recording(case: Case) -> str:
    """The recording that a report shows unless it is told otherwise; empty if the case has other names than the recording."""
    try:
        read_recording(find_recording(RECORDING), case)
    except InputError:
        return ""
    return RECORDING
