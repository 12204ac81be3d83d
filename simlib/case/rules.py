"""The rule notation, and the integer tables that rules become; `evaluator` turns those into writes.

A rule says what one write site puts into one field: sources in order of preference (`effective(stale, request).to ??
stale.lastTo`), and when it writes at all. `Names` reads the notation; a `FlatRule` has the delivery context written out; a
`Program` holds the flat rules of every site as tables, which `evaluator` runs over integer-coded entries. Absence and undefined
are different things: a patch that carries `UNDEFINED` erases a field, one that has it `ABSENT` leaves the fresh value.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.common.errors import InputError, allowed, choose, shown

UNDEFINED = 0
"""The value code of JavaScript's undefined; in a stored entry it means that the key is not there."""
ABSENT = -1
"""In a patch or a request: the key is not there at all. Every code above zero is a value."""

When = Literal["always", "defined", "requested"]
ALWAYS, DEFINED, REQUESTED = 0, 1, 2
_WHEN: dict[When, int] = {"always": ALWAYS, "defined": DEFINED, "requested": REQUESTED}

# A source is packed into one integer: bank * BANK + index. LITERAL has no index: it is `undefined` itself.
STALE, FRESH, REQUEST, EFFECTIVE_STALE, EFFECTIVE_FRESH, EFFECTIVE_STALE_ALONE, LITERAL = range(7)
BANK = 1024
NO_SOURCE = NO_RULE = -1
NO_KEY = BANK - 1
"""A key that no request has: a value of the delivery context that looks at the request, and finds nothing there."""

_ENTRY_BANKS = {"stale": STALE, "fresh": FRESH, "request": REQUEST}
_CONTEXT_BANKS = {
    ("stale", "request"): EFFECTIVE_STALE,
    ("fresh", "request"): EFFECTIVE_FRESH,
    ("stale", None): EFFECTIVE_STALE_ALONE,
}
_SOURCES = (
    "stale.X",
    "fresh.X",
    "request.X",
    *(f"effective({', '.join(filter(None, of))}).X" for of in _CONTEXT_BANKS),
    "undefined",
)
_SOURCE = re.compile(r"(?P<bank>\w+)\s*(?:\(\s*(?P<entry>\w+)\s*(?:,\s*(?P<request>\w+)\s*)?\))?\s*\.\s*(?P<name>\w+|\*)")


@dataclass(frozen=True)
class Rule:
    """What one write site writes into one field, as the case file says it.

    Attributes:
        value: the sources in order of preference, in the notation (`effective(stale, request).to ?? stale.*`).
        when: `always`, `defined` (only a defined value) or `requested` (only if the request names the field).
        unless: a source; if it is defined, nothing is written.
    """

    value: str
    when: When = "always"
    unless: str | None = None

    def __str__(self) -> str:
        conditions = [f"when {self.when}"] if self.when != "always" else []
        conditions += [f"unless {self.unless}"] if self.unless else []
        return ", ".join([self.value, *conditions])


@dataclass(frozen=True)
class Names:
    """The names that a rule may use: fields of an entry, keys of a request, values of the delivery context."""

    fields: tuple[str, ...]
    request: tuple[str, ...]
    effective: tuple[str, ...]

    def source(self, text: str, field: str) -> int:
        """The packed source that `text` names, where `*` stands for `field`.

        Raises:
            InputError: `text` is not a source, or names something that is not there.
        """
        text = text.strip()
        if text == "undefined":
            return LITERAL * BANK
        match = _SOURCE.fullmatch(text)
        if match is None:
            raise InputError(f"{shown(text)} is not a source; {allowed(_SOURCES)}")
        bank, entry, request, name = match["bank"], match["entry"], match["request"], match["name"]
        if bank == "effective" and (entry, request) in _CONTEXT_BANKS:
            return _CONTEXT_BANKS[entry, request] * BANK + _index(self.effective, name, field, text)
        if bank in _ENTRY_BANKS and entry is None:
            names = self.request if bank == "request" else self.fields
            return _ENTRY_BANKS[bank] * BANK + _index(names, name, field, text)
        raise InputError(f"{shown(text)} is not a source; {allowed(_SOURCES)}")

    def sources(self, value: str, field: str) -> list[int]:
        """The packed sources of a whole value, `a ?? b ?? c`."""
        return [self.source(part, field) for part in value.split("??")]


def _index(names: tuple[str, ...], name: str, field: str, text: str) -> int:
    wanted = field if name == "*" else name
    if wanted not in names:
        raise InputError(f"{shown(text)} names {shown(wanted)}, which is not there; {choose(wanted, names)}")
    return names.index(wanted)


class Context(NamedTuple):
    """The delivery context: `effective(entry, request)`, for every value of it.

    The entry's sources come first; the request's fill the gaps unless both sides of `conflict` are defined and differ.
    """

    entry: tuple[tuple[int, ...], ...]
    """Of each value: field numbers."""
    request: tuple[tuple[int, ...], ...]
    """Of each value: key numbers."""
    conflict_entry: tuple[int, ...]
    conflict_request: tuple[int, ...]


