"""What a write can rely on when it commits, whoever else reads and writes: its locks and its guard give it.

Nothing here looks at rules; `certificate` asks whether, of all writes that this leaves possible, one is wrong.
"""

from typing import NamedTuple

from simlib.case.case import Case
from simlib.case.discipline import Discipline, Guard, Lock

WHOLE_ENTRY = ("version", "reordered_bytes")
"""Guards that let a write through only while nobody has committed to its entry."""


class Reliance(NamedTuple):
    """What holds at every commit of one site.

    Attributes:
        broken: why the entry that the patch is merged over need not be the newest at the commit; empty: it always is.
        same: the fields in which snapshot and store agree.
        kept: the fields that the write leaves as the store has them.
    """

    broken: str = ""
    same: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()


def rely(case: Case, discipline: Discipline, site: str) -> Reliance:
    """What the writes of a site can rely on.

    Args:
        case: the case.
        discipline: of one of its strategies.
        site: name of the write site.
    """
    number = case.sites.index(site)
    word, guard = discipline.snapshots[number], discipline.guards[number]
    alone = _exclusive(case, discipline)
    if guard and (guard.used_up == "write" or not guard_holds(case, discipline, site)):
        guard = None
    if not (alone or discipline.stores == "fields" or (guard and _holds_base(guard, discipline))):
        return Reliance(broken=_why_broken(discipline))
    own_time = word == "direct" and any(site in lock.sites and lock.span != "merge" for lock in alone)
    untouched = guard and guard.compared in WHOLE_ENTRY
    if own_time or untouched or (word == "none" and alone):
        return Reliance(same=frozenset(case.fields))
    compared = frozenset(guard.fields) if guard else frozenset()
    is_owner = guard is not None and guard.compared == "owner"
    return Reliance(kept=compared) if is_owner else Reliance(same=compared)


def _exclusive(case: Case, discipline: Discipline) -> list[Lock]:
    """The locks by which each commit to an entry excludes all others; none if a site takes none of a scope.

    A lock on the store and one on an entry do not exclude each other; who may go on without a lock excludes nobody; and who
    stores the whole file must be alone with the file.
    """
    found = []
    for scope in ("store",) if discipline.stores == "store" else ("store", "entry"):
        locks = [lock for lock in discipline.locks if lock.scope == scope and lock.late == "fail"]
        if frozenset(case.sites) <= frozenset().union(*(lock.sites for lock in locks)):
            found += locks
    return found


def guard_holds(case: Case, discipline: Discipline, site: str) -> bool:
    """Whether what the site's guard has seen still holds at the commit, as nobody can commit in between."""
    guard = discipline.guards[case.sites.index(site)]
    return bool(_exclusive(case, discipline)) or (guard is not None and guard.atomic and _is_lockless(discipline, site))


def _is_lockless(discipline: Discipline, site: str) -> bool:
    """Whether the site holds no lock whatever flow it is in: it then compares in the very instant of its commit."""
    return not any(site in lock.sites or lock.span == "flow" for lock in discipline.locks)


def _holds_base(guard: Guard, discipline: Discipline) -> bool:
    """Whether the guard, in the instant of the commit, says that nothing of what is stored has changed since the snapshot."""
    return guard.compared in WHOLE_ENTRY and (discipline.stores == "entry" or guard.scope == "store")


def _why_broken(discipline: Discipline) -> str:
    what = "the whole file" if discipline.stores == "store" else "the whole entry"
    if any(lock.late == "go_on" for lock in discipline.locks):
        return f"{what} is stored, and who waits too long for the lock goes on without it"
    return f"{what} is stored, and others can commit between the read that it is made of and the write"
