"""A case: the fields, write sites, reference and strategies of one program's race, loaded from YAML and compiled.

`load_case(name)` reads data/cases/<name>.yaml; the comments of the shipped one explain the notation. A fix variant, or a whole
other program, is another YAML file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simlib.case import snapshots
from simlib.case.case_file import REFERENCE, CaseModel, EffectiveModel, RuleTable, StrategyModel, WordsModel
from simlib.case.pairs import Pairs, pair_up
from simlib.case.rules import (
    BANK,
    EFFECTIVE_STALE,
    EFFECTIVE_STALE_ALONE,
    FRESH,
    REQUEST,
    STALE,
    Context,
    Names,
    Program,
    Rule,
    compile_program,
    pad,
    spread_keys,
)
from simlib.case.sections import Sections
from simlib.common.errors import InputError, allowed
from simlib.common.files import load_yaml, validated
from simlib.common.shipped import find


@dataclass(frozen=True)
class Strategy:
    """A strategy: its rules as written (site -> field -> rule) and as tables.

    Attributes:
        in_lock: the sites whose computation lengthens the hold; strategies with equal `in_lock` share one timeline.
        pairs: its rules beside the reference's, for `replay`.
    """

    name: str
    title: str
    source: str
    about: str
    in_lock: frozenset[str]
    rules: Mapping[str, Mapping[str, Rule]]
    program: Program
    pairs: Pairs


@dataclass(frozen=True)
class Noticed:
    """Something a person notices; `after` is a site number, or -1 for the flow's last step; `fields` are numbers."""

    name: str
    title: str
    about: str
    flows: tuple[str, ...]
    after: int
    fields: NDArray[np.int64]


