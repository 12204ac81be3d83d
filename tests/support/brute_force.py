"""Every schedule of a small scope, one after the other, judged by replay: slow, and with none of the search's reductions.

For each order of the steps there is one history, in which every combination of initial entry and requests is a session.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from simlib.case.case import Case, Scope, Strategy
from simlib.case.rules import ABSENT
from simlib.model.history import History, Values
from simlib.replay.judging import KINDS
from simlib.replay.replay import replay_strategy

REQUEST_VALUES = (ABSENT, 0, 1, 2)
Order = tuple[tuple[tuple[int, str], ...], tuple[int, ...], tuple[int, ...]]
"""(flow, site) of the commits, the commit that each one's snapshot shows, and how many steps were taken by then."""


def orders(case: Case, scope: Scope, stale_reads: int, atomic: bool = True) -> Iterator[Order]:
    """Every complete order of reads and commits. Not atomic: taking the lock is a step of its own, reads go on meanwhile."""
    scripts = []
    for _, sites in scope.flows:
        steps = []
        for site in sites:
            steps += [("read", site)] if case.snapshots[case.sites.index(site)] == "own" else []
            steps += [("commit", site)] if atomic else [("lock", site), ("commit", site)]
        scripts.append(steps)

    def cached(seen: int, commits: int) -> range:
        return range(max(seen, commits - 1 - stale_reads), commits)

    def go(done: list[int], seen: list[int], held: list[dict[str, int]], holder: int | None, log: Order) -> Iterator[Order]:
        commits, shows, when = log
        if all(number == len(script) for number, script in zip(done, scripts, strict=True)):
            yield log
        for flow, script in enumerate(scripts):
            if done[flow] == len(script):
                continue
            action, site = script[done[flow]]
            if action != "read" and holder not in (None, flow):
                continue
            snapshot = case.snapshots[case.sites.index(site)]
            after = [number + (other == flow) for other, number in enumerate(done)]
            looks = action == "read" or (snapshot == "in_lock" and action == ("commit" if atomic else "lock"))
            for shown in cached(seen[flow], len(commits)) if looks else [None]:
                now_seen, now_held = list(seen), [dict(one) for one in held]
                if looks:
                    now_seen[flow] = now_held[flow][site] = shown
                elif snapshot == "none":
                    now_held[flow][site] = len(commits) - 1
                elif snapshot in case.sites:
                    now_held[flow][site] = held[flow][snapshot]
                if action == "commit":
                    now_seen[flow] = len(commits)
                    row = (*commits, (flow, site)), (*shows, now_held[flow][site]), (*when, sum(after))
                    yield from go(after, now_seen, now_held, None, row)
                else:
                    yield from go(after, now_seen, now_held, flow if action == "lock" else holder, log)

    yield from go([0] * len(scripts), [-1] * len(scripts), [{} for _ in scripts], None, ((), (), ()))


def history(case: Case, scope: Scope, order: Order, initial: np.ndarray, requests: np.ndarray) -> History:
    """The order with (sessions, fields) initial entries and (commits, sessions, keys) requests."""
    commits, shows, _ = order
    sessions = len(initial)
    column = np.tile(np.arange(sessions), len(commits))
    time = np.repeat(np.arange(len(commits), dtype=float), sessions)
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=tuple(dict.fromkeys(name for name, _ in scope.flows)),
        flow=np.repeat([flow for flow, _ in commits], sessions),
        kind=np.zeros(column.size, dtype=np.int64),
        site=np.repeat([case.sites.index(site) for _, site in commits], sessions),
        session=column,
        gateway=np.zeros(column.size, dtype=np.int64),
        read=time,
        queued=time,
        lock=time,
        end=time,
        ok=np.ones(column.size, dtype=np.bool_),
        snapshot=np.concatenate(
            [np.full(sessions, -1) if shown < 0 else shown * sessions + np.arange(sessions) for shown in shows]
        ),
        request=requests.reshape(-1, len(case.request)).astype(np.int32),
        initial=initial.astype(np.int32),
        values=Values({}),
        session_names=("s",) * sessions,
    )


def findings(
    case: Case, strategy: Strategy, scope: Scope, order: Order, initial: np.ndarray, requests: np.ndarray
) -> dict[tuple[str, str, str, bool], tuple[int, int]]:
    """(site, field, kind, racing) -> the least (steps, price) with which replay sees it in this order."""
    found = replay_strategy(case, strategy, history(case, scope, order, initial, requests)).clobbers
    commit, session = np.divmod(found.culprit, len(initial))
    price = 100 * (initial > 0).sum(axis=1) + np.cumsum((100 * (requests > 0) + (requests == 0)).sum(axis=2), axis=0)
    least: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
    sites = np.array([case.sites.index(site) for _, site in order[0]])
    keys = np.stack([sites[commit], found.field, found.kind, found.racing, np.array(order[2])[commit], price[commit, session]])
    for site, field, kind, racing, steps, paid in np.unique(keys, axis=1).T:
        key = case.sites[site], case.fields[field], KINDS[kind], bool(racing)
        least[key] = min(least.get(key, (99, 0)), (int(steps), int(paid)))
    return least


def size(scope_sites: Sequence[str], fields: Sequence[str], keys: Mapping[str, Sequence[str]]) -> float:
    """How many combinations of initial entry and requests there are."""
    return 3.0 ** len(fields) * float(np.prod([4.0 ** len(keys[site]) for site in scope_sites]))


def search(
    case: Case,
    strategy: Strategy,
    scope: Scope,
    stale_reads: int,
    fields: Sequence[str],
    keys: Mapping[str, Sequence[str]],
    atomic: bool = True,
) -> dict[tuple[str, str, str, bool], tuple[int, int]]:
    """`findings` over every order, every initial entry of `fields`, and every request of each site over its `keys`."""
    least: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
    places = [case.fields.index(field) for field in fields]
    starts = np.zeros((3 ** len(fields), len(case.fields)), dtype=np.int64)
    starts[:, places] = list(product(range(3), repeat=len(fields)))
    tables = {}
    for site, names in keys.items():
        tables[site] = np.full((4 ** len(names), len(case.request)), ABSENT)
        tables[site][:, [case.request.index(name) for name in names]] = list(product(REQUEST_VALUES, repeat=len(names)))
    for order in orders(case, scope, stale_reads, atomic):
        sizes = [len(starts), *(len(tables[site]) for _, site in order[0])]
        picks = np.indices(sizes).reshape(len(sizes), -1)
        requests = np.stack([tables[site][pick] for (_, site), pick in zip(order[0], picks[1:], strict=True)])
        for key, value in findings(case, strategy, scope, order, starts[picks[0]], requests).items():
            least[key] = min(least.get(key, value), value)
    return least
