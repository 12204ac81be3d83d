"""Recordings of real builds: replay against what was recorded, and recordings that are damaged."""

import gzip
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from schedules import CASE, FIELDS, REQUEST, STRATEGIES
from story import STORY, A, B, recording_of, transaction

from simlib.common.shipped import DATA
from simlib.model.history import same
from simlib.replay.recording import check, find_recording, read_recording, shipped_recordings
from simlib.replay.replay import replay_strategy

RECORDED = {path.name.removesuffix(".jsonl.gz"): path for path in (DATA / "recordings").glob("store-*.jsonl.gz")}
SMALL = RECORDED["store-2026.4.22-after-19328"]


def lines_of(path):
    """The file as objects, the header first."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


@cache
def shipped(name):
    return read_recording(find_recording(name), CASE)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_replay_against_every_committed_entry_and_clobbered_field_of_a_recording(name):
    recording = shipped(name)
    found = check(CASE, recording)
    assert found.exact, found.mismatches
    assert found.mismatches == ()
    # Counted here once more from the file itself, as text.
    committed = [line for line in lines_of(RECORDED[name])[1:] if line["ok"]]
    clobbered = sum(
        line["written"].get(field) != line["serial"].get(field)
        for line in committed
        if "serial" in line
        for field in {*line["written"], *line["serial"]}
    )
    assert found.committed == found.entries_reproduced == len(committed)
    assert found.clobbered_recorded == found.clobbered_reproduced == found.clobbered_in_replay == clobbered
    assert clobbered > 0


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recordings_snapshots_are_what_the_build_read(name):
    recording = shipped(name)
    outcomes = replay_strategy(CASE, CASE.strategy(recording.rule), recording.history)
    values = recording.history.values
    row_of = {number: row for row, number in enumerate(recording.ids)}
    for line in lines_of(RECORDED[name])[1:200]:
        if line["kind"] == "agent":
            snapshot = recording.history.snapshot[row_of[line["id"]]]
            entry = outcomes.entries[snapshot] if snapshot >= 0 else recording.history.initial[line["session"]]
            pairs = zip(CASE.fields, entry.tolist(), strict=True)
            assert {field: values.name(CASE.domains[field], code) for field, code in pairs if code} == line["stale"]


def test_the_counterfactuals_on_one_timeline_are_in_the_order_of_the_fixes():
    recording = shipped("store-2026.4.22-after-19328-long")
    clobbered = {s: len(replay_strategy(CASE, CASE.strategy(s), recording.history).clobbers) for s in STRATEGIES}
    assert clobbered["replace"] >= clobbered["before-19328"] > clobbered["after-19328"] >= clobbered["sketch-70575"] > 0
    assert clobbered["in-mutator"] == clobbered["all-sites"] == 0


def test_a_recording_is_found_by_name_or_path_and_read_the_same_unzipped(tmp_path, refused):
    assert shipped_recordings() == sorted(RECORDED)
    assert find_recording(SMALL.name) == find_recording(str(SMALL)) == SMALL
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(gzip.decompress(SMALL.read_bytes()))
    assert same(read_recording(find_recording(str(plain)), CASE).history, read_recording(SMALL, CASE).history)
    assert f"allowed: {', '.join(sorted(RECORDED))}" in refused(find_recording, "store-2026.4.23")


def test_a_recording_as_a_history_by_hand(tmp_path):
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
    label, model = FIELDS.index("label"), FIELDS.index("modelOverride")
    assert found.written[:, [label, model]].tolist() == [[1, 0], [2, 1], [1, 1], [1, 1]]  # coded as they appear; 0: undefined
    assert found.serial[:, [label, model]].tolist() == [[1, 0], [2, 1], [2, 1], [1, 1]]
    assert history.initial.tolist() == [[0] * len(FIELDS)]
    asked = [REQUEST.index(key) for key in ("label", "modelOverride", "channel")]
    assert history.request[:, asked].tolist() == [[1, -1, -1], [2, 1, -1], [-1, -1, -1], [-1, -1, -1]]  # -1: not named
    assert history.session_names == ("session-0",)
    assert history.values.name(CASE.domains["label"], 2) == "B"


def test_a_request_that_clears_is_no_request_that_names_nothing(tmp_path):
    clears = transaction(1, "patch", 0, 11, {"label": None}, A, {})
    history = recording_of(tmp_path, [STORY[0], clears]).history
    assert history.request[1, REQUEST.index("label")] == 0
    assert check(CASE, recording_of(tmp_path, [STORY[0], clears])).exact


def test_flows_are_numbered_by_arrival_and_not_by_commit(tmp_path):
    slow = transaction(
        0, "patch", 1, 0, {"label": "A"}, {"modelOverride": "m"}, {"label": "A", "modelOverride": "m"}, commit=50.0
    )
    quick = transaction(1, "patch", -1, 1, {"modelOverride": "m"}, {}, {"modelOverride": "m"})
    found = recording_of(tmp_path, [slow, quick])
    assert found.ids == (1, 0)
    assert found.history.flow.tolist() == [1, 0]


FIGURES = ("committed", "entries_reproduced", "clobbered_recorded", "clobbered_reproduced", "clobbered_in_replay")


def figures(found):
    return tuple(getattr(found, figure) for figure in FIGURES)


def renumbered(lines):
    """The lines with the ids 100, 101, ..., so that no id is a row."""
    return [one | {key: one[key] + 100 for key in ("id", "fresh_rev", "read_rev") if one.get(key, -1) >= 0} for one in lines]


def test_a_clobber_with_other_values_is_recorded_and_found_but_not_reproduced(tmp_path):
    other = STORY[2] | {"serial": B | {"label": "C"}}
    found = check(CASE, recording_of(tmp_path, renumbered([*STORY[:2], other, STORY[3]])))
    assert figures(found) == (4, 4, 1, 0, 1)
    assert found.mismatches == ("transaction 102: label clobbered in both, with other values",)
    assert not found.exact


def test_what_was_given_up_is_neither_compared_nor_counted(tmp_path):
    given_up = STORY[3] | {"ok": False, "written": {"label": "X"}, "serial": {"label": "Y"}}
    found = check(CASE, recording_of(tmp_path, [*STORY[:3], given_up]))
    assert figures(found) == (3, 3, 1, 1, 1)
    assert found.exact
    assert found.mismatches == ()


def test_mismatches_name_every_field_and_stand_entries_first_in_the_order_of_commits(tmp_path):
    """The story once more with the stale handler's entry and serial entry changed, and the last one's entry."""
    stale = STORY[2] | {"written": {"label": "X"}, "serial": {"label": "X"}}
    late = STORY[3] | {"written": {"label": "Y", "modelOverride": "m"}}
    found = check(CASE, recording_of(tmp_path, renumbered([*STORY[:2], stale, late])))
    assert figures(found) == (4, 2, 1, 0, 1)
    assert found.mismatches == (
        "transaction 102: modelOverride: recorded undefined, replay m; label: recorded X, replay A",
        "transaction 103: label: recorded Y, replay A",
        "transaction 102: label clobbered in the replay only",
        "transaction 103: label clobbered in the recording only",
    )


def test_ten_mismatches_are_named_and_all_are_counted(tmp_path):
    entry, other = {"label": "A", "modelOverride": "m"}, {"label": "Z"}
    lines = [transaction(0, "patch", -1, 0, entry, {}, entry)] + [
        transaction(number, "patch", number - 1, 10 * number, {}, entry, other) for number in range(1, 13)
    ]
    found = check(CASE, recording_of(tmp_path, lines))
    assert (found.committed, found.entries_reproduced) == (13, 1)
    assert [text.split(":")[0] for text in found.mismatches] == [f"transaction {number}" for number in range(1, 11)]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_check_is_exact_if_every_entry_and_every_clobber_is_reproduced_and_none_besides(figure, tmp_path):
    found = check(CASE, recording_of(tmp_path, STORY))
    assert found.exact
    assert not replace(found, **{figure: getattr(found, figure) + 1}).exact


@pytest.fixture
def tampered(tmp_path):
    """A copy of the small recording whose lines (as objects, the header first) a function has changed."""

    def write(change):
        lines = lines_of(SMALL)
        change(lines)
        path = tmp_path / "tampered.jsonl.gz"
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return path

    return write


def put(number, key, value):
    return lambda lines: lines[number].__setitem__(key, value)


def drop(number, key):
    return lambda lines: lines[number].pop(key)


def first_agent(lines):
    return next(line for line in lines if line.get("kind") == "agent" and line["written"].get("lastTo"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(0), "line 1: not a store recording"),
        (lambda lines: lines.clear(), "line 1: not a store recording"),
        (put(0, "recording", 2), "line 1: not a store recording"),
        (drop(0, "rule"), "line 1: no 'rule'; needed: build, rule, fields, sessions"),
        (
            put(0, "rule", "after-19382"),
            "line 1: rule 'after-19382' is not in case openclaw-70575; allowed: replace, before-19328",
        ),
        (put(0, "rule", ["after-19328"]), "line 1: rule: ['after-19328'] is not text"),
        (put(0, "sessions", "many"), "line 1: sessions: 'many' is not a whole number"),
        (drop(1, "written"), "line 2: no 'written'; needed: id, proc, session"),
        (drop(1, "serial"), "line 2: no 'serial'; needed: id, proc, session"),
        (put(2, "kind", "inbounds"), "line 3: kind 'inbounds' is not known; allowed: agent, patch"),
        (put(2, "session", 99), "line 3: session 99 is not there; allowed: 0 to 4"),
        (put(2, "session", "3"), "line 3: session: '3' is not a whole number"),
        (put(2, "commit", None), "line 3: commit: None is not a number"),
        (put(2, "ok", 1), "line 3: ok: 1 is not true or false"),
        (put(2, "request", []), "line 3: request: [] is not an object"),
        (put(2, "fresh_rev", 10**6), "fresh_rev 1000000 is the id of no transaction"),
        (put(1, "read_rev", -2), "read_rev -2 is the id of no transaction"),
        (put(2, "id", 0), "an id stands twice"),
        (put(2, "request", {"lable": "x"}), "'lable' is not in case openclaw-70575; allowed: to, accountId"),
        (put(2, "written", {"to": "x"}), "'to' is not in case openclaw-70575; allowed: lastChannel"),
        (lambda lines: lines.insert(3, [1, 2]), "line 4: expected a JSON object"),
    ],
)
def test_a_recording_that_is_wrong_is_refused_with_file_line_and_what_is_allowed(change, message, tampered, refused):
    path = tampered(change)
    line = refused(read_recording, path, CASE)
    assert line.startswith(f"{path}: ")
    assert message in line


def test_a_truncated_or_damaged_file_is_refused(tmp_path, refused):
    path, whole = tmp_path / "cut.jsonl.gz", SMALL.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "the gzipped file ends early; is it truncated?" in refused(read_recording, path, CASE)
    path.write_bytes(whole[:5000] + bytes(200) + whole[5200:])
    assert "is the recording truncated?" in refused(read_recording, path, CASE)
    path.write_bytes(gzip.decompress(whole)[:5000])
    assert "not valid JSON: unterminated string" in refused(read_recording, path, CASE)
    path.write_bytes(b"\xff\xfe not text")
    assert "is the recording truncated?" in refused(read_recording, path, CASE)
    assert "cannot be read: No such file" in refused(read_recording, tmp_path / "none.jsonl.gz", CASE)
    assert "cannot be read: Is a directory" in refused(read_recording, tmp_path, CASE)


def test_a_recording_without_transactions_is_refused_as_truncated(tampered, refused):
    line = refused(read_recording, tampered(lambda lines: lines.__delitem__(slice(1, None))), CASE)
    assert "no transaction after the header; is the recording truncated?" in line


@pytest.mark.parametrize("sessions", [0, 10**12])
def test_a_recording_with_an_impossible_number_of_sessions_is_refused(tampered, refused, sessions):
    line = refused(read_recording, tampered(lambda lines: lines[0].update(sessions=sessions)), CASE)
    assert f"line 1: {sessions} sessions; allowed: 1 to 1,000,000" in line


def test_a_time_that_is_no_number_is_refused(tampered, refused):
    line = refused(read_recording, tampered(lambda lines: lines[1].update(lock=float("nan"))), CASE)
    assert "line 2: not valid JSON" in line


def test_a_changed_entry_is_named_as_a_mismatch(tampered):
    recording = read_recording(tampered(lambda lines: first_agent(lines)["written"].update(lastTo="somebody else")), CASE)
    found = check(CASE, recording)
    assert not found.exact
    assert found.entries_reproduced == found.committed - 1
    number = first_agent(lines_of(SMALL))["id"]
    assert found.mismatches[0].startswith(f"transaction {number}: lastTo: recorded somebody else, replay u")
    assert f"transaction {number}: lastTo clobbered in the recording only" in found.mismatches


def test_a_clobber_taken_out_of_a_recording_or_put_in_is_named_as_a_mismatch(tampered):
    def hide(lines):
        clobbered = next(line for line in lines if "serial" in line and line["serial"] != line["written"])
        clobbered["serial"] = clobbered["written"]

    found = check(CASE, read_recording(tampered(hide), CASE))
    assert not found.exact
    assert found.entries_reproduced == found.committed
    assert all(line.endswith("clobbered in the replay only") for line in found.mismatches)
    found = check(CASE, read_recording(tampered(lambda lines: first_agent(lines)["serial"].update(label="never set")), CASE))
    assert not found.exact
    assert found.mismatches[0].endswith("label clobbered in the recording only")


def test_a_recording_replayed_with_the_rule_of_another_build_is_not_exact(tampered):
    found = check(CASE, read_recording(tampered(put(0, "rule", "in-mutator")), CASE))
    assert not found.exact
    assert len(found.mismatches) == 10


def test_a_snapshot_from_the_future_or_of_another_session_is_refused(tampered, refused):
    def future(lines):
        agents = [line for line in lines if line.get("kind") == "agent" and line["session"] == lines[1]["session"]]
        agents[0]["read_rev"] = agents[-1]["id"]

    def elsewhere(lines):
        agent = next(line for line in reversed(lines) if line.get("kind") == "agent")
        agent["read_rev"] = next(line["id"] for line in lines[1:] if line["session"] != agent["session"])

    for change in (future, elsewhere):
        assert "is no earlier commit of its session" in refused(read_recording, tampered(change), CASE)


def test_times_are_in_seconds_and_rows_in_the_order_of_their_commits():
    recording = read_recording(SMALL, CASE)
    line = lines_of(SMALL)[1]
    row = recording.ids.index(line["id"])
    assert np.isclose(recording.history.end[row], line["commit"] / 1000)
    assert np.isclose(recording.history.lock[row], line["lock"] / 1000)
    assert np.isclose(recording.history.read[row], line["read"] / 1000)
    assert (np.diff(recording.history.end) >= 0).all()


# ---- what a stranger may have put in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lock", -5.0, "line 3: lock -5.0 is not there; allowed: "),
        ("lock", 1e12, "line 3: commit "),  # it comes before its own lock
        ("commit", 1e300, "line 3: commit 1e+300 is not there; allowed: "),
        ("arrive", -1, "line 3: arrive -1 is not there; allowed: 0.0 to "),
        ("proc", 10**12, "line 3: proc 1000000000000 is not there; allowed: 0 to 9999"),
        ("session", 10**12, "line 3: session 1000000000000 is not there; allowed: 0 to 4"),
        ("id", -1, "line 3: id -1 is not there; allowed: 0 to "),
        ("written", {"label": ["x"]}, "line 3: written: 'label': a list; allowed: text"),
        ("fresh", {"label": {}}, "line 3: fresh: 'label': an object; allowed: text"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_line_and_its_bounds(key, value, message, tampered, refused):
    assert message in refused(read_recording, tampered(put(2, key, value)), CASE)


def test_a_transaction_that_read_itself_is_refused(tampered, refused):
    def itself(lines):
        lines[2]["fresh_rev"] = lines[2]["id"]

    assert "line 3: transaction" in refused(read_recording, tampered(itself), CASE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"lock": 1e999}', "line 2: the number 1e999 is too large"),
        (b'{"lock": Infinity}', "line 2: not valid JSON: Infinity is no number"),
        (b'{"lock": 1, "lock": 2}', "line 2: the key 'lock' stands twice"),
        (b'{"lock": ' + b"9" * 5000 + b"}", "line 2: a number of 5,000 characters; allowed: 40"),
        (b"[" * 100_000, "line 2: brackets nested too deeply"),
        (b"\xff", "line 2: not text in UTF-8 (byte 1)"),
        (b'"text"', "line 2: expected a JSON object, found text"),
        (b" " * (1 << 20), "line 2: longer than 1,048,576 bytes"),
    ],
)
def test_a_line_that_is_no_object_of_json_is_refused_with_its_number(text, message, tmp_path, refused):
    path = tmp_path / "r.jsonl"
    path.write_bytes(gzip.decompress(SMALL.read_bytes()).splitlines()[0] + b"\n" + text)
    assert message in refused(read_recording, path, CASE)


@pytest.mark.parametrize("key", ["fresh", "stale"])
def test_an_altered_entry_that_was_read_is_named_as_a_mismatch(key, tampered):
    """The rule may not use the field; then nothing that was written differs."""
    found = check(CASE, read_recording(tampered(lambda lines: first_agent(lines)[key].update(queueMode="never set")), CASE))
    assert not found.exact
    assert found.entries_reproduced == found.committed
    number = first_agent(lines_of(SMALL))["id"]
    assert found.mismatches == (f"transaction {number}: {key}.queueMode: recorded never set, replay undefined",)


def test_a_fresh_entry_of_an_older_commit_is_named_as_a_mismatch(tampered):
    def older(lines):
        line = next(line for line in lines[1:] if line["fresh_rev"] >= 0 and "read" in line)
        line["fresh_rev"] = -1

    (mismatch,) = check(CASE, read_recording(tampered(older), CASE)).mismatches
    assert "fresh_rev: recorded -1, replay " in mismatch


def test_a_fresh_entry_that_is_said_to_be_another_commits_is_named_by_their_ids(tmp_path):
    same = transaction(1, "agent", -1, 20, {}, A, A, read=10.0, read_rev=0, stale=A, serial=A)
    found = check(CASE, recording_of(tmp_path, renumbered([STORY[0], same])))
    assert found.mismatches == ("transaction 101: fresh_rev: recorded -1, replay 100",)
