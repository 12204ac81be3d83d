"""Counterfactuals of a recording written by hand, against what its story says; each fix on the same timeline."""

import json
from pathlib import Path
from typing import Any

import pytest
from schedules import CASE, STRATEGIES

from simlib.common.errors import InputError
from simlib.replay.counterfactual import counterfactual
from simlib.replay.recording import Recording, read_recording


def line(number: int, kind: str, before: int, at: float, request: dict[str, Any], fresh: Any, written: Any, **more: Any) -> Any:
    """One transaction; `at` is when it arrived, in milliseconds."""
    return {
        "id": number, "proc": 0, "session": 0, "kind": kind, "request": request, "arrive": at, "lock": at + 5, "fresh": fresh,
        "fresh_rev": before, "written": written, "commit": at + 8, "ok": True,
    } | more  # fmt: skip


A, B = {"label": "A"}, {"label": "B", "modelOverride": "m"}
STORY = [
    line(0, "patch", -1, 0, A, {}, A),
    line(1, "patch", 0, 11, {"label": "B", "modelOverride": "m"}, A, B),
    # The handler had read before the second patch: the label goes back to A, the model stays.
    line(2, "agent", 1, 20, {}, B, B | A, read=10.0, read_rev=0, stale=A, serial=B),
    # An up-to-date one does no harm.
    line(3, "agent", 2, 30, {}, B | A, B | A, read=29.0, read_rev=2, stale=B | A, serial=B | A),
]
HEADER = {"recording": 1, "build": "2026.4.22", "rule": "after-19328", "sessions": 1, "fields": ["label", "modelOverride"]}


def recording_of(path: Path, lines: list[Any]) -> Recording:
    file = path / "story.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in [HEADER, *lines]))
    return read_recording(file, CASE)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return recording_of(tmp_path, STORY)


def test_every_strategy_on_a_story_of_four_transactions(recording: Recording) -> None:
    found = counterfactual(CASE, recording)
    assert found.recording is recording
    assert found.check.exact
    assert (found.units, found.writes) == (2, 3)
    assert list(found.clobbered) == list(found.fields) == list(found.lost) == STRATEGIES
    assert found.clobbered == dict.fromkeys(STRATEGIES, 1) | {"in-mutator": 0, "all-sites": 0}
    # `replace` and `before-19328` lose the model as well.
    assert found.lost == {name: 2 if name in ("replace", "before-19328") else found.clobbered[name] for name in STRATEGIES}
    label = CASE.fields.index("label")
    for name in STRATEGIES:
        assert found.fields[name].shape == (len(CASE.fields), 5)
        assert found.fields[name].sum() == found.lost[name]
        assert found.fields[name][label].tolist() == [0, found.clobbered[name], 0, 0, 0]  # reverted


def test_as_json_by_hand(recording: Recording) -> None:
    found = counterfactual(CASE, recording, ["all-sites"])
    assert json.loads(json.dumps(found.to_json(CASE))) == {
        "recording": "story.jsonl",
        "build": "2026.4.22",
        "rule": "after-19328",
        "transactions": 4,
        "committed": 4,
        "entries_reproduced": 4,
        "clobbered_fields_recorded": 1,
        "clobbered_fields_reproduced": 1,
        "exact": True,
        "mismatches": [],
        "counterfactual": {
            "all-sites": {"clobber_rate": 0.0, "by_field": {}},
            "after-19328": {"clobber_rate": 0.5, "by_field": {"label": {"reverted": 1}}},
        },
    }


def test_named_strategies_come_once_in_the_order_asked_for_with_the_recorded_rule_among_them(recording: Recording) -> None:
    found = counterfactual(CASE, recording, ["all-sites", "replace", "all-sites"])
    assert list(found.clobbered) == ["all-sites", "replace", "after-19328"]
    assert list(counterfactual(CASE, recording, ["after-19328", "replace"]).clobbered) == ["after-19328", "replace"]


