"""A discipline in words: what is unusual about how a strategy gets at the store."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from simlib.case.case import Case
from simlib.case.discipline import Discipline, Guard, Lock
from simlib.common import bounds
from simlib.estimate.wording import listed, percent, seconds

USUAL = "The store's lock around each merge; nothing is compared."
MOST_NAMED = 4
"""Fields that a sentence names, and pauses."""
_SNAPSHOT = {
    "own": "a snapshot of its own, through the cache",
    "direct": "a snapshot past the cache",
    "lagged": "a snapshot that lags behind",
    "memory": "the copy that its process keeps",
    "in_lock": "what it finds in the lock",
    "none": "no snapshot",
}
_SPAN = {"merge": "around the merge", "transaction": "from before the snapshot to the commit", "flow": "over all of the work"}
_STORES = {
    "fields": ["A commit stores only the fields of its patch."],
    "entry": [],
    "store": ["A commit stores the whole file as it was read."],
}
_USED_UP = {"fail": "fails", "skip": "leaves the write out", "write": "writes all the same"}


def discipline_words(case: Case, discipline: Discipline) -> str:
    """What is unusual about it, in sentences; `USUAL` if nothing is.

    Examples:
        >>> from simlib.case.case import load_case
        >>> from simlib.common.shipped import CASE
        >>> discipline_words(load_case(CASE), load_case(CASE).plain())
        "The store's lock around each merge; nothing is compared."
    """
    return " ".join(_sentences(case, discipline)) or USUAL


def _sentences(case: Case, discipline: Discipline) -> Iterator[str]:
    if discipline.in_lock:
        yield f"Computes at {_sites(case, discipline.in_lock) or 'all sites'} in the lock."
    found = zip(case.sites, discipline.snapshots, case.snapshots, strict=True)
    for word, sites in _grouped((word, site) for site, word, usual in found if word != usual).items():
        first = _SNAPSHOT.get(word, f"the snapshot of {word}")
        yield f"{listed(sites)} {'start' if len(sites) > 1 else 'starts'} from {first}."
    if discipline.locks != case.plain().locks:
        yield from [_lock(case, lock) for lock in discipline.locks] or ["No lock."]
    for guard, sites in _grouped((guard, site) for guard, site in zip(discipline.guards, case.sites, strict=True)).items():
        if guard:
            yield _guard(case, guard, sites)
    yield from _STORES[discipline.stores]


def _grouped(pairs: Iterable[tuple[Any, str]]) -> dict[Any, list[str]]:
    """What comes second, by what comes first."""
    groups: dict[Any, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return groups


def _sites(case: Case, sites: frozenset[str]) -> str:
    """Their names; nothing if they are all there are."""
    return "" if sites == set(case.sites) else listed([site for site in case.sites if site in sites])


def _lock(case: Case, lock: Lock) -> str:
    whose = "The store's lock" if lock.scope == "store" else f"A lock for each {case.words.record}"
    text = f"{whose} {_SPAN[lock.span]}"
    if sites := _sites(case, lock.sites):
        text += f" at {sites}"
    if lock.timeout is not None:
        text += f", given up after {seconds(lock.timeout)}" if lock.timeout else ", refused at once if it is not free"
    return f"{text}{'; then it goes on without it' if lock.late == 'go_on' else ''}."


def _guard(case: Case, guard: Guard, sites: Sequence[str]) -> str:
    if guard.compared == "fields" and not guard.fields:
        return f"The guard at {listed(sites)} compares no field that can differ, so that nothing is rejected."
    return f"{listed(sites)} {'write' if len(sites) > 1 else 'writes'} only if {_condition(case, guard)}{_attempts(guard)}."


def _condition(case: Case, guard: Guard) -> str:
    owned = _fields(guard.fields)
    text = {
        "version": f"nobody has committed to the {case.words.record if guard.scope == 'entry' else 'store'} since its snapshot",
        "fields": f"{owned} {'is' if len(guard.fields) == 1 else 'are'} as in its snapshot",
        "owner": f"it leaves {owned} as they are",
        "reordered_bytes": f"nobody has ever committed to the {case.words.record}",
    }[guard.compared]
    if guard.compared == "fields" and len(guard.fields) == len(case.fields):
        text = "no field differs from its snapshot"
    return text if guard.atomic else f"{text} (compared first and written later, not in one step)"


def _fields(fields: Sequence[str]) -> str:
    return listed(fields) if len(fields) <= MOST_NAMED else f"{len(fields)} fields"


def _attempts(guard: Guard) -> str:
    """How often it tries, when, and what then."""
    if guard.attempts >= bounds.ATTEMPTS.high:
        return f": as many attempts as it takes{_pauses(guard)}"
    tries = f"{guard.attempts} attempts{_pauses(guard)}, then" if guard.attempts > 1 else "if not,"
    return f": {tries} it {_USED_UP[guard.used_up]}"


def _pauses(guard: Guard) -> str:
    pauses = [guard.pause.seconds(attempt, 0.5) for attempt in range(2, min(guard.attempts, MOST_NAMED + 2) + 1)]
    if not any(pauses):
        return " at once"
    more = ["so on"] if guard.attempts - 1 > MOST_NAMED else []
    jitter = f" (up to {percent(guard.pause.jitter)} more or less)" if guard.pause.jitter else ""
    kept = ", keeping the lock" if guard.pause.in_lock else ""
    return f", after {listed([*map(seconds, pauses[:MOST_NAMED]), *more])}{jitter}{kept}"
