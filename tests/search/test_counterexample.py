"""A schedule written by hand, as the history that replay judges, and judged."""

import pytest

from simlib.case.case import Scope, load_case
from simlib.common.errors import RunError
from simlib.search.counterexample import Counterexample, Step, judge, last_moment, to_history

CASE = load_case("openclaw-70575")
SCOPE = Scope("by hand", (("handler", ("handler",)), ("patch", ("patch",)), ("patch", ("patch",))))
STEPS = (
    Step(2, "patch", commits=True, shows=-1, request={"lastTo": 2}),
    Step(0, "handler", commits=False, shows=0, request={}),
    Step(1, "patch", commits=True, shows=0, request={"lastTo": 3, "label": 0}),
    Step(0, "handler", commits=True, shows=0, request={"channel": 1}),
)


def counterexample(kind: str) -> Counterexample:
    return Counterexample("after-19328", SCOPE, "handler", "lastTo", kind, True, {"lastTo": 1}, STEPS, price=0)


def test_the_columns_of_its_history_by_hand() -> None:
    history = to_history(CASE, counterexample("reverted"))
    assert [history.sites[site] for site in history.site] == ["patch", "patch", "handler"]
    assert [history.kinds[kind] for kind in history.kind] == ["patch", "patch", "handler"]
    assert history.flow.tolist() == history.gateway.tolist() == [0, 2, 1]  # by their first steps
    assert history.session.tolist() == [0, 0, 0]
    assert history.snapshot.tolist() == [-1, 0, 0]
    assert history.end.tolist() == [1, 3, 4]
    assert history.lock.tolist() == [0.75, 2.75, 3.75]
    assert history.queued.tolist() == [0.5, 2.5, 3.5]
    assert history.read.tolist() == [0.4, 2.4, 2]  # the handler's is a step of its own
    assert history.initial[0].tolist() == [int(field == "lastTo") for field in CASE.fields]
    asked = [CASE.request.index(key) for key in ("lastTo", "label", "channel")]
    assert history.request[:, asked].tolist() == [[2, -1, -1], [3, 0, -1], [-1, -1, 1]]


def test_its_last_commit_by_hand() -> None:
    outcomes, number = judge(CASE, counterexample("reverted"))
    moment, place = last_moment(CASE, outcomes), CASE.fields.index("lastTo")
    assert outcomes.clobbers.culprit[number] == 2
    assert [entry[place] for entry in (moment.stale, moment.fresh, moment.written, moment.expected)] == [2, 3, 2, 3]
    assert moment.request[CASE.request.index("channel")] == 1


def test_what_replay_does_not_find_is_no_counterexample() -> None:
    with pytest.raises(RunError, match="replay does not find lastTo erased at handler in scope by hand"):
        judge(CASE, counterexample("erased"))
