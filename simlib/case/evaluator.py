"""What a rule writes: the tables of `rules` and of `pairs`, run over integer-coded entries.

`evaluate` says what rules mean, and serves the search and the testbed. `written` is the form in which replay runs them, one
rule of a pair at a time, with the delivery context written out; tests hold the two together. Both are compiled by numba and are
plain Python when `NUMBA_DISABLE_JIT=1`. Nothing else in this room needs numba, so that a case is loaded without it.
"""

from typing import Any

import numpy as np

from simlib.case.pairs import ALWAYS, NO_KEY, NO_RULE, SET_BITS
from simlib.case.rules import (
    ABSENT,
    BANK,
    DEFINED,
    EFFECTIVE_FRESH,
    EFFECTIVE_STALE,
    EFFECTIVE_STALE_ALONE,
    FRESH,
    LITERAL,
    NO_SOURCE,
    REQUEST,
    REQUESTED,
    STALE,
    UNDEFINED,
    Context,
    Program,
)
from simlib.common.compilation import compiled, inlined


@compiled
def first_defined(columns: Any, values: Any) -> int:
    """The first defined one of `values[columns]`, else UNDEFINED. An absent key counts as undefined, as in JavaScript."""
    for column in columns:
        if column == NO_SOURCE:
            break
        if values[column] > UNDEFINED:
            return int(values[column])
    return UNDEFINED


@compiled
def request_counts(context: Context, entry: Any, request: Any) -> bool:
    """Whether the request may fill gaps of the entry's delivery context: not if both name a channel and the two differ."""
    stored = first_defined(context.conflict_entry, entry)
    asked = first_defined(context.conflict_request, request)
    return asked in (UNDEFINED, stored) or stored == UNDEFINED


@compiled
def fetch(source: int, context: Context, stale: Any, fresh: Any, request: Any) -> tuple[int, bool]:
    """The value of one source (UNDEFINED if it has none), and whether it is the request's."""
    bank, index = source // BANK, source % BANK
    if bank == STALE:
        return stale[index], False
    if bank == FRESH:
        return fresh[index], False
    if bank == REQUEST:
        return max(request[index], UNDEFINED), True
    if bank == LITERAL:
        return UNDEFINED, False
    entry = fresh if bank == EFFECTIVE_FRESH else stale
    value = first_defined(context.entry[index], entry)
    if value == UNDEFINED and bank != EFFECTIVE_STALE_ALONE and request_counts(context, entry, request):
        return first_defined(context.request[index], request), True
    return value, False


@compiled
def evaluate(program: Program, site: int, stale: Any, fresh: Any, request: Any, patch: Any, asked: Any) -> None:
    """What the site writes: fills `patch` (a value code, UNDEFINED, or ABSENT) and `asked` (is the value the request's).

    Args:
        program: the strategy's tables.
        site: the write site's number.
        stale: the snapshot, a value code for each field.
        fresh: the entry in the lock, likewise.
        request: a value code for each request key, UNDEFINED for "clear it", ABSENT where the caller did not name it.
        patch: out, (fields,).
        asked: out, (fields,); meaningful where `patch` is not ABSENT.
    """
    patch[:] = ABSENT
    for row in range(program.first[site], program.first[site + 1]):
        unless = program.unless[row]
        if unless != NO_SOURCE and fetch(unless, program.context, stale, fresh, request)[0] != UNDEFINED:
            continue
        if program.when[row] == REQUESTED and request[program.sources[row, 0] % BANK] == ABSENT:
            continue
        value, from_request = UNDEFINED, False
        for source in program.sources[row]:
            if source == NO_SOURCE:
                break
            value, from_request = fetch(source, program.context, stale, fresh, request)
            if value != UNDEFINED:
                break
        if value == UNDEFINED and program.when[row] == DEFINED:
            continue
        patch[program.field[row]] = value
        asked[program.field[row]] = from_request


@compiled
def merge(fresh: Any, patch: Any, entry: Any) -> None:
    """JavaScript's `{...fresh, ...patch}` into `entry`: an absent key keeps the fresh value, an undefined one erases it."""
    for field in range(fresh.size):
        entry[field] = fresh[field] if patch[field] == ABSENT else patch[field]


# ---- what replay runs for each transaction -----------------------------------------------------------------------------------


@compiled
def named_keys(request: Any) -> Any:
    """(transactions,) the request keys that each transaction names, as a set; ALWAYS is in each."""
    named = np.full(request.shape[0], ALWAYS, dtype=np.int64)
    bit = 1 << np.arange(request.shape[1]) % SET_BITS
    for row in range(request.shape[0]):
        for key in range(request.shape[1]):
            named[row] |= (request[row, key] != ABSENT) * bit[key]
    return named


@inlined
def written(
    when: Any, value: Any, unless: Any, pair: int, side: int, versions: Any, stale: int, fresh: int, request: Any, row: int,
    conflict_entry: Any, conflict_request: Any,
) -> tuple[int, bool]:  # fmt: skip
    """What one rule puts into its field (ABSENT: nothing), and whether that is the request's value; see `evaluate`."""
    if when[pair, side] == NO_RULE:
        return ABSENT, False
    if when[pair, side] == REQUESTED and request[row, value[pair, side, 0] % BANK] == ABSENT:
        return ABSENT, False
    if unless[pair, side, 0] != NO_SOURCE:
        stands, _ = chain(unless, pair, side, versions, stale, fresh, request, row, conflict_entry, conflict_request)
        if stands != UNDEFINED:
            return ABSENT, False
    code, asked = chain(value, pair, side, versions, stale, fresh, request, row, conflict_entry, conflict_request)
    return ABSENT if code == UNDEFINED and when[pair, side] == DEFINED else code, asked


@inlined
def chain(
    sources: Any, pair: int, side: int, versions: Any, stale: int, fresh: int, request: Any, row: int, conflict_entry: Any,
    conflict_request: Any,
) -> tuple[int, bool]:  # fmt: skip
    """The first defined value of a chain of sources, else UNDEFINED; and whether the last source looked at is the request."""
    code, asked = UNDEFINED, False
    for place in range(sources.shape[2]):
        source = sources[pair, side, place]
        if source == NO_SOURCE:
            break
        bank, index, asked = source // BANK, source % BANK, False
        if bank == STALE:
            code = versions[stale, index]
        elif bank == FRESH:
            code = versions[fresh, index]
        elif bank == REQUEST:
            code, asked = max(request[row, index], UNDEFINED), True
        elif bank != LITERAL:
            entry = stale if bank == EFFECTIVE_STALE else fresh
            asked = counts(versions, entry, request, row, conflict_entry, conflict_request)
            code = max(request[row, index], UNDEFINED) if asked and index != NO_KEY else UNDEFINED
        if code != UNDEFINED:
            break
    return code, asked


@inlined
def counts(versions: Any, entry: int, request: Any, row: int, conflict_entry: Any, conflict_request: Any) -> bool:
    """Whether the request fills gaps of that entry's delivery context; see `request_counts`."""
    stored = asked = UNDEFINED
    for place in range(conflict_entry.size):
        if stored == UNDEFINED:
            stored = versions[entry, conflict_entry[place]]
    for place in range(conflict_request.size):
        if asked == UNDEFINED:
            asked = max(request[row, conflict_request[place]], UNDEFINED)
    return stored in (UNDEFINED, asked) or asked == UNDEFINED
