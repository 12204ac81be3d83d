"""The decision, against what its strategies are known to do, and against every other figure of the same result."""

import pytest

from simlib.case.case import load_case
from simlib.common.shipped import shipped_names
from simlib.estimate.experiment import run
from simlib.report.decision import Decision, decide
from simlib.search.prove import prove
from simlib.workload.workload import load_workload


def decided(workload: str, case: str = "", *, proved: bool = True, replicates: int = 6, set_: tuple[str, ...] = ()) -> Decision:
    model = load_workload(workload, set_)
    compiled = load_case(case or model.case)
    result = run(model, compiled, replicates=replicates)
    proofs = prove(compiled, result.strategies, [compiled.scopes[0].name]) if proved and compiled.scopes else None
    return decide(result, proofs, "Nothing flips it.")


def test_what_to_do_about_70575_by_hand() -> None:
    """The sketch writes group fields with no race, the lock of the handler leaves the run's write-backs, all sites end it."""
    found = decided("busy-team", set_=("duration=200",))
    assert found.what.startswith(
        "Do not merge `sketch-70575`: it writes `groupId`, `groupChannel` and `space` wrongly with no race"
    )
    assert "`in-mutator` is not enough. **`all-sites` ends it**, by proof." in found.what
    assert "`all-sites`" not in found.remains
    assert "of it at `run_end`; `sketch-70575`" in found.remains
    assert found.costs.startswith("`all-sites`: from request to commit ")
    assert found.costs.endswith("nothing fails.")
    assert list(found.rows()) == ["How sure", "What remains", "What it costs", "What would change this"]
    assert [one.role for one in found.judged] == ["today", "proposed", "alternative", "shipped", "history", "history"]


def test_what_is_not_proved_is_not_said_to_be() -> None:
    found = decided("busy-team", proved=False, set_=("duration=100",))
    assert "**`all-sites` ends it**, as far as was seen." in found.what
    assert "Not proved, and nothing seen: `all-sites` (at most " in found.sure
    assert "Proved" not in found.sure


def test_a_run_without_the_race_decides_nothing() -> None:
    assert "nothing to decide" in decided("quiet", set_=("duration=0.001",), replicates=2).what
    nobody_else = ("traffic.patch.rate=0", "traffic.inbound.rate=0", "traffic.turn.rate=0.01", "duration=1000")
    calm = decided("handler-only", set_=nobody_else, replicates=2)
    assert "so it decides nothing" in calm.what


@pytest.mark.parametrize(
    "name", [name for name in shipped_names("workloads") if name not in ("gateway-race", "gateway-conflict")]
)
def test_no_strategy_is_said_to_end_it_while_a_figure_of_loss_is_above_zero(name: str) -> None:
    model = load_workload(name)
    shorter = model.model_copy(update={"duration": model.duration / 10})
    case = load_case(model.case)
    result = run(shorter, case, replicates=3)
    for one in decide(result, None).judged:
        losses = (result.best_rate(one.name), result.lost_write_rate(one.name), result.any_loss(one.name))
        lost = any(rate.estimate > 0 for rate in losses) or result.by_site(one.name).any()
        assert one.known == ("seen" if lost else "not seen")
        assert not (one.ends and lost)
