"""Rules, and the integer tables that they become; `notation` reads them, `evaluator` turns the tables into writes.

A rule says what one write site puts into one field: sources in order of preference (`effective(stale, request).to ??
stale.lastTo`), and when it writes at all. A `FlatRule` has it in packed sources, with the delivery context written out; a
`Program` holds the flat rules of every site as tables, which `evaluator` runs over integer-coded entries. Absence and undefined
are different things: a patch that carries `UNDEFINED` erases a field, one that has it `ABSENT` leaves the fresh value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.common.errors import InputError, choose, shown

UNDEFINED = 0
"""The value code of JavaScript's undefined; in a stored entry it means that the key is not there."""
ABSENT = -1
"""In a patch or a request: the key is not there at all. Every code above zero is a value."""
UPDATED = 1 << 30
"""From here on a code is what updates left: see `evaluator.updated`. Below it, the number of a value in its domain."""

When = Literal["always", "defined", "requested"]
ALWAYS, DEFINED, REQUESTED = 0, 1, 2

# A source is packed into one integer: (key * BANKS + bank) * BANK + number. The number is that of a field or, of REQUEST and
# EFFECTIVE_..., of a request key. A source that looks at both has a bank above LITERAL, and only it has a key.
STALE, FRESH, REQUEST, EFFECTIVE_STALE, EFFECTIVE_FRESH, EFFECTIVE_STALE_ALONE, LITERAL = range(7)
OVERLAY_STALE, OVERLAY_FRESH, ORDERED_STALE, ORDERED_FRESH, COMMUTATIVE_STALE, COMMUTATIVE_FRESH = range(7, 13)
BANK = 1024
BANKS = 16
NO_SOURCE = NO_RULE = -1
NO_KEY = BANK - 1
"""A key that no request has: a value of the delivery context that looks at the request, and finds nothing there."""

_FRESH_TWIN = {
    STALE: FRESH,
    EFFECTIVE_STALE: EFFECTIVE_FRESH,
    OVERLAY_STALE: OVERLAY_FRESH,
    ORDERED_STALE: ORDERED_FRESH,
    COMMUTATIVE_STALE: COMMUTATIVE_FRESH,
}


class Source(NamedTuple):
    """A source: its bank, the field or request key that it looks at, and the request key of one that looks at both.

    Examples:
        >>> Source(OVERLAY_STALE, 2, 5).pack() // BANK % BANKS == OVERLAY_STALE
        True
        >>> unpack(Source(OVERLAY_STALE, 2, 5).pack())
        Source(bank=7, number=2, key=5)
    """

    bank: int
    number: int = 0
    key: int = 0

    def pack(self) -> int:
        """As one integer; of a source without a key it is `bank * BANK + number`."""
        return (self.key * BANKS + self.bank) * BANK + self.number

    @property
    def looks_at_stale(self) -> bool:
        """Whether it looks at the stale entry."""
        return self.bank in _FRESH_TWIN

    @property
    def on_fresh(self) -> "Source":
        """The same source, looking at the fresh entry in place of the stale one."""
        return self._replace(bank=_FRESH_TWIN.get(self.bank, self.bank))

    @property
    def fields(self) -> tuple[int, ...]:
        """The field of an entry that it looks at, if it does; the context's conflict looks at more."""
        return (self.number,) if self.bank in (STALE, FRESH) or self.bank > LITERAL else ()

    @property
    def keys(self) -> tuple[int, ...]:
        """The request key that it looks at, if it does."""
        asks = self.bank in (REQUEST, EFFECTIVE_STALE, EFFECTIVE_FRESH)
        return (self.number,) if asks else (self.key,) if self.bank > LITERAL else ()


def unpack(source: int) -> Source:
    """The source that was packed into the integer."""
    packed, number = divmod(source, BANK)
    key, bank = divmod(packed, BANKS)
    return Source(bank, number, key)


