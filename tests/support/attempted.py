"""Histories with attempts: random ones, and a naive replay of them to compare with.

The naive replay keeps the whole store after each row, as plain dictionaries, and runs every rule of every row.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from dictionary_replay import Entry, Found, Writer, kind_of, merged
from generators import requests
from hypothesis import strategies as st
from timelines import Row, timeline

from simlib.case.case import Case, Strategy
from simlib.common.files import load_yaml
from simlib.common.shipped import find
from simlib.model.history import COMMITTED, CONFLICT, FAILED, SKIPPED, TIMED_OUT, Attempts, History

ENDS = (COMMITTED,) * 6 + (TIMED_OUT, CONFLICT, CONFLICT, FAILED, SKIPPED)


@st.composite
def attempted(draw: st.DrawFn, sessions: int = 3, most: int = 14) -> History:
    """Any history with attempts that passes its checks: snapshots and merged-over entries as old as they like.

    Shrinks towards few rows, each an up-to-date commit.
    """
    rows: list[Row] = []
    columns: list[tuple[int, ...]] = []
    committed: list[list[int]] = [[-1] for _ in range(sessions)]
    for number in range(draw(st.integers(1, most))):
        site = draw(st.sampled_from(["handler", "patch", "inbound", "run_start"]))
        session, outcome = draw(st.integers(0, sessions - 1)), draw(st.sampled_from(ENDS))
        seen = number - draw(st.integers(0, min(number, 5)))
        mine = committed[session][::-1]
        base = draw(st.sampled_from([row for row in mine if row < seen]))
        columns.append((number, draw(st.integers(1, 3)), outcome, base, seen))
        ok, snapshot = outcome == COMMITTED, draw(st.sampled_from(mine))
        rows.append(Row(site, number, number, number, session=session, ok=ok, snapshot=snapshot, request=draw(requests(site))))
        if ok:
            committed[session].append(number)
    history = tried(timeline(*rows, sessions=sessions), *zip(*columns, strict=True))
    return replace(history, initial=draw(st.sampled_from([history.initial, history.initial + 1])))


def tried(history: History, transaction: Any, number: Any, outcome: Any, base: Any, seen: Any, began: Any = None) -> History:
    """The history with these columns of its attempts; `ok` as they say. A transaction begins when it reads, if not said."""
    columns = [np.array(column, dtype=np.int64) for column in (transaction, number, outcome, base, seen)]
    started = history.read if began is None else np.array(began, dtype=np.float64)
    attempts = Attempts(*columns, began=started)
    return replace(history, ok=attempts.outcome == COMMITTED, attempts=attempts)


class Naive(NamedTuple):
    """What the naive replay finds; of `found` the order within a row is its own."""

    entries: list[Entry]
    found: list[Found]
    until: list[float]
    writes: list[int]
    lost: list[int]
    false_conflict: list[bool]


def naive_replay(case: Case, strategy: Strategy, stores: str, history: History) -> Naive:
    """Replay row by row, with the whole store kept after each."""
    context = load_yaml(find("cases", case.name))["effective"]

    def writers(of: Strategy) -> list[dict[str, Writer]]:
        return [{field: Writer(field, rule, context) for field, rule in of.rules[site].items()} for site in case.sites]

    ours, serial = writers(strategy), writers(case.reference)
    attempts, size = history.attempts, len(history)
    assert attempts is not None
    initial = [{n: c for n, c in zip(case.fields, row, strict=True) if c > 0} for row in history.initial.tolist()]
    stores_after: list[list[Entry]] = []  # the whole store, after each row
    books = Naive([], [], [], [0] * size, [0] * size, [False] * size)
    author: dict[tuple[int, str], int] = {}
    standing: dict[tuple[int, str], int] = {}

    def stood(rows: int) -> list[Entry]:
        return stores_after[rows - 1] if rows else initial

    for row in range(size):
        session, site = int(history.session[row]), int(history.site[row])
        store = list(stood(row))
        outcome, snapshot, over = (int(column[row]) for column in (attempts.outcome, history.snapshot, attempts.base))
        fresh = store[session]
        stale = initial[session] if snapshot < 0 else books.entries[snapshot]
        base = fresh if stores == "fields" else initial[session] if over < 0 else books.entries[over]
        codes = history.request[row].tolist()
        request = {key: code or None for key, code in zip(case.request, codes, strict=True) if code >= 0}
        patch = {f: v for f, rule in ours[site].items() if (v := rule(stale, base, request)) is not None}
        intended = {f: v for f, rule in serial[site].items() if (v := rule(fresh, fresh, request)) is not None}
        left = list(stood(int(attempts.seen[row]))) if stores == "store" else list(store)
        left[session] = merged(base, patch)
        right = list(store)
        right[session] = merged(fresh, intended)
        if outcome in (CONFLICT, FAILED, SKIPPED):
            books.false_conflict[row] = left == right
        if outcome == COMMITTED:
            for number in range(len(store)):
                for field in case.fields:
                    own = number == session
                    sets = own and case.roles[site] == "write" and field in intended and intended[field][1]
                    was, value, meant = (entry[number].get(field) for entry in (store, left, right))
                    place = (number, field)
                    books.writes[row] += sets
                    if place in standing and (sets or value != meant or value != was):
                        books.until[standing.pop(place)] = float(history.end[row])
                    if value == meant:
                        if sets:
                            author[place] = row
                        elif value != was:
                            author.pop(place, None)
                        continue
                    victim = row if sets else author.get(place) if meant == was else None
                    author.pop(place, None)
                    if victim is not None:
                        books.lost[victim] += 1
                    alone = ours[site][field](fresh, fresh, request) if own and field in ours[site] else None
                    racing = (was if alone is None else alone[0]) == meant
                    older = value != was and not (own and field in patch)  # written with the older entry, or file
                    shown = left[number] if older else stale
                    kind = kind_of(field, shown, store[number], left[number], own and field in patch and patch[field][1])
                    standing[place] = len(books.found)
                    books.until.append(float("inf"))
                    books.found.append(Found(row, victim, field, kind, racing, value, meant, was, shown.get(field)))
            store = left
        stores_after.append(store)
        books.entries.append(store[session])
    return books
