"""The comparison study: two results against each other, and the sections of the report that say how they differ."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from simlib.common.differences import changes
from simlib.common.errors import InputError
from simlib.estimate.compare import COMPARED, NO_SECOND, Comparison, Sample, compare, find_samples
from simlib.estimate.intervals import Difference
from simlib.estimate.wording import rate_text
from simlib.report.comparison_charts import FIELDS, OUTCOMES, RATES, SITES, Quantity, differences
from simlib.report.figure import Figure
from simlib.report.finding import Finding, Share
from simlib.report.html import Html, bullets, coded, paragraphs, safe
from simlib.report.impact_method import ASSUMPTIONS
from simlib.report.verdict import compared

NOT_PAIRED = "Nothing is subtracted, as A and B are not paired."
REPORT = "comparison.html"


@dataclass(frozen=True)
class Study:
    """What the comparison report is made of; each method is one section.

    Attributes:
        one, other: A and B; of several strategies, those that the sections by field and by write site are about.
        sources: what A and B are from, as the user gave them.
        found: strategy -> A against B, that of `one` and `other` first; empty if they are not paired.
        refused: why they are not paired; empty if they are.
        alone: strategies that only A has, or only B.
        changed: what differs in the inputs, a line each, from B to A.
        again: the command that makes the same report.
    """

    one: Sample
    other: Sample
    sources: tuple[str, str]
    found: Mapping[str, Comparison]
    refused: str
    alone: tuple[str, ...]
    changed: tuple[str, ...]
    again: str

    def heading(self) -> Html:
        """What is compared."""
        return Html(
            "<h1>A against B</h1>"
            + bullets(
                [
                    f"**{side}**: `{of.name}`, from `{source}`"
                    for side, of, source in zip("AB", (self.one, self.other), self.sources, strict=True)
                ]
            ).text
            + paragraphs(
                "A **clobber** is a field where the committed value differs from what a serial execution would have written. "
                "Every difference is A minus B, paired by replicate: what the two have in common cancels."
            ).text
        )

    def verdict(self) -> Html:
        """The finding, first in one sentence."""
        shares = {"B": self.other, "A": self.one}
        first, others = self._sentence(), self._others()
        finding = Finding(
            verdict=first,
            rates={f"{side}: {one.name}": Share.of(one.rate) for side, one in shares.items() if one.rate.exposures.any()},
        )
        return Html(f'<div class="verdict">{paragraphs(first).text}{bullets(others).text if others else ""}</div>', finding)

    def _sentence(self) -> str:
        one, other = rate_text(self.one.rate), rate_text(self.other.rate)
        rates = f"**A**, `{self.one.name}`, clobbers in {one} of units of work, **B**, `{self.other.name}`, in {other}"
        if self.refused:
            return f"**Not compared**: {self.refused}. Each for itself: {rates}."
        first = next(iter(self.found.values()))
        if not (self.one.rate.exposures.any() and self.other.rate.exposures.any()):
            return "There was no unit of work in A or in B, so there is nothing to compare."
        return f"{rates}: **A has {compared(first.difference, 'B')}**."

    def _others(self) -> list[str]:
        lines = [f"`{name}`: {compared(each.difference, 'B')}." for name, each in list(self.found.items())[1:]]
        return [*lines, *([f"Only one of them has {coded(self.alone)}."] if self.alone else [])]

    def strategies(self) -> Figure | Html:
        """The difference of the clobber rates, by strategy."""
        return self._figure({name: each.difference for name, each in self.found.items()}, RATES)

    def fields(self) -> Figure | Html:
        """By field."""
        return self._figure(self._first.by_field if self._first else {}, FIELDS)

    def sites(self) -> Figure | Html:
        """By write site."""
        return self._figure(self._first.by_site if self._first else {}, SITES)

    def outcomes(self) -> Figure | Html:
        """By outcome: lost writes, and what guards and locks cost."""
        found = self._first.outcomes if self._first else {}
        return self._figure({COMPARED[name]: each for name, each in found.items()}, OUTCOMES)

    @property
    def _first(self) -> Comparison | None:
        return next(iter(self.found.values()), None)

    def _figure(self, found: Mapping[str, Difference], what: Quantity) -> Figure | Html:
        """The figure; of fields, sites and outcomes only those of which A or B has any."""
        if self.refused:
            return paragraphs(NOT_PAIRED)
        shown = {
            name: each
            for name, each in found.items()
            if each.rate.exposures.any() and each.baseline.exposures.any()
            if what is RATES or each.rate.totals.any() or each.baseline.totals.any()
        }
        return (
            differences(shown, what)
            if shown
            else paragraphs(f"No {what.of} has a {'count' if what is OUTCOMES else 'clobber'} in A or in B.")
        )

    def inputs(self) -> Html:
        """What differs in the inputs."""
        if not self.changed:
            return paragraphs("No input differs.")
        return Html(
            "<p>From B to A:</p><ul>" + "".join(f"<li><code>{safe(line)}</code></li>" for line in self.changed) + "</ul>"
        )

    def method(self) -> Html:
        """How it was computed, on which assumptions, and how to do it again."""
        facts = [
            f"A: {self.one.numbers.size:,} replicates, seed {self.one.inputs['seed']}. "
            f"B: {self.other.numbers.size:,} replicates, seed {self.other.inputs['seed']}.",
            "Replicate r of A is paired with replicate r of B. They have the seed in common, so they have every draw in common "
            "that the inputs do not change. Where seeds, numbers of replicates, fields or write sites differ, nothing is "
            "subtracted.",
            "The interval is a t interval of the paired residuals; where neither saw a clobber, it is what the two upper "
            "bounds leave open. Nothing is corrected for comparing several.",
            f"simlib {version('simlib')}, Python {platform.python_version()}, numpy {version('numpy')}.",
        ]
        return Html(f"{bullets(facts).text}<pre>{safe(self.again)}</pre><p>Assumptions:</p>{bullets(ASSUMPTIONS).text}")


def study(
    one: str,
    other: str = "",
    *,
    strategy: str = "",
    against: str = "",
    case: str = "",
    overrides: Sequence[str] = (),
    seed: int = 1,
    replicates: int = 0,
) -> Study:
    """Compare, for the report.

    Args:
        one: A: a workload by name or path, or a result that `simlib run --save` kept.
        other: B, likewise; empty: A with the strategy `against`.
        strategy: A's.
        against: B's; A's if empty. Without both, every strategy that A and B have.
        case: of workloads; their own if empty.
        overrides: `key.key=value` for workloads.
        seed: of workloads.
        replicates: of workloads; as many as they say if 0.

    Raises:
        InputError: anything in the input that does not fit; but not that A and B are not paired, which the report says.
    """
    if not other and not against:
        raise InputError(NO_SECOND)
    sources, wanted = (one, other or one), (strategy, against or strategy)
    ones, others = (
        {
            sample.strategy: sample
            for sample in find_samples(
                source, [name] if any(wanted) else [], case=case, overrides=overrides, seed=seed, replicates=replicates or None
            )
        }
        for source, name in zip(sources, wanted, strict=True)
    )
    first, second = next(iter(ones.values())), next(iter(others.values()))
    pairs = {_label(first, second): (first, second)} | {name: (ones[name], others[name]) for name in ones if name in others}
    found, refused = {}, ""
    try:
        found = {name: compare(*pair) for name, pair in pairs.items()}
    except InputError as error:
        refused = str(error)
    again = _command(one, other, strategy, against, case, overrides, seed, replicates)
    alone = tuple(sorted(ones.keys() ^ others.keys())) if not any(wanted) else ()
    return Study(first, second, sources, found, refused, alone, _changed(pairs), again)


def _label(one: Sample, other: Sample) -> str:
    return one.strategy if one.strategy == other.strategy else f"{one.strategy} against {other.strategy}"


def _changed(pairs: Mapping[str, tuple[Sample, Sample]]) -> tuple[str, ...]:
    """What differs between the first two, and the rules of the others."""
    (one, other), *_ = pairs.values()
    lines = changes(other.inputs, one.inputs)
    for name, (mine, theirs) in list(pairs.items())[1:]:
        lines += [f"{name}: {line}" for line in changes(theirs.inputs, mine.inputs) if line.startswith("rule ")]
    return tuple(lines)


def _command(
    one: str, other: str, strategy: str, against: str, case: str, overrides: Sequence[str], seed: int, replicates: int
) -> str:
    """The command that makes the same report; names as the user gave them."""
    options = {"--strategy": strategy, "--against": against, "--case": case, "--replicates": replicates, "--report": REPORT}
    words = ["simlib", "compare", one, *([other] if other else []), "--seed", str(seed)]
    words += [word for override in overrides for word in ("--set", override)]
    return shlex.join([*words, *(str(word) for name, value in options.items() if value for word in (name, value))])
