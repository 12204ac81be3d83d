"""What locks and guards give a write, against cases that one can think through by hand."""

import pytest
from mini_disciplines import BROKEN, DISCIPLINES, RIGHT, UNSHOWN, mini

from simlib.search.certificate import certify
from simlib.search.counterexample import is_let_through, judge
from simlib.search.prove import prove


@pytest.mark.parametrize("what", DISCIPLINES)
def test_a_discipline_makes_a_whole_record_save_right_or_there_is_a_schedule_that_replay_confirms(what: str) -> None:
    case, expected = mini(what), DISCIPLINES[what][1]
    certificate = certify(case, case.strategies["s"])["save"]
    assert certificate.certified == (expected == RIGHT)
    assert bool(certificate.reliance.broken) == (expected in (BROKEN, UNSHOWN))
    proofs = prove(case)
    proof = proofs.strategies["s"]
    races = [one for one in proof.counterexamples if one.racing and one.site == "save"]
    assert bool(races) == (expected not in (RIGHT, UNSHOWN))
    for one in proof.counterexamples:
        judge(case, one)
        assert is_let_through(case, one)
    assert expected not in (BROKEN, UNSHOWN) or (proofs.absence("s"), proofs.safe("s")) == ("not searched", False)
