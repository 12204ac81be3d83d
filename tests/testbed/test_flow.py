"""Disciplines on real stores: replay gives their content, and their histories keep what the disciplines promise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cures import BARE, FIELDS, RETRIES, cured, guarded, lock, run_here
from schedules import CASE

from simlib.case.discipline import Guard, Pause
from simlib.case.guards import lets_through, tabulate_guards
from simlib.common.errors import InputError
from simlib.model.history import COMMITTED, CONFLICT, FAILED, SKIPPED, TIMED_OUT, read_parquet, same, write_parquet
from simlib.model.history_check import check_numbers
from simlib.replay.replay import replay_strategy
from simlib.testbed.export import write_recording
from simlib.testbed.run import TestbedRun

VERSION = guarded(Guard("version", attempts=3, pause=RETRIES))
GUARDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "version without a lock": ("sqlite", {**BARE, **VERSION}),
    "version in SQLite's lock": ("sqlite", VERSION),
    "version in a lock file": ("file", VERSION),
    "fields without a lock": ("sqlite", {**BARE, **guarded(Guard("fields", FIELDS, attempts=2))}),
    "fields compared and stored": ("sqlite", {**BARE, **guarded(Guard("fields", FIELDS)), "stores": "fields"}),
    "owner without a lock": ("sqlite", {**BARE, **guarded(Guard("owner", FIELDS, attempts=2, used_up="skip"))}),
    "reordered bytes": ("sqlite", {**BARE, **guarded(Guard("reordered_bytes", used_up="skip"))}),
    "tried again in the lock": (
        "sqlite",
        guarded(Guard("version", attempts=3, pause=Pause(0.004, in_lock=True), again="patch", used_up="write")),
    ),
}
OF_THE_STORE = guarded(Guard("version", scope="store", attempts=2))
SAFE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: parts for name, parts in GUARDED.items() if name.startswith("version")},
    "version of the store, rows": ("sqlite", {**BARE, **OF_THE_STORE}),
    "version of the store, one file": ("file", OF_THE_STORE),
}
UNGUARDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "no lock, one file": ("file", {**BARE, "stores": "store"}),
    "no lock, files apart": ("file", BARE),
    "no lock, rows": ("sqlite", BARE),
    "no lock, fields": ("sqlite", {**BARE, "stores": "fields"}),
    "entry locks, files apart": ("file", lock("entry", "merge")),
    "entry locks, one file": ("file", {**lock("entry", "merge"), "stores": "store"}),
    "a degrading lock": ("file", lock("store", "transaction", timeout=0.01, late="go_on")),
    "a memory": ("sqlite", {**BARE, "snapshots": ("memory",) * 5}),
    "a gap in rows": ("sqlite", {**BARE, **guarded(Guard("version", atomic=False, attempts=2))}),
    "a gap in one file": ("file", {**BARE, **guarded(Guard("version", atomic=False)), "stores": "store"}),
}
BOTH = (*lock("entry", "flow")["locks"], *lock("store", "merge")["locks"])
PAST_CACHES = {"snapshots": tuple("direct" if word == "own" else word for word in CASE.snapshots)}
"""What a cache shows may be a tick of the mtime behind, whatever lock is held."""
WIDE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "entry locks over the work, files": ("file", lock("entry", "transaction") | PAST_CACHES),
    "entry locks over the work, rows": ("sqlite", lock("entry", "transaction")),
    "an entry's over the flow, the store's for each merge": ("sqlite", {"locks": BOTH}),
    "a lock over the flow": ("file", lock("entry", "flow") | PAST_CACHES),
    "a lock that refuses at once": ("sqlite", lock("store", "flow", timeout=0.0)),
}


def run(store: str, parts: Mapping[str, Any], folder: Path) -> TestbedRun:
    """A run whose content replay has given, and whose history could have come from anywhere."""
    found = run_here(cured(**parts), store, folder)
    check_numbers(found.history, store)
    return found


def clobbers(found: TestbedRun) -> int:
    return len(replay_strategy(found.case, found.case.strategy("cured"), found.history).clobbers)


@pytest.mark.parametrize("name", GUARDED)
def test_a_guard_of_a_real_store_decides_as_the_shared_comparison_does(name: str, tmp_path: Path) -> None:
    """On the entry that the write was merged over, or lost against; also in an UPDATE's WHERE."""
    store, parts = GUARDED[name]
    found = run(store, parts, tmp_path)
    history, case, strategy = found.history, found.case, found.case.strategy("cured")
    attempts, guards = history.attempts, tabulate_guards(case, strategy.discipline)
    assert attempts is not None
    assert (attempts.outcome != COMMITTED).any()
    for row in range(len(history)):
        site, session, base, snapshot = (int(x[row]) for x in (history.site, history.session, attempts.base, history.snapshot))
        entries = np.stack([found.written[of] if of >= 0 else history.initial[session] for of in (snapshot, base)])
        guard = strategy.discipline.guards[site]
        assert guard is not None
        lets = lets_through(guards, strategy.program, site, snapshot != base, base >= 0, entries, 0, 1, history.request, row)
        written_anyway = guard.used_up == "write" and attempts.number[row] == guard.attempts
        assert lets or written_anyway or attempts.outcome[row] in (CONFLICT, FAILED, SKIPPED)
        assert not lets or attempts.outcome[row] == COMMITTED


