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
    DEFINED,
    EFFECTIVE_STALE,
    FRESH,
    LITERAL,
    NO_KEY,
    NO_RULE,
    NO_SOURCE,
    REQUEST,
    REQUESTED,
    STALE,
    UNDEFINED,
    Program,
)
from simlib.common.compilation import compiled, inlined, lean


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
    if when == REQUESTED and requests[row, program.value[rule, 0] % BANK] == ABSENT:
        return ABSENT, False
    if program.unless[rule, 0] != NO_SOURCE:
        stands, _ = _first_defined(program.unless, program, rule, entries, stale, fresh, requests, row)
        if stands != UNDEFINED:
            return ABSENT, False
    code, asked = _first_defined(program.value, program, rule, entries, stale, fresh, requests, row)
    return ABSENT if code == UNDEFINED and when == DEFINED else code, asked


@inlined
def _first_defined(
    sources: Any, program: Program, rule: int, entries: Any, stale: int, fresh: int, requests: Any, row: int
) -> tuple[int, bool]:
    """The first defined value of a chain of sources, else UNDEFINED; and whether the last source looked at is the request."""
    code, asked = UNDEFINED, False
    for place in range(sources.shape[1]):
        source = sources[rule, place]
        if source == NO_SOURCE:
            break
        bank, index, asked = source // BANK, source % BANK, False
        if bank == STALE:
            code = entries[stale, index]
        elif bank == FRESH:
            code = entries[fresh, index]
        elif bank == REQUEST:
            code, asked = max(requests[row, index], UNDEFINED), True
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


@compiled
def named_keys(request: Any) -> Any:
    """(transactions,) the request keys that each transaction names, as a set; ALWAYS is in each."""
    named = np.full(request.shape[0], ALWAYS, dtype=np.int64)
    bit = 1 << np.arange(request.shape[1]) % SET_BITS
    for row in range(request.shape[0]):
        for key in range(request.shape[1]):
            named[row] |= (request[row, key] != ABSENT) * bit[key]
    return named