@dataclass(frozen=True)
class Rule:
    """What one write site writes into one field, as the case file says it.

    Attributes:
        value: the sources in order of preference, in the notation (`effective(stale, request).to ?? stale.*`).
        when: `always`, `defined` (only a defined value) or `requested` (only if the request names the field).
        unless: conditions; if one of them holds, nothing is written. A condition is a source, which holds if it is defined, or
            `stale` or `fresh` alone, which holds if the entry exists (has any field).
        only_if: conditions; unless all of them hold, nothing is written.
    """

    value: str
    when: When = "always"
    unless: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()

    def __str__(self) -> str:
        conditions = [f"when {self.when}"] if self.when != "always" else []
        conditions += [f"only if {' and '.join(self.only_if)}"] if self.only_if else []
        conditions += [f"unless {' or '.join(self.unless)}"] if self.unless else []
        return ", ".join([self.value, *conditions])


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

    EFFECTIVE_STALE and EFFECTIVE_FRESH stand here for a request key that counts if there is no conflict with that entry. A
    condition is a chain of sources too, and holds if one of them is defined; of `unless` one is enough, so it is one chain.
    """

    when: int = NO_RULE
    value: tuple[int, ...] = ()
    unless: tuple[int, ...] = ()
    only_if: tuple[tuple[int, ...], ...] = ()

    def sources(self) -> Iterator[Source]:
        """Every source that it looks at."""
        for chain in (self.value, self.unless, *self.only_if):
            yield from map(unpack, chain)


class Program(NamedTuple):
    """The rules of every write site of one strategy as integer tables; row r is one rule, `FlatRule` says what is in it.

    Attributes:
        first: (sites + 1,) rules of site s are `first[s]` to `first[s + 1] - 1`, by field ascending.
        field, when: (rules,).
        asks: (rules,) the request key that `when: requested` looks at.
        value, unless: (rules, sources) in order of preference, padded with NO_SOURCE.
        needs: (rules + 1,) the conditions that rule r needs, its `only_if`, are `needs[r]` to `needs[r + 1] - 1`.
        condition: (conditions, sources) likewise.
        conflict_entry, conflict_request: as in `Context`.
    """

    first: NDArray[np.int64]
    field: NDArray[np.int64]
    when: NDArray[np.int64]
    asks: NDArray[np.int64]
    value: NDArray[np.int64]
    unless: NDArray[np.int64]
    needs: NDArray[np.int64]
    condition: NDArray[np.int64]
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


def tabulate_rules(sites: list[dict[int, FlatRule]], context: Context) -> Program:
    """The tables of the rules of every site."""
    rows = [(field, rule) for rules in sites for field, rule in sorted(rules.items())]
    return Program(
        first=np.cumsum([0, *map(len, sites)], dtype=np.int64),
        field=np.array([field for field, _ in rows], dtype=np.int64),
        when=np.array([rule.when for _, rule in rows], dtype=np.int64),
        asks=np.array(
            [unpack(rule.value[0]).keys[0] if rule.when == REQUESTED else NO_KEY for _, rule in rows], dtype=np.int64
        ),
        value=_pad([rule.value for _, rule in rows]),
        unless=_pad([rule.unless for _, rule in rows]),
        needs=np.cumsum([0, *(len(rule.only_if) for _, rule in rows)], dtype=np.int64),
        condition=_pad([chain for _, rule in rows for chain in rule.only_if]),
        conflict_entry=np.array(context.conflict_entry, dtype=np.int64),
        conflict_request=np.array(context.conflict_request, dtype=np.int64),
    )


def _asked(rule: FlatRule) -> int:
    return unpack(rule.value[0]).keys[0] if rule.when == REQUESTED else NO_KEY


def _pad(rows: list[tuple[int, ...]]) -> NDArray[np.int64]:
    """Ragged rows as a (rows, sources) table, at least one source wide, filled up with NO_SOURCE."""
    table = np.full((len(rows), max(map(len, rows), default=0) or 1), NO_SOURCE, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