@pytest.mark.parametrize("name", SAFE)
def test_a_version_that_is_compared_in_the_moment_of_the_write_never_clobbers(name: str, tmp_path: Path) -> None:
    assert clobbers(run(*SAFE[name], tmp_path)) == 0


@pytest.mark.parametrize("name", UNGUARDED)
def test_what_no_lock_and_no_guard_keeps_apart_clobbers_as_replay_says(name: str, tmp_path: Path) -> None:
    assert clobbers(run(*UNGUARDED[name], tmp_path)) > 0


@pytest.mark.parametrize("name", WIDE)
def test_a_lock_over_the_whole_work_never_clobbers(name: str, tmp_path: Path) -> None:
    found = run(*WIDE[name], tmp_path)
    assert clobbers(found) == 0
    refused = (found.history.attempts.outcome == TIMED_OUT).any() if found.history.attempts else False
    assert refused == ("refuses" in name)


def test_each_request_is_committed_once_or_failed_loudly_once(tmp_path: Path) -> None:
    store, parts = GUARDED["version without a lock"]
    found = run(store, parts, tmp_path)
    attempts = found.history.attempts
    assert attempts is not None
    last = attempts.outcome != CONFLICT
    assert sorted(attempts.transaction[last]) == list(range(found.traffic.site.size))
    assert set(attempts.outcome[last]) == {COMMITTED, FAILED}
    for transaction in range(found.traffic.site.size):
        mine = attempts.number[attempts.transaction == transaction]
        assert mine.tolist() == list(range(1, mine.size + 1))


def test_with_unlimited_attempts_and_one_writer_everything_commits_at_once(tmp_path: Path) -> None:
    alone = ("traffic.patch.rate=0", "traffic.turn.rate=10", "sessions.count=1", "store.gateways=1", "times.handler.prepare=0")
    found = run_here(cured(**BARE, **guarded(Guard("version", attempts=1000))), "sqlite", tmp_path, overrides=alone)
    assert found.history.attempts is not None
    assert (found.history.attempts.outcome == COMMITTED).all()


def test_a_history_with_attempts_comes_back_from_parquet_and_is_no_recording(tmp_path: Path) -> None:
    store, parts = GUARDED["version without a lock"]
    found = run(store, parts, tmp_path)
    write_parquet(found.history, tmp_path / "run.parquet", "cured")
    assert same(read_parquet(tmp_path / "run.parquet", found.case), found.history)
    with pytest.raises(InputError, match="a recording has no attempts"):
        write_recording(found, tmp_path / "run.jsonl.gz")
