"""What a rule writes: the tables of `rules`, run over integer-coded entries.

Replay, search, testbed and counterexamples all ask here. Entries are rows of a table (entries, fields), a request is a row of a
table (requests, keys): value codes, UNDEFINED for "not there" in an entry and for "clear it" in a request, ABSENT where the
caller named no such key. Compiled by numba, plain Python when `NUMBA_DISABLE_JIT=1`. Nothing else in this room needs numba, so
that a case is loaded without it.
"""

from typing import Any

import numpy as np

from simlib.case.pairs import ALWAYS, SET_BITS
from simlib.case.rules import (
    ABSENT,
    BANK,
    BANKS,
    COMMUTATIVE_FRESH,
    COMMUTATIVE_STALE,
    DEFINED,
    EFFECTIVE_STALE,
    FRESH,
    LITERAL,
    NO_KEY,
    NO_RULE,
    NO_SOURCE,
    ORDERED_STALE,
    OVERLAY_FRESH,
    OVERLAY_STALE,
    REQUEST,
    REQUESTED,
    STALE,
    UNDEFINED,
    UPDATED,
    Program,
)
from simlib.common.compilation import compiled, inlined, lean

_WORD = 1 << 32


@lean
def evaluate(program: Program, site: int, entries: Any, stale: int, fresh: int, requests: Any, row: int, patch: Any) -> None:
    """What the site writes: fills `patch` (fields,) with a value code, UNDEFINED, or ABSENT.

    Args:
        program: the strategy's tables.
        site: the write site's number.
        entries: (entries, fields) value codes.
        stale: the row of `entries` that the snapshot shows.
        fresh: the one that the lock shows.
        requests: (requests, keys) value codes.
        row: the row of `requests`.
        patch: out.
    """
    for field in range(patch.size):
        patch[field] = ABSENT
    for rule in range(program.first[site], program.first[site + 1]):
        patch[program.field[rule]], _ = written(program, rule, entries, stale, fresh, requests, row)


@lean
def merge(fresh: Any, patch: Any, entry: Any) -> None:
    """JavaScript's `{...fresh, ...patch}` into `entry`: an absent key keeps the fresh value, an undefined one erases it."""
    for field in range(fresh.size):
        entry[field] = merged(fresh[field], patch[field])


@inlined
def merged(fresh: int, patch: int) -> int:
    """The same for one field."""
    return fresh if patch == ABSENT else patch


@inlined
def written(program: Program, rule: int, entries: Any, stale: int, fresh: int, requests: Any, row: int) -> tuple[int, bool]:
    """What one rule puts into its field (ABSENT: nothing), and whether that is the request's value."""
    when = program.when[rule]
    if when == NO_RULE:
        return ABSENT, False
    if when == REQUESTED and requests[row, program.asks[rule]] == ABSENT:
        return ABSENT, False
    if program.unless[rule, 0] != NO_SOURCE:
        stands, _ = _first_defined(program.unless, program, rule, entries, stale, fresh, requests, row)
        if stands != UNDEFINED:
            return ABSENT, False
    for condition in range(program.needs[rule], program.needs[rule + 1]):
        holds, _ = _first_defined(program.condition, program, condition, entries, stale, fresh, requests, row)
        if holds == UNDEFINED:
            return ABSENT, False
    code, asked = _first_defined(program.value, program, rule, entries, stale, fresh, requests, row)
    return ABSENT if code == UNDEFINED and when == DEFINED else code, asked


@inlined
def _first_defined(
    chains: Any, program: Program, chain: int, entries: Any, stale: int, fresh: int, requests: Any, row: int
) -> tuple[int, bool]:
    """The first defined value of a chain of sources, else UNDEFINED; and whether the last source looked at is the request."""
    code, asked = UNDEFINED, False
    for place in range(chains.shape[1]):
        source = chains[chain, place]
        if source == NO_SOURCE:
            break
        bank, index, asked = source // BANK, source % BANK, False
        if bank == STALE:
            code = entries[stale, index]
        elif bank == FRESH:
            code = entries[fresh, index]
        elif bank == REQUEST:
            code, asked = max(requests[row, index], UNDEFINED), True
        elif bank > LITERAL:
            code, asked = _combined(bank % BANKS, bank // BANKS, index, entries, stale, fresh, requests, row)
        elif bank != LITERAL:
            asked = _counts(program, entries, stale if bank == EFFECTIVE_STALE else fresh, requests, row)
            code = max(requests[row, index], UNDEFINED) if asked and index != NO_KEY else UNDEFINED
        if code != UNDEFINED:
            break
    return code, asked


@inlined
def _counts(program: Program, entries: Any, entry: int, requests: Any, row: int) -> bool:
    """Whether the request fills gaps of that entry's delivery context: not if both name, say, a channel and the two differ."""
    stored = asked = UNDEFINED
    for place in range(program.conflict_entry.size):
        if stored == UNDEFINED:
            stored = entries[entry, program.conflict_entry[place]]
    for place in range(program.conflict_request.size):
        if asked == UNDEFINED:
            asked = max(requests[row, program.conflict_request[place]], UNDEFINED)
    return stored in (UNDEFINED, asked) or asked == UNDEFINED


@inlined
def _combined(
    bank: int, key: int, field: int, entries: Any, stale: int, fresh: int, requests: Any, row: int
) -> tuple[int, bool]:
    """What an entry's field and a request key come to, and whether the request names that key; if not, the field as it is."""
    entry = stale if bank in (OVERLAY_STALE, ORDERED_STALE, COMMUTATIVE_STALE) else fresh
    old, asked = entries[entry, field], requests[row, key]
    if asked == ABSENT:
        return old, False
    if bank in (OVERLAY_STALE, OVERLAY_FRESH):
        return asked, True
    return updated(old, asked, bank in (COMMUTATIVE_STALE, COMMUTATIVE_FRESH)), True


@inlined
def updated(old: int, asked: int, commutative: bool) -> int:
    """The code of `update(old, request)`, a function of which nothing is known but whether its updates commute.

    Equal arguments give equal codes, others different ones (but for one in 2^30): those of a set of updates in any order if
    they commute, where each counts as often as it is made; else those of a chain of updates.

    Args:
        old: value code; it may be what updates left.
        asked: the request's value code, UNDEFINED to clear, which is an update like others.
        commutative: whether updates may be made in any order.

    Examples:
        >>> updated(updated(3, 1, True), 2, True) == updated(updated(3, 2, True), 1, True)
        True
        >>> updated(updated(3, 1, False), 2, False) == updated(updated(3, 2, False), 1, False)
        False
    """
    old, step = int(old), _scrambled(UPDATED + int(asked))  # without numba, too, they are no 32-bit numbers
    if not commutative:
        return UPDATED + _scrambled((_scrambled(old) + step) % _WORD) % UPDATED
    before = old - UPDATED if old >= UPDATED else _scrambled(old)
    return UPDATED + (before + step) % UPDATED


@inlined
def _scrambled(number: int) -> int:
    """One 32-bit number for another; neighbours end far apart, and 0 stays."""
    for _ in range(2):
        number = (number >> 16 ^ number) * 0x45D9F3B % _WORD
    return number >> 16 ^ number


@compiled
def named_keys(request: Any) -> Any:
    """(transactions,) the request keys that each transaction names, as a set; ALWAYS is in each."""
    named = np.full(request.shape[0], ALWAYS, dtype=np.int64)
    bit = 1 << np.arange(request.shape[1]) % SET_BITS
    for row in range(request.shape[0]):
        for key in range(request.shape[1]):
            named[row] |= (request[row, key] != ABSENT) * bit[key]
    return named
