"""What a case file says, key by key, and which names in it must fit together; `case` says what it means."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, Tag, model_validator
from pydantic import Discriminator as ByKey

from simlib.case import snapshots
from simlib.case.discipline_file import DisciplineModel
from simlib.case.sections import Known, Sections
from simlib.common import bounds
from simlib.common.errors import allowed, choose, shown
from simlib.common.files import Strict

REFERENCE: Literal["reference"] = "reference"


RuleText = Annotated[str, Field(max_length=int(bounds.RULE.high))]


class FieldModel(Strict):
    """A key of an entry, or of a request."""

    domain: str
    about: str = ""


class EntryFieldModel(FieldModel):
    """A key of an entry."""

    update: Literal["ordered", "commutative"] = Field(
        "ordered", description="whether `update(old, request)` of this field may be made in any order: a counter, a set"
    )


def _one_or_more(data: Any) -> Any:
    return [] if data is None else [data] if isinstance(data, str) else data


Conditions = Annotated[
    list[RuleText],
    Field(max_length=int(bounds.CONDITIONS.high)),
    BeforeValidator(_one_or_more, json_schema_input_type=RuleText | list[RuleText] | None),
]
"""Sources; one may stand by itself."""


class RuleModel(Strict):
    """A rule with a condition; a rule without one is just its value."""

    value: RuleText
    when: Literal["always", "defined", "requested"] = "always"
    unless: Conditions = Field([], description="a source or several: nothing is written if one of them is defined")
    only_if: Conditions = Field([], description="a source or several: nothing is written unless all of them are defined")


def _short_rule(data: Any) -> Any:
    return {"value": data} if isinstance(data, str) else data


RuleTable = dict[str, Annotated[RuleModel, BeforeValidator(_short_rule, json_schema_input_type=RuleText | RuleModel)]]


def _kind_of_site(data: Any) -> str:
    return "rules" if isinstance(data, dict) else "word"


SiteRules = Annotated[
    Annotated[Literal["reference"], Tag("word")] | Annotated[RuleTable, Tag("rules")],
    ByKey(_kind_of_site),
]
"""A table of rules, or the word `reference`."""


class ConflictModel(Strict):
    """Two values; if both are defined and differ, the request's part of the context is not used."""

    entry: RuleText
    request: RuleText


class EffectiveModel(Strict):
    """`effective(entry, request)`: its values, each from the entry and, in the gaps, from the request."""

    values: dict[str, RuleText] = Field(max_length=int(bounds.FIELDS.high))
    conflict: ConflictModel


def _older_role(data: Any) -> Any:
    return "unit" if data == "turn" else data


class SiteModel(Strict):
    """A place in the program that writes an entry."""

    role: Annotated[Literal["unit", "write"], BeforeValidator(_older_role)] = Field(
        description="unit: part of a unit of work (`turn` means the same); write: carries what an outside write sets (if all "
        "sites do, the writes are the units of work)"
    )
    snapshot: str = Field(description="own, in_lock, none, direct, lagged, memory, or the site whose snapshot it inherits")
    about: str = ""


