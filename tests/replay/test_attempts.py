"""Replay of histories with attempts, against a naive one in dictionaries, and by hand."""

from dataclasses import replace

import pytest
from attempted import attempted, naive_replay
from dictionary_replay import Found
from hypothesis import given, settings
from schedules import CASE, FIELDS

from simlib.case.case import Strategy
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


@pytest.mark.parametrize("stores", STORES)
@pytest.mark.parametrize("name", list(CASE.strategies))
@settings(max_examples=60)
@given(history=attempted())
def test_replay_against_a_naive_one_that_keeps_the_whole_store_and_runs_every_rule(name, stores, history):
    strategy = storing(name, stores)
    ours, naive = replay_strategy(CASE, strategy, history), naive_replay(CASE, strategy, stores, history)
    defined = [{field: code for field, code in zip(FIELDS, entry, strict=True) if code} for entry in ours.entries.tolist()]
    assert defined == naive.entries
    order = lambda pair: (pair[0].culprit, pair[0].field, str(pair))  # noqa: E731
    assert sorted(found_in(ours), key=order) == sorted(zip(naive.found, naive.until, strict=True), key=order)
    assert ours.clobbers.culprit.tolist() == sorted(ours.clobbers.culprit.tolist())
    assert (ours.writes.tolist(), ours.lost.tolist()) == (naive.writes, naive.lost)
    assert ours.false_conflict.tolist() == naive.false_conflict
