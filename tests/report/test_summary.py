"""The summary for a pull request, against the decision that it tells, and hostile names."""

from dataclasses import replace

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.result import Result
from simlib.estimate.wording import rate_text
from simlib.report.decision import decide
from simlib.report.summary import summary
from simlib.search.proofs import Proofs
from simlib.search.prove import prove
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")


@pytest.fixture(scope="module")
def result() -> Result:
    return run(load_workload("busy-team", ["duration=100"]), CASE, replicates=3)


@pytest.fixture(scope="module")
def proofs() -> Proofs:
    return prove(CASE, scopes=["handler+patch"])


def test_it_says_what_to_do_every_rate_and_the_shortest_race(result: Result, proofs: Proofs) -> None:
    text = summary(result, decide(result, proofs), proofs)
    assert text.startswith(f"### {CASE.title}\n\nDo not merge `sketch-70575`")
    for name in CASE.strategies:
        assert (
            f"| `{name}` | {CASE.strategy(name).role} | {rate_text(result.best_rate(name))} | {proofs.verdict(name)} |" in text
        )
    (diagram,) = text.split("```mermaid\n")[1:]
    assert diagram.startswith("sequenceDiagram")
    assert diagram.endswith("```\n\n</details>\n")


def test_without_a_proof_there_is_no_diagram_and_no_claim(result: Result) -> None:
    text = summary(result, decide(result, None), None)
    assert "mermaid" not in text
    assert text.count("| not searched |") == len(CASE.strategies)


def test_a_name_is_no_markup(result: Result) -> None:
    evil = replace(result, workload=result.workload.model_copy(update={"workload": "`|<img src=x>"}))
    text = summary(evil, decide(evil, None), None)
    assert "Workload `'&#124;&lt;img src=x&gt;`" in text
    assert "<img" not in text
