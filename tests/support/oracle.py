"""A second replay, in plain dictionaries, written from what the builds do and not from the case file.

An entry is a dictionary of its defined fields. A patch maps a field to a pair: the value (or UNDEFINED), and whether it is
the request's. Slow, direct, and without any code of simlib: what it shares with the first replay is only the meaning.
"""

from collections.abc import Mapping
from typing import Any

from schedules import FIELDS, Clobber, Step

UNDEFINED = None
Entry = dict[str, str]
Request = Mapping[str, str | None]
Written = dict[str, tuple[str | None, bool]]

DELIVERY = {"lastChannel": "channel", "lastTo": "to", "lastAccountId": "accountId", "lastThreadId": "threadId"}
OVERRIDES = ("modelOverride", "providerOverride", "thinkingLevel", "verboseLevel", "reasoningLevel", "sendPolicy")
GROUP = ("groupId", "groupChannel", "space")


def either(*values: tuple[str | None, bool]) -> tuple[str | None, bool]:
    """JavaScript's `a ?? b ?? c`."""
    return next((pair for pair in values if pair[0] is not UNDEFINED), values[-1])


def effective(entry: Entry, request: Request) -> dict[str, tuple[str | None, bool]]:
    """The stored value wins, the request fills the gaps, unless both name a channel and the two differ."""
    stored, asked = entry.get("lastChannel", entry.get("channel")), request.get("channel")
    usable = {} if stored and asked and stored != asked else request
    context = {"channel": either((stored, False), (usable.get("channel"), True))}
    for field, key in list(DELIVERY.items())[1:]:
        context[key] = either((entry.get(field), False), (usable.get(key), True))
    return context


def handler(strategy: str, stale: Entry, fresh: Entry, request: Request) -> Written:
    """The table of the agent handler's patch, by build."""
    asked = {key: (request.get(key), True) for key in ("channel", "label", *GROUP)}
    old = {field: (stale.get(field), False) for field in FIELDS}
    if strategy in ("in-mutator", "all-sites", "reference"):
        now = {field: (fresh.get(field), False) for field in FIELDS}
        context = effective(fresh, request)
        patch = {field: either(context[key], now[field]) for field, key in DELIVERY.items()}
        patch["channel"] = either(now["channel"], asked["channel"])
        return patch | {field: either(asked[field], now[field]) for field in ("label", *GROUP)}
    patch = {"label": either(asked["label"], old["label"]), "spawnedBy": old["spawnedBy"]}
    if strategy == "sketch-70575":
        context = effective(stale, request)
        patch |= {field: context[key] for field, key in DELIVERY.items() if context[key][0] is not UNDEFINED}
        if asked["channel"][0] is not UNDEFINED and "channel" not in stale:
            patch["channel"] = asked["channel"]
        return patch | {field: either(asked[field], (UNDEFINED, False)) for field in GROUP}
    patch |= {field: either(asked[field], old[field]) for field in GROUP}
    patch["channel"] = either(old["channel"], asked["channel"])
    if strategy != "after-19328":
        patch |= {field: old[field] for field in OVERRIDES}
    context = effective(stale, {} if strategy == "replace" else request)
    listed = [field for field in DELIVERY if (strategy, field) != ("replace", "lastThreadId")]
    patch |= {field: either(context[DELIVERY[field]], old[field]) for field in listed}
    dropped = [field for field in FIELDS if field not in patch] if strategy == "replace" else []
    return patch | dict.fromkeys(dropped, (UNDEFINED, False))


def run(strategy: str, stale: Entry, fresh: Entry, request: Request) -> Written:
    """A run writes back what it had in memory; up to 2026.4.22 with an explicit undefined for thinkingLevel."""
    if strategy in ("all-sites", "reference"):
        return {}
    patch: Written = {field: (value, False) for field, value in stale.items()}
    if strategy != "in-mutator":
        patch.setdefault("thinkingLevel", (UNDEFINED, False))
    return patch


