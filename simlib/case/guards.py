"""Whether a guard lets a write through: the one place that says what a comparison comes to.

Both models, replay, search and testbed ask here, at the moment of the comparison. Compiled by numba, plain Python when
`NUMBA_DISABLE_JIT=1`.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.case.evaluator import merged, written
from simlib.case.rules import Program
from simlib.common.arrays import Bools, Ints
from simlib.common.compilation import inlined

UNGUARDED, VERSION, FIELDS, OWNER, REORDERED = range(5)
CODES = {"version": VERSION, "fields": FIELDS, "owner": OWNER, "reordered_bytes": REORDERED}


class Guards(NamedTuple):
    """The comparisons of a discipline, as tables.

    Attributes:
        compared: (sites,) UNGUARDED, or what is compared.
        fields: (sites, fields) whether the field is compared.
    """

    compared: Ints
    fields: Bools


def tabulate_guards(case: Case, discipline: Discipline) -> Guards:
    """The tables of a discipline."""
    compared = [CODES[guard.compared] if guard else UNGUARDED for guard in discipline.guards]
    fields = [[guard is not None and field in guard.fields for field in case.fields] for guard in discipline.guards]
    return Guards(np.array(compared, dtype=np.int64), np.array(fields, dtype=np.bool_))


@inlined
def lets_through(
    guards: Guards, program: Program, site: int, committed: bool, ever: bool,
    entries: Any, stale: int, fresh: int, requests: Any, row: int,
) -> bool:  # fmt: skip
    """Whether the site's write is accepted.

    Args:
        guards: from `tabulate_guards`.
        program: the strategy's rules, which `owner` runs.
        site: number of the write site.
        committed: whether anybody has committed since the snapshot, to what the guard's version is of.
        ever: whether anybody has ever committed to this entry.
        entries: (entries, fields) value codes.
        stale: the row of `entries` that the snapshot shows.
        fresh: the row that the store holds now.
        requests: (requests, keys) value codes.
        row: the row of `requests`.
    """
    compared = guards.compared[site]
    if compared == VERSION:
        return not committed
    if compared == REORDERED:
        return not ever
    if compared == FIELDS:
        return _equal(guards, site, entries, stale, fresh)
    if compared == OWNER:
        return _keeps(guards, program, site, entries, stale, fresh, requests, row)
    return True


@inlined
def _equal(guards: Guards, site: int, entries: Any, stale: int, fresh: int) -> bool:
    """Whether snapshot and store agree in all fields that are compared."""
    for field in range(guards.fields.shape[1]):
        if guards.fields[site, field] and entries[stale, field] != entries[fresh, field]:
            return False
    return True


@inlined
def _keeps(guards: Guards, program: Program, site: int, entries: Any, stale: int, fresh: int, requests: Any, row: int) -> bool:
    """Whether the write leaves the fields that are compared as the store has them."""
    for rule in range(program.first[site], program.first[site + 1]):
        field = program.field[rule]
        patch, _ = written(program, rule, entries, stale, fresh, requests, row)
        if guards.fields[site, field] and merged(entries[fresh, field], patch) != entries[fresh, field]:
            return False
    return True
