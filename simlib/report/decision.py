"""What to do, from all that is known: the card at the top of a fix-impact report, and its sentences.

Nothing here is drawn; `evidence` shows what it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simlib.case.case_file import ROLES, Role
from simlib.common.text import counted
from simlib.estimate.cures import Verdict, judge
from simlib.estimate.result import Result
from simlib.estimate.wording import percent, rate_text, seconds
from simlib.report.html import Html, coded, marked
from simlib.search.proofs import Proofs

Known = Literal["proved", "not seen", "seen"]
MOST_NAMED = 4
"""Strategies that end it and are named; of more, the cheapest."""


@dataclass(frozen=True)
class Judged:
    """One strategy, as the decision takes it.

    Attributes:
        verdict: what becomes of today's bug with it; None for what there is today.
        known: whether it is proved to lose nothing at the workload's sites, was not seen to, or was.
        alone: fields that it clobbers with no race at all.
    """

    name: str
    role: Role
    verdict: Verdict | None
    known: Known
    alone: tuple[str, ...]

    @property
    def ends(self) -> bool:
        """Whether it ends the clobbers, as far as is known."""
        return self.verdict == "ends" or (self.verdict is None and self.known != "seen")


@dataclass(frozen=True)
class Decision:
    """What to do, and what somebody asks next. Prose, with `code` in backticks and **strong** words.

    Attributes:
        judged: every strategy, in the order of the roles.
        what: what to do.
        sure: how sure that is.
        remains: what is left with what does not end it, and where.
        costs: what it costs to end it.
        flips: what would change the decision.
    """

    judged: tuple[Judged, ...]
    what: str
    sure: str
    remains: str
    costs: str
    flips: str

    def rows(self) -> dict[str, str]:
        """Question -> answer, without those that have none."""
        asked = {
            "How sure": self.sure,
            "What remains": self.remains,
            "What it costs": self.costs,
            "What would change this": self.flips,
        }
        return {question: answer for question, answer in asked.items() if answer}

    def card(self) -> Html:
        """The card."""
        rows = "".join(f"<dt>{question}</dt><dd>{marked(answer)}</dd>" for question, answer in self.rows().items())
        return Html(f'<section class="decision"><p class="what">{marked(self.what)}</p><dl>{rows}</dl></section>')


def decide(result: Result, proofs: Proofs | None, flips: str = "") -> Decision:
    """The decision that a result and its proofs carry.

    Args:
        result: the simulated strategies.
        proofs: of all of them, or of some; None if there is none.
        flips: a sentence on what happens to the order of the strategies when the workload is another.
    """
    judged = judge_all(result, proofs)
    ending = [one for one in judged if one.ends and one.verdict and one.role != "history"]
    ending.sort(key=lambda one: (one.known != "proved", not result.stable(one.name), *_price(result, one.name)))
    return Decision(
        judged=judged,
        what=_what(result, judged, ending),
        sure=_sure(result, judged, proofs),
        remains=_remains(result, judged),
        costs=_costs(result, ending),
        flips=flips,
    )


def _price(result: Result, name: str) -> tuple[float, float]:
    """What is paid for a strategy, the share of failed units of work first; latency to two digits, as more is noise."""
    failed, latency = result.failed_rate(name), result.latency(name)["p99"]
    return failed.estimate if failed.totals.any() else 0.0, float(f"{latency:.1e}") if latency == latency else 0.0


def judge_all(result: Result, proofs: Proofs | None) -> tuple[Judged, ...]:
    """Every strategy of a result, in the order of the roles, and within one in that of the case."""
    rows = result.to_json()["strategies"]
    found = []
    for name in result.strategies:
        proved, clean = bool(proofs and name in proofs.strategies and proofs.safe(name)), result.clean(name)
        known: Known = "seen" if not clean else "proved" if proved else "not seen"
        verdict = None if name == result.baseline else judge(rows[result.baseline], rows[name], clean)
        alone = result.clobbers(name)[..., 0].sum(axis=(0, 2))
        fields = tuple(field for field, count in zip(result.case.fields, alone, strict=True) if count)
        found.append(Judged(name, result.case.strategy(name).role, verdict, known, fields))
    return tuple(sorted(found, key=lambda one: ROLES.index(one.role)))


def _what(result: Result, judged: Sequence[Judged], ending: Sequence[Judged]) -> str:
    today = next((one for one in judged if one.verdict is None), None)
    if not result.clobber_rate(result.baseline).exposures.any():
        return f"There was no {result.case.words.unit} in this run, so there is nothing to decide."
    if today and today.known != "seen":
        return f"Nothing is lost with `{today.name}` in this workload, so it decides nothing; try one that has the race."
    others = [one for one in judged if one.verdict and not one.ends and one.role != "history"]
    proposed = [one for one in others if one.role == "proposed"]
    harmful = [one for one in others if one.role != "proposed" and one.verdict == "harms"]
    short = [one for one in others if one.role != "proposed" and one.verdict != "harms"]
    parts = [f"Do not merge {coded([one.name for one in proposed])}{_why_not(proposed)}." if proposed else ""]
    if short:
        parts.append(f"{coded([one.name for one in short])} {'is' if len(short) == 1 else 'are'} not enough.")
    if harmful:
        parts.append(f"{coded([one.name for one in harmful])} {'does' if len(harmful) == 1 else 'do'} harm.")
    if ending:
        names = _first_of([one.name for one in ending])
        parts.append(f"**{names} {'ends' if len(ending) == 1 else 'end'} it**{_and_how(ending)}.")
    elif others:
        parts.append("Nothing that is compared here ends it.")
    return " ".join(filter(None, parts)) or f"`{result.baseline}` loses writes; nothing is compared with it."


def _first_of(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return coded(names)
    return f"{', '.join(f'`{name}`' for name in names[:MOST_NAMED])} and {len(names) - MOST_NAMED} others"


def _why_not(proposed: Sequence[Judged]) -> str:
    """The worst of it: what a proposal breaks with no race at all, or makes worse."""
    if len(proposed) > 1:
        return ""
    (one,) = proposed
    if one.alone:
        return f": it writes {coded(one.alone)} wrongly with no race at all"
    return {"harms": ": it does harm", "rarer": ": it only makes the loss rarer"}.get(str(one.verdict), "")


def _and_how(ending: Sequence[Judged]) -> str:
    if all(one.known == "proved" for one in ending):
        return ", by proof"
    return "" if any(one.known == "proved" for one in ending) else ", as far as was seen"


def _sure(result: Result, judged: Sequence[Judged], proofs: Proofs | None) -> str:
    clean = [one for one in judged if one.verdict and one.known != "seen" and one.role != "history"]
    proved, seen = ([one.name for one in clean if one.known == known] for known in ("proved", "not seen"))
    units = int(result.clobber_rate(result.baseline).exposures.sum())
    parts = [f"Simulated: {units:,} {result.case.words.units} in {counted(result.replicates, 'replicate')}, 95 % intervals."]
    certified = [name for name in proved if proofs and proofs.absence(name) == "cannot"]
    for names, extent in (
        (certified, "for any number of writers"),
        ([name for name in proved if name not in certified], "in every interleaving of the scopes that were searched"),
    ):
        if names:
            parts.append(f"Proved {extent}: {coded(names)}.")
    if seen:
        bounds = [interval.high for name in seen if (interval := result.clobber_rate(name).interval())]
        most = f" (at most {percent(max(bounds))} of {result.case.words.units})" if bounds else ""
        parts.append(f"Not proved, and nothing seen: {_first_of(seen)}{most}.")
    return " ".join(parts)


def _remains(result: Result, judged: Sequence[Judged]) -> str:
    parts = []
    for one in judged:
        rate, sites = result.best_rate(one.name), result.by_site(one.name)
        if one.known != "seen" or one.role == "history" or not rate.exposures.any():
            continue
        worst = int(np.argmax(sites))
        part = "all" if sites[worst] == sites.sum() else percent(sites[worst] / max(1, sites.sum()))
        where = f", {part} of it at `{result.case.sites[worst]}`" if sites.any() else ""
        parts.append(f"`{one.name}` {rate_text(rate)}{where}")
    return f"Clobbered {result.case.words.units}: {'; '.join(parts)}." if parts else ""


def _costs(result: Result, ending: Sequence[Judged]) -> str:
    if not ending:
        return ""
    name, today = ending[0].name, result.baseline
    mine, its = (seconds(result.latency(one)["p99"]) if result.stable(one) else "n/a" for one in (name, today))
    text = f"`{name}`: from request to commit {mine} at the 99th percentile, today {its}"
    failed = result.failed_rate(name)
    text += f"; {rate_text(failed)} of {result.case.words.units} fail" if failed.totals.any() else "; nothing fails"
    return f"{text}." if result.stable(name) else f"{text}; **it cannot serve this traffic**: its queue grows without end."
