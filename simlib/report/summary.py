"""The decision as Markdown, for a pull request: what to do, what it rests on, and the shortest schedule as a diagram."""

from html import escape

from simlib.case.case import Case
from simlib.common.text import visible
from simlib.estimate.result import Result
from simlib.estimate.wording import rate_text
from simlib.report.decision import Decision
from simlib.search.export import show
from simlib.search.proofs import Proofs


def summary(result: Result, decision: Decision, proofs: Proofs | None) -> str:
    """Markdown that GitHub and GitLab show; what comes from a case or a workload is text in it, and no markup."""
    words = result.case.words
    lines = [
        f"### {_text(result.case.title)}",
        "",
        _text(decision.what),
        "",
        *(f"- **{question}**: {_text(answer)}" for question, answer in decision.rows().items()),
        "",
        f"| strategy | | clobbered {_text(words.units)} | proved |",
        "|---|---|---|---|",
    ]
    for one in decision.judged:
        rate = result.best_rate(one.name)
        shown = rate_text(rate) if rate.exposures.any() else "n/a"
        known = proofs.verdict(one.name) if proofs and one.name in proofs.strategies else "not searched"
        lines.append(f"| `{_cell(one.name)}` | {one.role} | {_cell(shown)} | {_cell(known)} |")
    lines += ["", f"Workload `{_cell(result.workload.workload)}`, {result.replicates:,} replicates, seed {result.seed}.", ""]
    return "\n".join([*lines, *_diagram(result.case, result.baseline, proofs)])


def _diagram(case: Case, strategy: str, proofs: Proofs | None) -> list[str]:
    """The shortest race of a strategy, folded."""
    found = proofs.strategies[strategy].counterexamples if proofs and strategy in proofs.strategies else ()
    one = next((one for one in found if one.racing), None)
    if one is None:
        return []
    title = f"The shortest schedule in which {_text(strategy)} loses a value"
    return [
        f"<details><summary>{title}</summary>",
        "",
        "```mermaid",
        show(case, one, "mermaid").rstrip(),
        "```",
        "",
        "</details>",
        "",
    ]


def _text(text: str) -> str:
    return escape(visible(text), quote=False)


def _cell(text: str) -> str:
    """Text that ends neither its cell nor its code."""
    return _text(text).replace("|", "&#124;").replace("`", "'")