def test_a_recording_that_does_not_repeat_says_so(tmp_path: Path) -> None:
    changed = [*STORY[:3], STORY[3] | {"written": {"label": "X", "modelOverride": "m"}}]
    data = counterfactual(CASE, recording_of(tmp_path, changed)).to_json(CASE)
    assert data["exact"] is False
    assert (data["committed"], data["entries_reproduced"]) == (4, 3)
    assert (data["clobbered_fields_recorded"], data["clobbered_fields_reproduced"]) == (2, 1)
    assert data["mismatches"] == [
        "transaction 3: label: recorded X, replay A",
        "transaction 3: label clobbered in the recording only",
    ]


def test_without_a_unit_of_work_there_is_no_rate(tmp_path: Path) -> None:
    found = counterfactual(CASE, recording_of(tmp_path, STORY[:2]), ["replace"])
    assert found.units == 0
    assert found.to_json(CASE)["counterfactual"]["replace"] == {"clobber_rate": None, "by_field": {}}


def test_an_unknown_strategy_is_refused(recording: Recording) -> None:
    with pytest.raises(InputError, match="'after-19329'"):
        counterfactual(CASE, recording, ["after-19329"])


def test_a_recording_as_a_history_by_hand(tmp_path: Path) -> None:
    """Milliseconds become seconds; a patch reads nothing and shows what was fresh; rows stand in the order of commits."""
    given = [STORY[2], STORY[1], STORY[0], STORY[3] | {"ok": False, "proc": 1}]
    found = recording_of(tmp_path, given)
    history = found.history
    assert found.ids == (0, 1, 2, 3)
    assert (found.build, found.rule, found.fields) == ("2026.4.22", "after-19328", ("label", "modelOverride"))
    assert history.flow.tolist() == [0, 1, 2, 3]
    assert [history.kinds[kind] for kind in history.kind] == ["patch", "patch", "turn", "turn"]
    assert [history.sites[site] for site in history.site] == ["patch", "patch", "handler", "handler"]
    assert history.snapshot.tolist() == [-1, 0, 0, 2]
    assert history.ok.tolist() == [True, True, True, False]
    assert history.gateway.tolist() == [0, 0, 0, 1]
    assert history.read.tolist() == pytest.approx([0, 0.011, 0.010, 0.029])
    assert history.queued.tolist() == pytest.approx([0, 0.011, float("nan"), float("nan")], nan_ok=True)
    assert history.lock.tolist() == pytest.approx([0.005, 0.016, 0.025, 0.035])
    assert history.end.tolist() == pytest.approx([0.008, 0.019, 0.028, 0.038])
    label, model = CASE.fields.index("label"), CASE.fields.index("modelOverride")
    assert found.written[:, [label, model]].tolist() == [[1, 0], [2, 1], [1, 1], [1, 1]]  # coded as they appear; 0: undefined
    assert found.serial[:, [label, model]].tolist() == [[1, 0], [2, 1], [2, 1], [1, 1]]
    assert history.initial.tolist() == [[0] * len(CASE.fields)]
    asked = [CASE.request.index(key) for key in ("label", "modelOverride", "channel")]
    assert history.request[:, asked].tolist() == [[1, -1, -1], [2, 1, -1], [-1, -1, -1], [-1, -1, -1]]  # -1: not named
    assert history.session_names == ("session-0",)
    assert history.values.name(CASE.domains["label"], 2) == "B"


def test_a_request_that_clears_is_no_request_that_names_nothing(tmp_path: Path) -> None:
    clears = line(1, "patch", 0, 11, {"label": None}, A, {})
    history = recording_of(tmp_path, [STORY[0], clears]).history
    assert history.request[1, CASE.request.index("label")] == 0
    assert counterfactual(CASE, recording_of(tmp_path, [STORY[0], clears])).check.exact


def test_flows_are_numbered_by_arrival_and_not_by_commit(tmp_path: Path) -> None:
    slow = line(0, "patch", 1, 0, {"label": "A"}, {"modelOverride": "m"}, {"label": "A", "modelOverride": "m"}, commit=50.0)
    quick = line(1, "patch", -1, 1, {"modelOverride": "m"}, {}, {"modelOverride": "m"})
    found = recording_of(tmp_path, [slow, quick])
    assert found.ids == (1, 0)
    assert found.history.flow.tolist() == [1, 0]
