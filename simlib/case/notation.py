"""The rule notation: what a rule's text means, as packed sources.

`Names` reads a source by itself, `flatten_rules` the rules of one strategy. `docs/case-notation.md` explains the notation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from simlib.case.rules import (
    ALWAYS,
    COMMUTATIVE_FRESH,
    COMMUTATIVE_STALE,
    DEFINED,
    EFFECTIVE_FRESH,
    EFFECTIVE_STALE,
    EFFECTIVE_STALE_ALONE,
    FRESH,
    LITERAL,
    NO_KEY,
    ORDERED_FRESH,
    ORDERED_STALE,
    OVERLAY_FRESH,
    OVERLAY_STALE,
    REQUEST,
    REQUESTED,
    STALE,
    Context,
    FlatRule,
    Rule,
    Source,
    When,
    unpack,
)
from simlib.common.errors import InputError, allowed, choose, shown

_WHEN: dict[When, int] = {"always": ALWAYS, "defined": DEFINED, "requested": REQUESTED}
_ENTRY_BANKS = {"stale": STALE, "fresh": FRESH}
_CONTEXT_BANKS = {
    "effective(stale, request)": EFFECTIVE_STALE,
    "effective(fresh, request)": EFFECTIVE_FRESH,
    "effective(stale)": EFFECTIVE_STALE_ALONE,
}
_OVERLAY_BANKS = {"overlay(stale, request)": OVERLAY_STALE, "overlay(fresh, request)": OVERLAY_FRESH}
_BANKS = {**_ENTRY_BANKS, "request": REQUEST, **_CONTEXT_BANKS, **_OVERLAY_BANKS}
_UPDATE_BANKS = {
    ("stale", False): ORDERED_STALE,
    ("fresh", False): ORDERED_FRESH,
    ("stale", True): COMMUTATIVE_STALE,
    ("fresh", True): COMMUTATIVE_FRESH,
}
_SOURCES = (*(f"{of}.X" for of in _BANKS), *(f"update({entry}.X, request.X)" for entry in _ENTRY_BANKS), "undefined")
_SOURCE = re.compile(r"(?P<of>[^.]+?)\s*\.\s*(?P<name>\w+|\*)")
_UPDATE = re.compile(r"update\s*\(\s*(?P<entry>stale|fresh)\s*\.\s*(?P<field>\w+|\*)\s*,\s*request\s*\.\s*(?P<key>\w+|\*)\s*\)")


@dataclass(frozen=True)
class Names:
    """The names that a rule may use.

    Attributes:
        fields: of an entry.
        request: keys of a request.
        effective: values of the delivery context.
        commutative: the fields whose updates may be made in any order.
    """

    fields: tuple[str, ...]
    request: tuple[str, ...]
    effective: tuple[str, ...]
    commutative: frozenset[str] = frozenset()

    def source(self, text: str, field: str, others: tuple[str, ...] = ()) -> int:
        """The packed source that `text` names, where `*` stands for `field`; `others` are allowed in its place too.

        Raises:
            InputError: `text` is not a source, or names something that is not there.
        """
        text = text.strip()
        if text == "undefined":
            return Source(LITERAL).pack()
        if update := _UPDATE.fullmatch(text):
            old = _index(self.fields, update["field"], field, text)
            key = _index(self.request, update["key"], field, text)
            return Source(_UPDATE_BANKS[update["entry"], self.fields[old] in self.commutative], old, key).pack()
        match = _SOURCE.fullmatch(text)
        bank = _BANKS.get(_spaced(match["of"])) if match else None
        if match is None or bank is None:
            raise InputError(f"{shown(text)} is not a source; {allowed([*others, *_SOURCES])}")
        in_context, in_request = bank in _CONTEXT_BANKS.values(), bank == REQUEST
        names = self.effective if in_context else self.request if in_request else self.fields
        number = _index(names, match["name"], field, text)
        key = self.request.index(names[number]) if bank in _OVERLAY_BANKS.values() else 0
        return Source(bank, number, key).pack()

    def sources(self, value: str, field: str) -> list[int]:
        """The packed sources of a whole value, `a ?? b ?? c`."""
        return [self.source(part, field) for part in value.split("??")]

    def condition(self, text: str, field: str) -> list[int]:
        """The packed sources of which one is defined if the condition holds: `stale` is any of its fields, as is `fresh`."""
        bank = _ENTRY_BANKS.get(text.strip())
        if bank is not None:
            return [Source(bank, number).pack() for number in range(len(self.fields))]
        return [self.source(text, field, tuple(_ENTRY_BANKS))]


def _spaced(text: str) -> str:
    """With one space after each comma and no other."""
    return re.sub(r"\s*([(),])\s*", r"\1", text).replace(",", ", ")


def _index(names: tuple[str, ...], name: str, field: str, text: str) -> int:
    wanted = field if name == "*" else name
    if wanted not in names:
        raise InputError(f"{shown(text)} names {shown(wanted)}, which is not there; {choose(wanted, names)}")
    return names.index(wanted)


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
    first = unpack(value[0])
    if rule.when == "requested" and not (first.keys and first.bank not in _CONTEXT_BANKS.values()):
        raise InputError(f"'when: requested' needs a request source first, and '{rule.value}' has none")
    unless = [source for text in rule.unless for source in names.condition(text, field)]
    only_if = (names.condition(text, field) for text in rule.only_if)
    return FlatRule(
        _WHEN[rule.when],
        tuple(_written_out(value, context)),
        tuple(_written_out(unless, context)),
        tuple(tuple(_written_out(chain, context)) for chain in only_if),
    )


def _written_out(sources: list[int], context: Context) -> Iterator[int]:
    """Plain sources: of a value of the delivery context the entry's part, then the request's."""
    for source in sources:
        bank, number, _ = unpack(source)
        if bank not in _CONTEXT_BANKS.values():
            yield source
            continue
        entry = FRESH if bank == EFFECTIVE_FRESH else STALE
        yield from (Source(entry, field).pack() for field in context.entry[number])
        if bank != EFFECTIVE_STALE_ALONE:
            yield from (Source(bank, key).pack() for key in context.request[number] or (NO_KEY,))
