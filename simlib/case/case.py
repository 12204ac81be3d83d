"""A case: the fields, write sites, reference and strategies of one program's race, loaded from YAML and compiled.

`load_case(name)` reads data/cases/<name>.yaml; the comments of the shipped one explain the notation. A fix variant, or a whole
other program, is another YAML file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.case import snapshots
from simlib.case.case_file import (
    REFERENCE,
    CaseModel,
    NoticedModel,
    Role,
    SiteRules,
    StrategyModel,
    WordsModel,
)
from simlib.case.discipline import Discipline, plain
from simlib.case.discipline_file import Touched
from simlib.case.effective import effective_context
from simlib.case.notation import Names, flatten_rules
from simlib.case.pairs import Pairs, pair_up, stale_fields
from simlib.case.rules import (
    Context,
    FlatRule,
    Program,
    Rule,
    spread_keys,
)
from simlib.case.sections import Sections
from simlib.common.errors import InputError, allowed, choose, shown
from simlib.common.files import load_yaml, validated
from simlib.common.shipped import find


@dataclass(frozen=True)
class Strategy:
    """A strategy: its rules as written (site -> field -> rule) and as tables.

    Attributes:
        role: what it is to who decides.
        discipline: its locks, snapshots and guards; strategies with equal ones share one timeline.
        pairs: its rules beside the reference's.
    """

    name: str
    title: str
    role: Role
    source: str
    about: str
    discipline: Discipline
    rules: Mapping[str, Mapping[str, Rule]]
    pairs: Pairs

    @property
    def program(self) -> Program:
        """Its rules as tables."""
        return self.pairs.strategy

    @property
    def in_lock(self) -> frozenset[str]:
        """The sites whose computation is done while the merge's lock is held, and lengthens the hold."""
        return self.discipline.in_lock


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
    context: Context
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
        """(sites,) whether what the site writes was asked for."""
        return np.array([role == "write" for role in self.roles])

    @cached_property
    def in_unit(self) -> NDArray[np.bool_]:
        """(sites,) whether the site is part of a unit of work: those of role `unit`; without any, each write is a unit."""
        return np.ones(len(self.sites), dtype=np.bool_) if self.is_write.all() else ~self.is_write

    @cached_property
    def reads_own(self) -> NDArray[np.bool_]:
        """(sites,) whether the site's snapshot is a read of its own before the lock."""
        return np.isin(snapshots.kinds(self.snapshots), snapshots.READ_BEFORE)

    def plain(self, in_lock: frozenset[str] = frozenset()) -> Discipline:
        """The usual discipline: a lock on the store around each merge, nothing compared, the sites' own snapshots."""
        return plain(self.sites, self.snapshots, in_lock)

    def is_plain(self, discipline: Discipline) -> bool:
        """Whether it is a usual one."""
        usual = {snapshots.OWN, snapshots.IN_LOCK, snapshots.NONE, snapshots.INHERITED}
        return discipline == self.plain(discipline.in_lock) and set(snapshots.kinds(self.snapshots)) <= usual

    def strategy(self, name: str) -> Strategy:
        """The strategy of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self.strategies:
            raise InputError(f"strategy {shown(name)} is not in case {self.name}; {choose(name, self.strategies)}")
        return self.strategies[name]


def load_case(name: str) -> Case:
    """A case by its shipped name or by the path of its YAML file.

    Args:
        name: one of data/cases without its ending, or `path/to/mine.yaml`.

    Raises:
        InputError: what is wrong, and where.

    Examples:
        >>> from simlib.common.shipped import CASE
        >>> case = load_case(CASE)
        >>> len(case.fields), len(case.sites), case.baseline in case.strategies
        (19, 5, True)
    """
    path = find("cases", name)
    return compile_case(validated(CaseModel, load_yaml(path), str(path)), str(path))


def compile_case(model: CaseModel, source: str) -> Case:
    """The case that a validated file describes; `source` names it in error messages.

    Raises:
        InputError: a rule does not parse or names something unknown.
    """
    fields, sites = tuple(model.fields), tuple(model.sites)
    commutative = frozenset(name for name, field in model.fields.items() if field.update == "commutative")
    names = Names(fields, (*model.request, *fields), tuple(model.effective.values), commutative)
    context = effective_context(model.effective, names, source)
    serial = {site: model.reference.get(site, {}) for site in sites}

    def rules(name: str, tables: Mapping[str, SiteRules]) -> _Rules:
        spread = {
            site: _spread(serial[site] if tables[site] == REFERENCE else tables[site], fields, f"{source}: {name}.{site}")
            for site in sites
        }
        return _Rules(
            spread,
            flatten_rules(
                list(spread.values()), names, context, lambda number, field: f"{source}: {name}.{sites[number]}.{field}"
            ),
        )

    reference = rules(REFERENCE, serial)
    _refuse_stale(reference, source)
    title = StrategyModel(title="serial execution", sites={})
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
        context=context,
        domains={key: value.domain for key, value in {**model.request, **model.fields}.items()},
        sites=sites,
        roles=tuple(site.role for site in model.sites.values()),
        snapshots=tuple(site.snapshot for site in model.sites.values()),
        reference=_strategy(REFERENCE, title, reference, reference, context, model),
        strategies={
            name: _strategy(name, variant, rules(name, variant.sites), reference, context, model)
            for name, variant in model.strategies.items()
        },
        noticed=tuple(_noticed(name, noticed, model) for name, noticed in model.noticed.items()),
        flows={name: tuple(steps) for name, steps in model.flows.items()},
        scopes=tuple(
            Scope(name, tuple((flow, tuple(model.flows[flow])) for flow in flows)) for name, flows in model.scopes.items()
        ),
        sections=Sections(**{name: getattr(model, name) for name in Sections.model_fields}),
    )


class _Rules(NamedTuple):
    """The rules of one strategy: as written (site -> field -> rule), and flat (for each site field number -> rule)."""

    written: dict[str, dict[str, Rule]]
    flat: list[dict[int, FlatRule]]


def _spread(table: SiteRules, fields: tuple[str, ...], place: str) -> dict[str, Rule]:
    assert not isinstance(table, str)
    try:
        return spread_keys(
            {key: Rule(rule.value, rule.when, tuple(rule.unless), tuple(rule.only_if)) for key, rule in table.items()}, fields
        )
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _refuse_stale(reference: _Rules, source: str) -> None:
    if any(source.looks_at_stale for rules in reference.flat for rule in rules.values() for source in rule.sources()):
        sources = allowed(
            ["fresh", "request", "effective(fresh, request)", "overlay(fresh, request)", "update(fresh, request)"]
        )
        raise InputError(f"{source}: reference: a serial execution has no stale entry; {sources}")


def _strategy(
    name: str, variant: StrategyModel, rules: _Rules, reference: _Rules, context: Context, model: CaseModel
) -> Strategy:
    words = {site: one.snapshot for site, one in model.sites.items()}
    touched = {
        site: _touched(list(words).index(site), rules, reference, context, list(model.fields)) for site in variant.guards
    }
    return Strategy(
        name=name,
        title=variant.title,
        role="today" if name == model.baseline else variant.role or "alternative",
        source=variant.source,
        about=variant.about,
        discipline=variant.discipline(name, list(model.fields), words, touched),
        rules=rules.written,
        pairs=pair_up(rules.flat, reference.flat, context),
    )


def _touched(site: int, rules: _Rules, reference: _Rules, context: Context, fields: Sequence[str]) -> Touched:
    ours, serial = rules.flat[site], reference.flat[site]
    read = {field for rule in ours.values() for field in stale_fields(rule, context)}
    return Touched(*({fields[number] for number in numbers} for numbers in (read, ours, serial)))


def _noticed(name: str, noticed: NoticedModel, model: CaseModel) -> Noticed:
    fields = list(model.fields)
    return Noticed(
        name=name,
        title=noticed.title,
        about=noticed.about,
        flows=tuple(noticed.flows),
        after=-1 if noticed.after == "last" else list(model.sites).index(noticed.after),
        fields=np.array([fields.index(field) for field in noticed.fields], dtype=np.int64),
    )
