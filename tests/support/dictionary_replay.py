"""A third replay: the case file's rules run as they stand there, over plain dictionaries, one transaction after the other.

It is what one writes first, before anything is coded as integers or compiled; it shares no code with `simlib.replay`. An entry
is a dictionary of its defined fields; a request one of the keys it names, None where it clears. Tests compare the replay with
it, the benchmarks measure by how much the replay is faster.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from simlib.case import evaluator
from simlib.case.case import Case, Strategy
from simlib.case.rules import Rule
from simlib.common.files import load_yaml
from simlib.common.shipped import find
from simlib.model.history import History


class Updated(NamedTuple):
    """What updates left of a value: in the order in which they were made, or sorted where it makes no difference."""

    first: "Code | None"
    commutative: bool
    requests: tuple[int, ...]


Code = int | Updated
Entry = dict[str, Code]
Request = dict[str, int | None]
Value = tuple[Code | None, bool]  # the value, and whether it is the request's
Source = Callable[[Entry, Entry, Request], Value]


class Found(NamedTuple):
    """One clobber, in names and rows."""

    culprit: int
    victim: int | None
    field: str
    kind: str
    racing: bool
    wrong: Code | None
    right: Code | None
    fresh: Code | None
    stale: Code | None


class Books(NamedTuple):
    entries: list[Entry | None]
    clobbers: list[Found]
    until: list[float]
    writes: list[int]
    lost: list[int]


def update(old: Code | None, asked: int | None, commutative: bool) -> Updated:
    before = old if isinstance(old, Updated) and old.commutative == commutative else Updated(old, commutative, ())
    requests = (*before.requests, asked or 0)
    return before._replace(requests=tuple(sorted(requests)) if commutative else requests)


def code_of(value: Code | None) -> int:
    """As simlib codes it."""
    if not isinstance(value, Updated):
        return value or 0
    code = code_of(value.first)
    for asked in value.requests:
        code = evaluator.updated(code, asked, value.commutative)
    return code


def source(text: str, field: str, context: Mapping[str, Any], commutative: frozenset[str] = frozenset()) -> Source:
    text = text.strip().replace("*", field)
    if text == "undefined":
        return lambda stale, fresh, request: (None, False)
    if text == "stale":
        return lambda stale, fresh, request: (next(iter(stale.values()), None), False)
    if text == "fresh":
        return lambda stale, fresh, request: (next(iter(fresh.values()), None), False)
    if text.startswith("update"):
        entry_name, old, _, asked = re.findall(r"\w+", text)[1:]

        def updating(stale: Entry, fresh: Entry, request: Request) -> Value:
            before = (stale if entry_name == "stale" else fresh).get(old)
            return (update(before, request[asked], old in commutative), True) if asked in request else (before, False)

        return updating
    of, name = text.rsplit(".", 1)
    if of.startswith("overlay"):
        return lambda stale, fresh, request: ({**(stale if "stale" in of else fresh), **request}.get(name), name in request)
    if of == "stale":
        return lambda stale, fresh, request: (stale.get(name), False)
    if of == "fresh":
        return lambda stale, fresh, request: (fresh.get(name), False)
    if of == "request":
        return lambda stale, fresh, request: (request.get(name), True)
    entry_name, *with_request = re.findall(r"\w+", of)[1:]
    parts = [part.strip().split(".") for part in context["values"][name].split("??")]
    from_entry = [key for bank, key in parts if bank == "entry"]
    from_request = [key for bank, key in parts if bank == "request"]
    stored_in = [part.strip().split(".")[1] for part in context["conflict"]["entry"].split("??")]
    asked_in = [part.strip().split(".")[1] for part in context["conflict"]["request"].split("??")]

    def effective(stale: Entry, fresh: Entry, request: Request) -> Value:
        entry = stale if entry_name == "stale" else fresh
        for key in from_entry:
            if key in entry:
                return entry[key], False
        stored = next((entry[key] for key in stored_in if key in entry), None)
        asked = next((request[key] for key in asked_in if request.get(key) is not None), None)
        if not with_request or (stored is not None and asked is not None and stored != asked):
            return None, False
        return next((request[key] for key in from_request if request.get(key) is not None), None), True

    return effective


class Writer:
    """One rule."""

    def __init__(self, field: str, rule: Rule, context: Mapping[str, Any], commutative: frozenset[str] = frozenset()) -> None:
        def sources(texts: Iterable[str]) -> list[Source]:
            return [source(text, field, context, commutative) for text in texts]

        parts = rule.value.split("??")
        self.when, self.sources = rule.when, sources(parts)
        self.unless, self.only_if = sources(rule.unless), sources(rule.only_if)
        self.key = re.split(r"\W+", parts[0].replace("*", field).rstrip(" )"))[-1]

    def __call__(self, stale: Entry, fresh: Entry, request: Request) -> Value | None:
        """What the rule puts into the patch; None: nothing, not even undefined."""
        if any(one(stale, fresh, request)[0] is not None for one in self.unless):
            return None
        if any(one(stale, fresh, request)[0] is None for one in self.only_if):
            return None
        if self.when == "requested" and self.key not in request:
            return None
        value: Value = (None, False)
        for one in self.sources:
            value = one(stale, fresh, request)
            if value[0] is not None:
                return value
        return None if self.when == "defined" else value


def dictionary_replay(
    case: Case,
    strategy: Strategy,
    history: History,
    context: Mapping[str, Any] | None = None,
    commutative: frozenset[str] = frozenset(),
) -> Books:
    """The books of one strategy on one history.

    `context` is the case file's `effective`, a shipped case's by default; `commutative` are the fields whose updates are.
    """
    context = context or load_yaml(find("cases", case.name))["effective"]

    def writers(of: Strategy) -> list[dict[str, Writer]]:
        return [
            {field: Writer(field, rule, context, commutative) for field, rule in of.rules[site].items()} for site in case.sites
        ]

    ours, serial = writers(strategy), writers(case.reference)
    names, keys = case.fields, case.request
    initial = [{name: code for name, code in zip(names, row, strict=True) if code > 0} for row in history.initial.tolist()]
    books = Books([], [], [], [0] * len(history), [0] * len(history))
    newest: dict[int, Entry] = {}
    author: dict[tuple[int, str], int] = {}
    standing: dict[tuple[int, str], int] = {}
    columns = (history.site, history.session, history.ok, history.snapshot, history.end, history.request)
    for row, (site, session, ok, snapshot, end, codes) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if not ok:
            books.entries.append(None)
            continue
        request: Request = {key: code or None for key, code in zip(keys, codes, strict=True) if code >= 0}
        fresh = newest.get(session, initial[session])
        stale = initial[session] if snapshot < 0 else books.entries[snapshot]
        assert stale is not None
        patch = {field: value for field, rule in ours[site].items() if (value := rule(stale, fresh, request)) is not None}
        intended = {field: value for field, rule in serial[site].items() if (value := rule(fresh, fresh, request)) is not None}
        entry, right = merged(fresh, patch), merged(fresh, intended)
        newest[session] = entry
        books.entries.append(entry)
        for field in names:
            place = (session, field)
            sets = case.roles[site] == "write" and field in intended and intended[field][1]
            wrong = entry.get(field) != right.get(field)
            books.writes[row] += sets
            if place in standing and (sets or wrong or entry.get(field) != fresh.get(field)):
                books.until[standing.pop(place)] = end
            if not wrong:
                if sets:
                    author[place] = row
                elif right.get(field) != fresh.get(field):
                    author.pop(place, None)
                continue
            kept = right.get(field) == fresh.get(field) or isinstance(right.get(field), Updated)
            victim = row if sets else author.get(place) if kept else None
            author.pop(place, None)
            if victim is not None:
                books.lost[victim] += 1
            alone = ours[site][field](fresh, fresh, request) if field in ours[site] else None
            racing = (fresh.get(field) if alone is None else alone[0]) == right.get(field)
            kind = kind_of(field, stale, fresh, entry, field in patch and patch[field][1])
            standing[place] = len(books.clobbers)
            books.until.append(float("inf"))
            books.clobbers.append(
                Found(row, victim, field, kind, racing, entry.get(field), right.get(field), fresh.get(field), stale.get(field))
            )
    return books


def merged(fresh: Entry, patch: Mapping[str, Value]) -> Entry:
    """JavaScript's `{...fresh, ...patch}`, without what is undefined."""
    entry = dict(fresh)
    for field, (value, _) in patch.items():
        if value is None:
            entry.pop(field, None)
        else:
            entry[field] = value
    return entry


def kind_of(field: str, stale: Entry, fresh: Entry, entry: Entry, asked: bool) -> str:
    if entry.get(field) == fresh.get(field):
        return "suppressed"
    if field not in entry:
        return "erased"
    if asked:
        return "overtaken"
    return "resurrected" if field not in fresh and stale.get(field) == entry[field] else "reverted"