def sessions_patch(strategy: str, stale: Entry, fresh: Entry, request: Request) -> Written:
    return {field: (value, True) for field, value in request.items()}


def inbound(strategy: str, stale: Entry, fresh: Entry, request: Request) -> Written:
    entry = fresh if strategy in ("all-sites", "reference") else stale
    return {field: either((request.get(key), True), (entry.get(field), False)) for field, key in DELIVERY.items()}


PATCHES = {"handler": handler, "run_start": run, "run_end": run, "patch": sessions_patch, "inbound": inbound}


def merged(fresh: Entry, patch: Written) -> Entry:
    """JavaScript's `{...fresh, ...patch}`, and JSON drops the undefined ones."""
    both: dict[str, Any] = {**fresh, **{field: value for field, (value, _) in patch.items()}}
    return {field: value for field, value in both.items() if value is not UNDEFINED}


def kind_of(field: str, stale: Entry, fresh: Entry, entry: Entry, patch: Written) -> str:
    if entry.get(field) == fresh.get(field):
        return "suppressed"
    if field not in entry:
        return "erased"
    if patch[field][1]:
        return "overtaken"
    return "resurrected" if field not in fresh and stale.get(field) == entry[field] else "reverted"


class Oracle:
    """The store and its books; `clobbers` as the tests of the first replay show them, `entries` one a commit."""

    def __init__(self, strategy: str, initial: Mapping[str, str | None]) -> None:
        self.strategy = strategy
        self.initial = {field: value for field, value in initial.items() if value is not UNDEFINED}
        self.store: dict[int, Entry] = {}
        self.snapshots: dict[str, Entry] = {}
        self.author: dict[tuple[int, str], str] = {}
        self.standing: dict[tuple[int, str], int] = {}
        self.clobbers: list[Clobber] = []
        self.entries: list[Entry] = []
        self.writes: dict[str, int] = {}
        self.lost: dict[str, int] = {}

    def follow(self, schedule: list[Step]) -> "Oracle":
        for time, step in enumerate(schedule):
            now = self.store.get(step.session, self.initial)
            if step.what == "read":
                self.snapshots[step.who] = now
            elif step.what == "commit":
                self.commit(step, self.snapshots.setdefault(step.who.replace("run_end", "run_start"), now), now, float(time))
        return self

    def commit(self, step: Step, stale: Entry, fresh: Entry, time: float) -> None:
        write = PATCHES[step.site]
        patch = write(self.strategy, stale, fresh, step.request)
        entry = self.store[step.session] = merged(fresh, patch)
        intended = write("reference", fresh, fresh, step.request)
        right = merged(fresh, intended)
        alone = merged(fresh, write(self.strategy, fresh, fresh, step.request))
        self.entries.append(entry)
        for field in FIELDS:
            place = (step.session, field)
            named = intended.get(field, (UNDEFINED, False))[1] and (step.site == "patch" or intended[field][0] is not UNDEFINED)
            sets = step.site in ("patch", "inbound") and named
            clobbers = entry.get(field) != right.get(field)
            self.writes[step.who] = self.writes.get(step.who, 0) + sets
            if place in self.standing and (sets or clobbers or entry.get(field) != fresh.get(field)):
                number = self.standing.pop(place)
                self.clobbers[number] = Clobber(**{**vars(self.clobbers[number]), "until": time})
            if clobbers:
                kept = right.get(field) == fresh.get(field)
                victim = step.who if sets else self.author.get(place) if kept else None
                if victim:
                    self.lost[victim] = self.lost.get(victim, 0) + 1
                self.standing[place] = len(self.clobbers)
                kind = kind_of(field, stale, fresh, entry, patch)
                racing = alone.get(field) == right.get(field)
                self.clobbers.append(Clobber(field, kind, racing, step.who, victim, entry.get(field), right.get(field)))
            if sets and not clobbers:
                self.author[place] = step.who
            elif clobbers or right.get(field) != fresh.get(field):
                self.author.pop(place, None)
