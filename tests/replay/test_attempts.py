"""Replay of histories with attempts, against a naive one in dictionaries, and by hand."""

from dataclasses import replace

from attempted import attempted, naive_replay, tried
from dictionary_replay import Found
from hypothesis import given, settings
from hypothesis import strategies as st
from schedules import CASE, FIELDS
from timelines import Row, timeline

from simlib.case.case import Strategy
from simlib.model.history import COMMITTED, CONFLICT, FAILED
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes, replay_strategy

STORES = ("fields", "entry", "store")


def storing(name: str, stores: str) -> Strategy:
    """A strategy of the shipped case that puts this into the store."""
    strategy = CASE.strategy(name)
    return replace(strategy, discipline=replace(strategy.discipline, stores=stores))


def found_in(outcomes: Outcomes) -> list[tuple[Found, float]]:
    clobbers = outcomes.clobbers
    columns = [column.tolist() for column in vars(clobbers).values()]
    return [
        (
            Found(
                culprit, None if victim < 0 else victim, FIELDS[field], KINDS[kind], racing,
                wrong or None, right or None, fresh or None, stale or None,
            ),
            until,
        )
        for culprit, victim, field, kind, racing, wrong, right, fresh, stale, until in zip(*columns, strict=True)
    ]  # fmt: skip


@settings(max_examples=150)
@given(history=attempted(), name=st.sampled_from(list(CASE.strategies)), stores=st.sampled_from(STORES))
def test_replay_against_a_naive_one_that_keeps_the_whole_store_and_runs_every_rule(history, name, stores):
    strategy = storing(name, stores)
    ours, naive = replay_strategy(CASE, strategy, history), naive_replay(CASE, strategy, stores, history)
    defined = [{field: code for field, code in zip(FIELDS, entry, strict=True) if code} for entry in ours.entries.tolist()]
    assert defined == naive.entries
    order = lambda pair: (pair[0].culprit, pair[0].field, str(pair))  # noqa: E731
    assert sorted(found_in(ours), key=order) == sorted(zip(naive.found, naive.until, strict=True), key=order)
    assert ours.clobbers.culprit.tolist() == sorted(ours.clobbers.culprit.tolist())
    assert (ours.writes.tolist(), ours.lost.tolist()) == (naive.writes, naive.lost)
    assert ours.false_conflict.tolist() == naive.false_conflict


def test_a_patch_over_an_older_entry_clobbers_fields_that_it_has_no_rule_for() -> None:
    """Nobody holds a lock: a handler writes its entry as it read it, over a model that was set meanwhile."""
    rows = timeline(Row("patch", 0, 0, 1, request={"modelOverride": "m"}), Row("handler", 0, 0, 2, snapshot=-1))
    history = tried(rows, [0, 1], [1, 1], [COMMITTED] * 2, base=[-1, -1], seen=[0, 0])
    outcomes = replay_strategy(CASE, storing("all-sites", "entry"), history)
    (found,) = (one for one, _ in found_in(outcomes))
    assert (found.culprit, found.victim, found.field, found.kind, found.racing) == (1, 0, "modelOverride", "erased", True)
    assert not found_in(replay_strategy(CASE, storing("all-sites", "fields"), history))
    assert not found_in(replay_strategy(CASE, CASE.reference, history))


def test_storing_the_whole_file_puts_other_sessions_back() -> None:
    rows = timeline(
        Row("patch", 0, 0, 1, session=1, request={"label": "A"}),
        Row("patch", 0, 0, 2, session=1, request={"label": "B"}),
        Row("patch", 0, 0, 3, session=0, request={"label": "C"}),
        Row("handler", 4, 4, 4, session=1, snapshot=0),
    )
    history = tried(rows, range(4), [1] * 4, [COMMITTED] * 4, base=[-1, 0, -1, 0], seen=[0, 1, 1, 3])
    outcomes = replay_strategy(CASE, storing("all-sites", "store"), history)
    (found,) = (one for one, _ in found_in(outcomes))
    assert (found.culprit, found.victim, found.field, found.kind) == (2, 1, "label", "reverted")
    label = FIELDS.index("label")
    assert outcomes.entries[3, label] == outcomes.entries[0, label]


def test_a_conflict_is_false_where_the_write_would_have_been_right() -> None:
    """The model has changed, which the sketch's handler neither reads nor writes; then the label, which it would revert."""
    rows = timeline(
        Row("patch", 0, 0, 1, request={"modelOverride": "m"}), Row("handler", 0, 0, 2, snapshot=-1, ok=False),
        Row("patch", 2, 2, 3, request={"label": "L"}), Row("handler", 2, 2, 4, snapshot=0, ok=False),
    )  # fmt: skip
    ends = [COMMITTED, CONFLICT, COMMITTED, FAILED]
    history = tried(rows, range(4), [1] * 4, ends, base=[-1, 0, 0, 2], seen=[0, 1, 2, 3])
    for name, last in (("after-19328", False), ("in-mutator", True)):
        outcomes = replay_strategy(CASE, storing(name, "entry"), history)
        assert outcomes.false_conflict.tolist() == [False, True, False, last]