class FlatRule(NamedTuple):
    """A rule as packed sources with the delivery context written out; the default one writes nothing.

    EFFECTIVE_STALE and EFFECTIVE_FRESH stand here for a request key that counts if there is no conflict with that entry.
    """

    when: int = NO_RULE
    value: tuple[int, ...] = ()
    unless: tuple[int, ...] = ()


class Program(NamedTuple):
    """The rules of every write site of one strategy as integer tables; row r is one rule, `FlatRule` says what is in it.

    Attributes:
        first: (sites + 1,) rules of site s are `first[s]` to `first[s + 1] - 1`, by field ascending.
        field, when: (rules,).
        value, unless: (rules, sources) in order of preference, padded with NO_SOURCE.
        conflict_entry, conflict_request: as in `Context`.
    """

    first: NDArray[np.int64]
    field: NDArray[np.int64]
    when: NDArray[np.int64]
    value: NDArray[np.int64]
    unless: NDArray[np.int64]
    conflict_entry: NDArray[np.int64]
    conflict_request: NDArray[np.int64]


def spread_keys(rules: Mapping[str, Rule], fields: tuple[str, ...]) -> dict[str, Rule]:
    """One rule a field: `a, b` stands for two fields, `*` for every field that no other key names.

    Raises:
        InputError: a key names a field that is not there, or one that another key names as well.
    """
    spread: dict[str, Rule] = {}
    for key, rule in rules.items():
        for name in (part.strip() for part in key.split(",")):
            if name not in (*fields, "*"):
                raise InputError(f"{shown(name)} is not a field; {choose(name, (*fields, '*'))}")
            if name in spread:
                raise InputError(f"{shown(name)} has two rules")
            spread[name] = rule
    return {name: spread.get(name) or spread["*"] for name in fields if name in spread or "*" in spread}


def flatten_rules(
    sites: list[Mapping[str, Rule]], names: Names, context: Context, where: Callable[[int, str], str]
) -> list[dict[int, FlatRule]]:
    """The rules of one strategy without a delivery context: for each site field number -> rule.

    Args:
        sites: one rule a field for each write site, in the order of the case.
        names: what the rules may refer to.
        context: the delivery context.
        where: names a place (site number, field) for an error message.

    Raises:
        InputError: a rule does not parse, names something unknown, or says `when: requested` without a request first.
    """
    flat: list[dict[int, FlatRule]] = [{} for _ in sites]
    for number, rules in enumerate(sites):
        for field, rule in rules.items():
            try:
                flat[number][names.fields.index(field)] = _flat_rule(field, rule, names, context)
            except InputError as error:
                raise InputError(f"{where(number, field)}: {error}") from None
    return flat


def _flat_rule(field: str, rule: Rule, names: Names, context: Context) -> FlatRule:
    value = names.sources(rule.value, field)
    if rule.when == "requested" and value[0] // BANK != REQUEST:
        raise InputError(f"'when: requested' needs a request source first, and '{rule.value}' has none")
    unless = [names.source(rule.unless, field)] if rule.unless else []
    return FlatRule(_WHEN[rule.when], *(tuple(_written_out(sources, context)) for sources in (value, unless)))


def _written_out(sources: list[int], context: Context) -> Iterator[int]:
    """Plain sources: of a value of the delivery context the entry's part, then the request's."""
    for source in sources:
        bank, index = divmod(source, BANK)
        if bank not in _CONTEXT_BANKS.values():
            yield source
            continue
        entry = FRESH if bank == EFFECTIVE_FRESH else STALE
        yield from (entry * BANK + field for field in context.entry[index])
        if bank != EFFECTIVE_STALE_ALONE:
            yield from (bank * BANK + key for key in context.request[index] or (NO_KEY,))


def tabulate_rules(sites: list[dict[int, FlatRule]], context: Context) -> Program:
    """The tables of the rules of every site."""
    rows = [(field, rule) for rules in sites for field, rule in sorted(rules.items())]
    return Program(
        first=np.cumsum([0, *map(len, sites)], dtype=np.int64),
        field=np.array([field for field, _ in rows], dtype=np.int64),
        when=np.array([rule.when for _, rule in rows], dtype=np.int64),
        value=_pad([rule.value for _, rule in rows]),
        unless=_pad([rule.unless for _, rule in rows]),
        conflict_entry=np.array(context.conflict_entry, dtype=np.int64),
        conflict_request=np.array(context.conflict_request, dtype=np.int64),
    )


def _pad(rows: list[tuple[int, ...]]) -> NDArray[np.int64]:
    """Ragged rows as a (rows, sources) table, at least one source wide, filled up with NO_SOURCE."""
    table = np.full((len(rows), max(map(len, rows), default=0) or 1), NO_SOURCE, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
