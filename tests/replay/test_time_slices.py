"""Pieces and glued histories against a restatement in plain Python, and on histories whose times are written by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from attempted import attempted
from generators import entries, schedules
from hypothesis import assume, given
from hypothesis import strategies as st
from schedules import CASE, commit, give_up, history_of, read

from simlib.model.history import History, same
from simlib.replay.replay import replay_strategy
from simlib.replay.time_slices import PIECES, glued, pieces


def timed(ends: list[float], lasts: list[float], flow: list[int] | None = None, kind: list[int] | None = None) -> History:
    """Patches that end at these times and began so long before; each a flow of its own, of one kind, unless said."""
    size = len(ends)
    end = np.array(ends, dtype=float)
    return dataclasses.replace(
        history_of([commit("patch", label="B")] * size),
        read=end - np.array(lasts, dtype=float),
        end=end,
        flow=np.arange(size) if flow is None else np.array(flow),
        kind=np.zeros(size, dtype=np.int64) if kind is None else np.array(kind),
    )


SPAN = [5.0 + number for number in range(401)]  # 400 s from first to last end, so a piece is 10 s, and 1 s is short


@pytest.mark.parametrize(("lasts", "count"), [(1.0, 40), (1.01, 2), (0.0, 40)])
def test_there_are_forty_pieces_if_a_flow_takes_no_more_than_a_tenth_of_one_and_else_two(lasts: float, count: int) -> None:
    found = pieces(timed(SPAN, [lasts] * 401))
    assert PIECES == 40
    assert found.tolist() == [row * count // 401 for row in range(401)]


def test_the_usual_flow_is_the_median_of_its_kind_and_the_slowest_kind_decides() -> None:
    few_long = [200.0 if number % 3 == 0 else 0.5 for number in range(401)]
    assert pieces(timed(SPAN, few_long))[-1] == 39
    long_kind = [int(number % 3 == 0) for number in range(401)]
    assert pieces(timed(SPAN, few_long, kind=long_kind))[-1] == 1


def test_a_flow_lasts_from_its_first_read_to_its_last_end() -> None:
    pairs = [number // 2 for number in range(401)]  # each flow: two rows, one second apart
    assert pieces(timed(SPAN, [0.0] * 401, flow=pairs))[-1] == 39
    assert pieces(timed(SPAN, [0.1] * 401, flow=pairs))[-1] == 1
    assert pieces(timed(SPAN, [0.1 * (number % 2) for number in range(401)], flow=pairs))[-1] == 39


def test_the_rows_of_a_flow_need_not_be_neighbours_nor_their_reads_in_order() -> None:
    apart = [number // 4 * 2 + number % 2 for number in range(401)]  # rows 0 and 2, 1 and 3, ...: two seconds
    assert pieces(timed(SPAN, [0.0] * 401, flow=apart))[-1] == 1
    late = [1.0 if number % 2 else 0.0 for number in range(401)]  # the second row was read at the first one's end
    assert pieces(timed(SPAN, late, flow=[number // 2 for number in range(401)]))[-1] == 39


def test_pieces_have_equally_many_rows() -> None:
    assert np.bincount(pieces(timed(SPAN, [0.0] * 401)), minlength=40).tolist() == [11] + [10] * 39
    nothing = timed([1.0], [0.0])
    columns = {name: getattr(nothing, name)[:0] for name in ("flow", "kind", "site", "read", "end")}
    assert pieces(dataclasses.replace(nothing, **columns)).tolist() == []


def restated(history: History, rows: list[int]) -> dict[str, list[Any]]:
    """What gluing means: each run of neighbours keeps its times from the commit before it; the runs follow one another."""
    ok, end, session = history.ok.tolist(), history.end.tolist(), history.session.tolist()

    def committed(before: int) -> float:
        """When the last commit of the rows before this one was."""
        return max((end[row] for row in range(before) if ok[row]), default=0.0)

    number_of = {row: number for number, row in enumerate(rows)}
    times: dict[str, list[float]] = {"read": [], "queued": [], "lock": [], "end": []}
    snapshot, passed, begins = [], 0.0, 0.0
    for number, row in enumerate(rows):
        if number == 0 or rows[number - 1] != row - 1:
            passed += committed(rows[number - 1] + 1) - begins if number else 0.0
            begins = committed(row)
        for name, column in times.items():
            column.append(getattr(history, name)[row] - begins + passed)
        seen = [other for other in rows if other <= history.snapshot[row] and ok[other] and session[other] == session[row]]
        snapshot.append(number_of[seen[-1]] if seen else -1)
    return {**times, "snapshot": snapshot}


@given(data=st.data(), schedule=schedules(most=20), initial=entries())
def test_glued_against_a_restatement_in_plain_python(data: st.DataObject, schedule: list[Any], initial: Any) -> None:
    history = history_of(schedule, initial, sessions=2)
    kept = data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))
    rows = [row for row, keep in enumerate(kept) if keep]
    assume(history.ok[rows].any())
    history = dataclasses.replace(history, queued=history.end - 0.75, lock=history.end - 0.5)
    found, expected = glued(history, np.array(rows)), restated(history, rows)
    for name, column in expected.items():
        assert getattr(found, name).tolist() == pytest.approx(column), name
    for name in ("flow", "kind", "site", "session", "gateway", "ok", "request"):
        assert np.array_equal(getattr(found, name), getattr(history, name)[rows]), name
    replay_strategy(CASE, CASE.strategy("replace"), found)  # a history that replay accepts


@given(schedule=schedules(), initial=entries())
def test_all_rows_glued_are_the_history_itself(schedule: list[Any], initial: Any) -> None:
    history = history_of(schedule, initial, sessions=2)
    assume(history.ok.any())
    assert same(glued(history, np.arange(len(history))), history)


@given(history=attempted(most=20), data=st.data())
def test_attempts_are_glued_as_their_rows_are_and_replay_accepts_them(history: History, data: st.DataObject) -> None:
    """Nothing is left out: the same. Else each number is one that a history can have, and shows nothing that was left out."""
    assume(history.ok.any())
    assert same(glued(history, np.arange(len(history))), history)
    chosen = data.draw(st.lists(st.sampled_from(range(len(history))), min_size=1, unique=True))
    rows = np.array(sorted({*chosen, int(np.argmax(history.ok))}))
    found = glued(history, rows)
    assert found.attempts is not None
    assert history.attempts is not None
    assert ((found.attempts.base < found.attempts.seen) & (found.attempts.seen <= np.arange(rows.size))).all()
    assert len(replay_strategy(CASE, CASE.strategy("replace"), found).version) == rows.size
    assert found.attempts.outcome.tolist() == history.attempts.outcome[rows].tolist()
    for row, base in enumerate(found.attempts.base.tolist()):
        older = [kept for kept in range(row) if rows[kept] <= history.attempts.base[rows[row]] and found.ok[kept]]
        older = [kept for kept in older if found.session[kept] == found.session[row]]
        assert base == max(older, default=-1)


def test_what_is_left_out_takes_no_time_and_is_not_seen() -> None:
    schedule = [
        commit("patch 0", label="A"),  # row 0, at 0
        commit("patch 1", label="B"),  # row 1, at 1: kept
        commit("patch 2", label="C"),  # row 2, at 2
        give_up("patch 3"),  # row 3, at 3: no commit, so the lock was last had at 2
        read("handler"),  # at 4, sees row 2
        commit("patch 4", label="D"),  # row 4, at 5: kept
        commit("handler"),  # row 5, at 6: kept
    ]
    found = glued(history_of(schedule), np.array([1, 4, 5]))
    assert found.end.tolist() == [1.0, 4.0, 5.0]  # from 0 to 1, then from 2 (which is 1 now) to 5 and 6
    assert found.read.tolist() == [1.0, 4.0, 3.0]
    assert found.snapshot.tolist() == [-1, 0, 0]
    assert found.ok.all()
