"""Counterfactuals of a recording written by hand, against what its story says; each fix on the same timeline."""

import json
from pathlib import Path

import pytest
from schedules import CASE, STRATEGIES
from story import STORY, recording_of

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.replay.counterfactual import counterfactual
from simlib.replay.recording import Recording


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


def test_as_a_frame_by_hand(recording: Recording, tmp_path: Path) -> None:
    columns = [
        "strategy", "recorded", "units", "clobbered_units", "clobber_rate", "clobbered_fields", "writes", "lost_writes"
    ]  # fmt: skip
    frame = counterfactual(CASE, recording, ["replace"]).to_frame()
    assert frame.columns.tolist() == columns
    assert frame.to_numpy().tolist() == [["replace", False, 2, 1, 0.5, 2, 3, 2], ["after-19328", True, 2, 1, 0.5, 1, 3, 1]]
    patches_only = counterfactual(CASE, recording_of(tmp_path, STORY[:2]), ["after-19328"]).to_frame()
    assert patches_only.drop(columns="clobber_rate").to_numpy().tolist() == [["after-19328", True, 0, 0, 0, 3, 0]]
    assert patches_only["clobber_rate"].isna().all()


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


def test_a_strategy_that_would_have_made_another_timeline_is_not_judged(tmp_path: Path, recording: Recording) -> None:
    cures = load_case("openclaw-cures")
    found = counterfactual(cures, recording, ["session-lock", "in-mutator", "bytes-back-off"])
    assert list(found.clobbered) == ["in-mutator", recording.rule]
    assert found.left_out == ("session-lock", "bytes-back-off")
    assert found.to_json(cures)["left_out"] == ["session-lock", "bytes-back-off"]