Role = Literal["today", "proposed", "alternative", "shipped", "history"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a strategy is to who decides, in the order in which a report shows them."""


class StrategyModel(DisciplineModel):
    """The rules of every write site: the thing that is compared."""

    title: str
    role: Role | None = Field(
        None,
        description="what it is to who decides: today (always the baseline), proposed, alternative (if not said), "
        "shipped (elsewhere, or later), or history",
    )
    source: str = ""
    about: str = ""
    sites: Mapping[str, SiteRules]


class NoticedModel(Strict):
    """Something a person notices: after a step, fields of the entry differ from what serial writes would have left."""

    title: str
    flows: list[str]
    after: str = Field(description="a site, or `last`: the flow's last step")
    fields: list[str]
    about: str = ""


class WordsModel(Strict):
    """What people call things in this program; reports use these words."""

    record: str = Field("record", description="what the store keeps an entry of")
    unit: str = Field("unit of work", description="what the clobber rate is a share of")
    units: str = Field("units of work", description="more than one of them")
    process: str = Field("process", description="what shares the store")
    outside: str = Field("what outside writes set", description="what the sites of role `write` carry")


class CaseModel(Sections):
    """The whole case file."""

    case: str = Field(min_length=1, max_length=int(bounds.NAME.high))
    title: str
    about: str = ""
    links: dict[str, str] = {}
    words: WordsModel = WordsModel()
    assumptions: list[str] = Field(default=[], description="what a model of this program leaves out; reports list them")
    known_wrong: list[str] = Field(default=[], description="where a model of it is known to err; the validation lists them")
    baseline: str
    fields: dict[str, EntryFieldModel] = Field(min_length=1, max_length=int(bounds.FIELDS.high))
    request: dict[str, FieldModel] = Field({}, max_length=int(bounds.FIELDS.high))
    effective: EffectiveModel = EffectiveModel(values={}, conflict=ConflictModel(entry="", request=""))
    sites: dict[str, SiteModel] = Field(min_length=1, max_length=int(bounds.SITES.high))
    reference: dict[str, RuleTable]
    blocks: dict[str, Any] = Field(default={}, description="a place for YAML anchors; not read")
    strategies: dict[str, StrategyModel] = Field(min_length=1, max_length=int(bounds.STRATEGIES.high))
    noticed: dict[str, NoticedModel] = {}
    flows: dict[str, list[str]] = Field(default={}, description="flows of the small scopes: the write sites in order")
    scopes: dict[str, list[str]] = Field(default={}, description="flows on one session whose every interleaving is searched")

    @model_validator(mode="after")
    def _names_fit(self) -> "CaseModel":
        sites, fields = list(self.sites), list(self.fields)
        if (rules := len(fields) * len(sites) * len(self.strategies)) > bounds.RULES.high:
            raise ValueError(
                f"strategies: {len(self.strategies):,} of them with {len(fields):,} fields at {len(sites):,} sites make "
                f"{rules:,} rules; allowed: {bounds.RULES.high:,}"
            )
        _known("baseline", [self.baseline], list(self.strategies))
        _known("reference", self.reference, sites)
        for name, site in self.sites.items():
            _known(
                f"sites.{name}.snapshot",
                [site.snapshot],
                [*snapshots.WORDS, *(other for other in sites if other != name)],
            )
        for name, strategy in self.strategies.items():
            _known(f"strategies.{name}.sites", strategy.sites, sites)
            for reference in strategy.references(f"strategies.{name}", sites, fields):
                _known(reference.place, [reference.name], reference.known)
            if strategy.role == "today" and name != self.baseline:
                raise ValueError(
                    f"strategies.{name}.role: today is the baseline, {self.baseline}, and no other; {allowed(ROLES[1:])}"
                )
            for problem in strategy.problems():
                raise ValueError(f"strategies.{name}.{problem}")
            if missing := [site for site in sites if site not in strategy.sites]:
                hint = f"say `{missing[0]}: reference` if it is correct"
                raise ValueError(f"strategies.{name}.sites has no rules for {', '.join(missing)}; {hint}")
        for name, noticed in self.noticed.items():
            _known(f"noticed.{name}.after", [noticed.after], [*sites, "last"])
            _known(f"noticed.{name}.fields", noticed.fields, fields)
        for name, steps in self.flows.items():
            if not bounds.STEPS.low <= len(steps) <= bounds.STEPS.high:
                raise ValueError(f"flows.{name}: {len(steps):,} steps; allowed: {bounds.STEPS.low} to {bounds.STEPS.high}")
            _known(f"flows.{name}", steps, sites)
            for position, step in enumerate(steps):
                earlier = [*snapshots.WORDS, *steps[:position]]
                _known(f"flows.{name}: the snapshot of {step}", [self.sites[step].snapshot], earlier)
                for other, strategy in self.strategies.items():
                    own = strategy.snapshots.get(step, self.sites[step].snapshot)
                    _known(f"flows.{name}: strategies.{other}.snapshots.{step}", [own], earlier)
        for name, flows in self.scopes.items():
            _known(f"scopes.{name}", flows, list(self.flows))
            if not bounds.SCOPE.low <= len(flows) <= bounds.SCOPE.high:
                raise ValueError(f"scopes.{name}: {len(flows)} flows; allowed: {bounds.SCOPE.low} to {bounds.SCOPE.high}")
        for reference in self.references(
            Known(sites=sites, flows=self.flows, keys=[*self.request, *fields], strategies=list(self.strategies))
        ):
            _known(reference.place, [reference.name], reference.known)
        if taken := snapshots.WORDS.keys() & set(sites):
            raise ValueError(f"sites.{min(taken)}: `{min(taken)}` says where a snapshot comes from and cannot name a site")
        if clash := set(self.fields) & set(self.request):
            raise ValueError(f"request.{min(clash)} is a field already; every field is a request key too")
        return self


def _known(place: str, names: Any, known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{place}: {shown(name)} is not known; {choose(name, known)}")