@dataclass(frozen=True)
class Scope:
    """A few flows on one session, whose every interleaving is searched; a flow is its name and its write sites in order."""

    name: str
    flows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Case:
    """A compiled case. Fields, request keys and sites are known by their position in these tuples."""

    name: str
    title: str
    about: str
    links: Mapping[str, str]
    words: WordsModel
    assumptions: tuple[str, ...]
    known_wrong: tuple[str, ...]
    baseline: str
    fields: tuple[str, ...]
    request: tuple[str, ...]
    effective: tuple[str, ...]
    domains: Mapping[str, str]
    sites: tuple[str, ...]
    roles: tuple[Literal["unit", "write"], ...]
    snapshots: tuple[str, ...]
    reference: Strategy
    strategies: Mapping[str, Strategy]
    noticed: tuple[Noticed, ...]
    flows: Mapping[str, tuple[str, ...]]
    scopes: tuple[Scope, ...]
    sections: Sections

    @cached_property
    def is_write(self) -> NDArray[np.bool_]:
        """(sites,) whether what the site writes was asked for; the others are part of a unit of work."""
        return np.array([role == "write" for role in self.roles])

    @cached_property
    def reads_own(self) -> NDArray[np.bool_]:
        """(sites,) whether the site's snapshot is a read of its own before the lock."""
        return np.asarray(snapshots.kinds(self.snapshots) == snapshots.OWN)

    def strategy(self, name: str) -> Strategy:
        """The strategy of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self.strategies:
            raise InputError(f"strategy '{name}' is not in case {self.name}; {allowed(list(self.strategies))}")
        return self.strategies[name]


def load_case(name: str) -> Case:
    """A case by its shipped name or by the path of its YAML file.

    Raises:
        InputError: what is wrong, and where.
    """
    path = find("cases", name)
    return compile_case(validated(CaseModel, load_yaml(path), str(path)), str(path))


def compile_case(model: CaseModel, source: str) -> Case:
    """The case that a validated file describes; `source` names it in error messages.

    Raises:
        InputError: a rule does not parse or names something unknown.
    """
    fields = tuple(model.fields)
    names = Names(fields, (*model.request, *fields), tuple(model.effective.values))
    context = _context(model.effective, names, source)
    sites = tuple(model.sites)

    def strategy(name: str, strategy_model: StrategyModel, serial: Program | None = None) -> Strategy:
        rules = {}
        for site in sites:
            table = strategy_model.sites[site]
            rules[site] = _rules(
                model.reference.get(site, {}) if table == REFERENCE else table, fields, f"{source}: {name}.{site}"
            )
        program = compile_program(
            [rules[site] for site in sites], names, context, lambda number, field: f"{source}: {name}.{sites[number]}.{field}"
        )
        return Strategy(
            name,
            strategy_model.title,
            strategy_model.source,
            strategy_model.about,
            frozenset(strategy_model.in_lock),
            rules,
            program,
            pair_up(program, serial or program),
        )

    reference = strategy(REFERENCE, StrategyModel(title="serial execution", sites=dict.fromkeys(sites, REFERENCE)))
    used = np.append(reference.program.sources, reference.program.unless)
    if np.isin(used // BANK, [STALE, EFFECTIVE_STALE, EFFECTIVE_STALE_ALONE]).any():
        sources = allowed(["fresh", "request", "effective(fresh, request)"])
        raise InputError(f"{source}: reference: a serial execution has no stale entry; {sources}")
    return Case(
        name=model.case,
        title=model.title,
        about=model.about,
        links=model.links,
        words=model.words,
        assumptions=tuple(model.assumptions),
        known_wrong=tuple(model.known_wrong),
        baseline=model.baseline,
        fields=fields,
        request=names.request,
        effective=names.effective,
        domains={key: value.domain for key, value in {**model.request, **model.fields}.items()},
        sites=sites,
        roles=tuple(site.role for site in model.sites.values()),
        snapshots=tuple(site.snapshot for site in model.sites.values()),
        reference=reference,
        strategies={name: strategy(name, variant, reference.program) for name, variant in model.strategies.items()},
        noticed=tuple(
            Noticed(
                name=name,
                title=noticed.title,
                about=noticed.about,
                flows=tuple(noticed.flows),
                after=-1 if noticed.after == "last" else sites.index(noticed.after),
                fields=np.array([fields.index(field) for field in noticed.fields], dtype=np.int64),
            )
            for name, noticed in model.noticed.items()
        ),
        flows={name: tuple(steps) for name, steps in model.flows.items()},
        scopes=tuple(
            Scope(name, tuple((flow, tuple(model.flows[flow])) for flow in flows)) for name, flows in model.scopes.items()
        ),
        sections=Sections(**{name: getattr(model, name) for name in Sections.model_fields}),
    )


def _rules(table: RuleTable | str, fields: tuple[str, ...], place: str) -> dict[str, Rule]:
    assert not isinstance(table, str)
    try:
        return spread_keys({key: Rule(rule.value, rule.when, rule.unless) for key, rule in table.items()}, fields)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _context(model: EffectiveModel, names: Names, source: str) -> Context:
    def split(value: str, place: str) -> tuple[list[int], list[int]]:
        """The entry's and the request's sources of one value; the notation is that of a rule, with `entry` for stale."""
        try:
            packed = names.sources(value.replace("entry.", "fresh."), "") if value else []
        except InputError as error:
            raise InputError(f"{source}: effective.{place}: {str(error).replace('fresh.', 'entry.')}") from None
        banks = [number // BANK for number in packed]
        wanted = {"conflict.entry": [FRESH], "conflict.request": [REQUEST]}.get(place, [FRESH, REQUEST])
        if banks != sorted(banks) or not set(banks) <= set(wanted):
            sides = ", then ".join("entry sources" if bank == FRESH else "request sources" for bank in wanted)
            raise InputError(f"{source}: effective.{place}: '{value}' must be {sides}")
        return [number % BANK for number in packed if number // BANK == FRESH], [
            number % BANK for number in packed if number // BANK == REQUEST
        ]

    values = [split(value, f"values.{name}") for name, value in model.values.items()]
    width = max((len(row) for pair in values for row in pair), default=1) or 1
    return Context(
        entry=pad([entry for entry, _ in values], width),
        request=pad([request for _, request in values], width),
        conflict_entry=np.array(split(model.conflict.entry, "conflict.entry")[0], dtype=np.int64),
        conflict_request=np.array(split(model.conflict.request, "conflict.request")[1], dtype=np.int64),
    )
