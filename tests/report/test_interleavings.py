"""The sections of the interleavings report, against the proofs that they show."""

import pytest

from simlib.replay.judging import KINDS
from simlib.report import interleavings
from simlib.report.interleavings import Interleavings, examples, figure, matrix, scope_table, study


@pytest.fixture(scope="module")
def small() -> Interleavings:
    return study("openclaw-70575", strategies=["sketch-70575", "all-sites"], scopes=["handler+patch"], stale_reads=0)


def test_the_matrix_says_what_the_proofs_say(small: Interleavings) -> None:
    table = matrix(small.proofs).shown.set_index("strategy")
    assert list(table.columns) == list(KINDS)
    assert (table.loc["all-sites"] == "cannot").all()
    assert table.loc["sketch-70575", "erased"] == "3 steps (handler, label)"
    assert (
        matrix(small.proofs, racing=False).shown.set_index("strategy").loc["sketch-70575", "erased"]
        == "2 steps (handler, groupId)"
    )


def test_there_is_one_example_a_reachable_kind_and_a_figure_of_each(small: Interleavings) -> None:
    found = examples(small.proofs)
    assert [one.kind for one in found] == list(KINDS)
    for one in found:
        assert one.kind in figure(small.proofs, one).alt


def test_the_scope_table_adds_up(small: Interleavings) -> None:
    states = sum(sum(proof.states.values()) for proof in small.proofs.strategies.values())
    assert scope_table(small.proofs).shown.iloc[0].to_list() == [
        "handler+patch",
        "handler: handler; patch: patch",
        "3",
        f"{states:,}",
    ]


def test_every_section_is_html(small: Interleavings) -> None:
    for section in ("heading", "matrix", "without_race", "kinds", "diagrams", "scopes", "not_covered"):
        assert getattr(small, section)()._repr_html_().startswith("<")
    assert interleavings.NOT_COVERED


def test_its_finding_has_the_verdict_of_every_strategy(small: Interleavings) -> None:
    finding = small.heading().finding
    assert finding
    assert all(small.proofs.verdict(name) in finding.verdict for name in small.proofs.strategies)


@pytest.mark.parametrize(
    ("strategy", "words", "reachable", "known"),
    [
        ("all-sites", "cannot", False, "cannot, for any number of writers"),
        ("in-mutator", "unreachable", False, "unreachable in handler+patch, turn+inbound"),
        ("run-lock", "no schedule found", None, "no schedule found in handler+patch, turn+inbound"),
    ],
)
def test_what_it_means_that_there_is_no_schedule_is_said_alike_everywhere(
    strategy: str, words: str, reachable: bool | None, known: str
) -> None:
    """By hand: OpenClaw's cures are certified everywhere, searched, or have locks that a search only approximates."""
    proofs = study("openclaw-cures", strategies=[strategy], scopes=["handler+patch", "turn+inbound"], stale_reads=0).proofs
    assert proofs.absence(strategy) == words
    assert proofs.to_json()["strategies"][strategy]["suppressed"]["reachable"] is reachable
    assert matrix(proofs).shown["suppressed"].item() == words
    assert proofs.verdict(strategy, "suppressed").startswith(known)
