"""Laws of replay and of the model, on random schedules and workloads, and an independent replay to compare with."""

import dataclasses

import numpy as np
from generators import SEEDS, VALUES, entries, permuted, schedules, workloads
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from schedules import CASE, FIELDS, REQUEST, defined, history_of, named_clobbers

from simlib.model.history import same
from simlib.model.simpy_model import simulate
from simlib.replay.judging import KINDS
from simlib.replay.replay import Clobbers, replay_strategy
from simlib.workload.traffic import draw

ALL = [*CASE.strategies.values(), CASE.reference]
PER_ROW = ("flow", "kind", "site", "session", "gateway", "read", "queued", "lock", "end", "ok", "snapshot", "request")
histories = st.builds(lambda schedule, initial: history_of(schedule, initial, sessions=2), schedules(), entries())


def columns(clobbers: Clobbers) -> dict[str, list[object]]:
    return {name: getattr(clobbers, name).tolist() for name in vars(clobbers)}


@settings(max_examples=150)
@given(schedule=schedules(), initial=entries())
def test_replay_against_an_independent_replay_in_dictionaries(schedule, initial):
    history = history_of(schedule, initial, sessions=2)
    transactions = [step.who for step in schedule if step.what != "read"]
    for rules in ALL:
        outcomes, oracle = replay_strategy(CASE, rules, history), Oracle(rules.name, initial).follow(schedule)
        assert named_clobbers(outcomes, schedule) == oracle.clobbers, rules.name
        assert [defined(outcomes, row) for row in np.flatnonzero(history.ok)] == oracle.entries, rules.name
        for ours, theirs in [(outcomes.writes, oracle.writes), (outcomes.lost, oracle.lost)]:
            assert ours.tolist() == [theirs.get(who, 0) for who in transactions], rules.name


@given(schedule=schedules(serial=True), initial=entries())
def test_a_serial_schedule_clobbers_only_by_plain_defects_and_never_under_a_serially_correct_strategy(schedule, initial):
    history = history_of(schedule, initial, sessions=2)
    for rules in ALL:
        found = replay_strategy(CASE, rules, history).clobbers
        assert not found.racing.any(), rules.name
        assert rules.name in ("replace", "sketch-70575") or len(found) == 0, rules.name


@given(history=histories)
def test_the_reference_and_all_sites_never_clobber_whatever_the_schedule(history):
    reference, all_sites = (replay_strategy(CASE, rules, history) for rules in (CASE.reference, CASE.strategy("all-sites")))
    assert len(reference.clobbers) == len(all_sites.clobbers) == 0
    assert (reference.entries == all_sites.entries)[history.ok].all()


@given(history=histories, swap=st.permutations([0, 1]))
def test_relabelling_the_sessions_changes_nothing(history, swap):
    order = np.array(swap)
    other = dataclasses.replace(history, session=order[history.session], initial=history.initial[np.argsort(order)])
    for rules in ALL:
        one, two = replay_strategy(CASE, rules, history), replay_strategy(CASE, rules, other)
        assert columns(one.clobbers) == columns(two.clobbers)
        assert (one.entries == two.entries)[history.ok].all()
        assert (one.lost == two.lost).all()


@given(history=histories, swap=st.permutations(range(1, len(VALUES) + 1)))
def test_relabelling_the_values_changes_nothing_else(history, swap):
    order = np.array(swap, dtype=np.int32)
    other = dataclasses.replace(history, request=permuted(history.request, order), initial=permuted(history.initial, order))
    for rules in ALL:
        one, two = replay_strategy(CASE, rules, history), replay_strategy(CASE, rules, other)
        renamed = {name: permuted(getattr(one.clobbers, name), order).tolist() for name in ("wrong", "right", "fresh", "stale")}
        assert columns(one.clobbers) | renamed == columns(two.clobbers)
        assert (permuted(one.entries[history.ok], order) == two.entries[history.ok]).all()


@given(history=histories)
def test_a_race_needs_a_snapshot_that_differs_from_the_fresh_entry(history):
    for rules in ALL:
        outcomes = replay_strategy(CASE, rules, history)
        for culprit in outcomes.clobbers.culprit[outcomes.clobbers.racing]:
            earlier = [row for row in range(culprit) if history.ok[row] and history.session[row] == history.session[culprit]]
            start = history.initial[history.session[culprit]]
            fresh = outcomes.entries[earlier[-1]] if earlier else start
            snapshot = outcomes.entries[history.snapshot[culprit]] if history.snapshot[culprit] >= 0 else start
            assert (fresh != snapshot).any()


@given(history=histories)
def test_clobbers_are_the_fields_where_committed_and_right_differ_each_once_and_of_one_kind(history):
    for rules in ALL:
        outcomes = replay_strategy(CASE, rules, history)
        found = outcomes.clobbers
        assert (found.wrong != found.right).all()
        assert (found.wrong == outcomes.entries[found.culprit, found.field]).all()
        assert len(set(zip(found.culprit.tolist(), found.field.tolist(), strict=True))) == len(found)
        assert sum(np.count_nonzero(found.kind == kind) for kind in range(len(KINDS))) == len(found)
        assert (found.until > history.end[found.culprit]).all()
        assert (outcomes.lost <= outcomes.writes).all()
        assert outcomes.lost.sum() == np.count_nonzero(found.victim >= 0)


@given(history=histories)
def test_a_transaction_that_gave_up_changes_nothing(history):
    kept, number = np.flatnonzero(history.ok), np.append(np.cumsum(history.ok) - 1, -1)
    perrow = {name: getattr(history, name)[kept] for name in PER_ROW}
    without = dataclasses.replace(history, **perrow | {"snapshot": number[history.snapshot[kept]]})
    for rules in ALL:
        one, two = replay_strategy(CASE, rules, history), replay_strategy(CASE, rules, without)
        renumbered = {name: number[getattr(one.clobbers, name)].tolist() for name in ("culprit", "victim")}
        assert columns(one.clobbers) | renumbered == columns(two.clobbers)
        assert (one.entries[kept] == two.entries).all()


@settings(max_examples=15)
@given(workload=workloads(), seed=SEEDS)
def test_the_same_seed_gives_the_same_bytes(workload, seed):
    def go(strategy):
        history = simulate(workload, CASE, draw(workload, CASE, seed, 0), strategy.discipline)
        outcomes = replay_strategy(CASE, strategy, history)
        return history, outcomes.entries[history.ok].tobytes(), columns(outcomes.clobbers), outcomes.lost.tobytes()

    for strategy in CASE.strategies.values():
        one, two = go(strategy), go(strategy)
        assert same(one[0], two[0])
        assert one[1:] == two[1:]


def test_the_request_keys_of_the_generators_are_those_of_the_case():
    assert set(REQUEST) >= {"channel", "to", "accountId", "threadId", *FIELDS}
