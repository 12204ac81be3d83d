"""The strip of evidence: for each strategy what was measured, what was simulated, and what is proved, side by side."""

from collections.abc import Mapping, Sequence

from simlib.estimate.result import Result
from simlib.estimate.wording import rate_text
from simlib.replay.counterfactual import Counterfactual
from simlib.report.decision import Judged
from simlib.report.html import Html, marked, paragraphs, safe
from simlib.report.measured import race_words, timeline_words
from simlib.search.proofs import Proofs
from simlib.validate.races import Trials

NOT_MEASURED = "Not measured."


def strip(
    result: Result,
    judged: Sequence[Judged],
    proofs: Proofs | None,
    counter: Counterfactual | None,
    races: Mapping[str, list[Trials]],
) -> Html:
    """A row a strategy; history is folded.

    Args:
        result: the simulated strategies.
        judged: the same, in the order of the page.
        proofs: what is proved of them; None if there is nothing.
        counter: what they do on a recorded timeline; None if there is none.
        races: strategy -> recorded races of builds that ship it.
    """
    rows = {one.name: _row(result, one, proofs, counter, races) for one in judged}
    now = [rows[one.name] for one in judged if one.role != "history"]
    then = [rows[one.name] for one in judged if one.role == "history"]
    folded = f"<details><summary>History: {len(then)} more</summary>{_table(then)}</details>" if then else ""
    return Html(f'<div class="evidence">{_table(now)}{folded}</div>')


def _table(rows: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("strategy", "measured", "simulated", "proved"))
    return (
        '<div class="scroll"><table><caption>What each strategy rests on</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(
    result: Result, one: Judged, proofs: Proofs | None, counter: Counterfactual | None, races: Mapping[str, list[Trials]]
) -> str:
    title = result.case.strategy(one.name).title
    head = f"{marked(f'`{one.name}`')}<br>{safe(title)}<br><small>{one.role}</small>"
    cells = {
        "measured": _measured(result, one, counter, races),
        "simulated": _simulated(result, one),
        "proved": _proved(one, proofs),
    }
    return (
        f'<tr><th scope="row">{head}</th>'
        + "".join(f'<td data-label="{key}">{cell}</td>' for key, cell in cells.items())
        + "</tr>"
    )


def _measured(result: Result, one: Judged, counter: Counterfactual | None, races: Mapping[str, list[Trials]]) -> str:
    texts = [race_words(trials, result.case.words.unit) for trials in races.get(one.name, [])]
    texts.append(timeline_words(counter, result.case, result, one.name) if counter else "")
    return paragraphs(*texts).text or NOT_MEASURED


def _simulated(result: Result, one: Judged) -> str:
    rate, lost, failed = result.best_rate(one.name), result.lost_write_rate(one.name), result.failed_rate(one.name)
    words = result.case.words
    if not rate.exposures.any():
        return f"No {safe(words.units)}."
    texts = [f"**{rate_text(rate)}** of {words.units} clobber."]
    if lost.estimate > 0:
        texts.append(f"{rate_text(lost)} of {words.outside} is lost.")
    if failed.totals.any():
        texts.append(f"{rate_text(failed)} of {words.units} fail.")
    if not result.stable(one.name):
        texts.append("Not stable: its queue grows for as long as the run lasts.")
    return paragraphs(*texts).text


def _proved(one: Judged, proofs: Proofs | None) -> str:
    if proofs is None or one.name not in proofs.strategies:
        return "Not searched."
    verdict = proofs.verdict(one.name)
    found = bool(proofs.strategies[one.name].counterexamples)
    texts = [f"A schedule does it: {verdict}." if found else f"{verdict[0].upper()}{verdict[1:]}."]
    if one.alone:
        texts.append(f"No race is needed for {', '.join(f'`{field}`' for field in one.alone)}.")
    return paragraphs(*texts).text
