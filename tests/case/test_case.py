"""The shipped case against the lineage table of the upstream builds, and case files that are wrong."""

from itertools import product

import pytest
import yaml
from schedules import CASE, FIELDS, STRATEGIES, patch_of

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.common.shipped import DATA

SHIPPED = DATA / "cases" / "openclaw-70575.yaml"

# What the handler's patch lists, by field: replace, before-19328, after-19328, sketch-70575, in-mutator and all-sites.
#   S, F, R     the stale entry's, the fresh entry's, the request's value
#   E           the effective context of the stale entry and the request; `e` that of the stale entry alone; `G` of the fresh
#   a > b       a if it is defined, else b; `only` before it: and nothing at all if neither is
#   -           absent; `gone`: there, and undefined
TABLE = """
lastChannel       e > S    E > S    E > S    only E           G > F
lastTo            e > S    E > S    E > S    only E           G > F
lastAccountId     e > S    E > S    E > S    only E           G > F
lastThreadId      gone     E > S    E > S    only E           G > F
channel           S > R    S > R    S > R    unless S only R  F > R
modelOverride     S        S        -        -                -
providerOverride  S        S        -        -                -
thinkingLevel     S        S        -        -                -
verboseLevel      S        S        -        -                -
reasoningLevel    S        S        -        -                -
sendPolicy        S        S        -        -                -
label             R > S    R > S    R > S    R > S            R > F
spawnedBy         S        S        S        S                -
groupId           R > S    R > S    R > S    R > gone         R > F
groupChannel      R > S    R > S    R > S    R > gone         R > F
space             R > S    R > S    R > S    R > gone         R > F
elevatedLevel     gone     -        -        -                -
responseUsage     gone     -        -        -                -
queueMode         gone     -        -        -                -
"""
COLUMNS = ["replace", "before-19328", "after-19328", "sketch-70575", "in-mutator"]
ROWS = {line.split()[0]: [part.strip() for part in line.split("  ") if part][1:] for line in TABLE.strip().splitlines()}
CONTEXT_KEY = {"lastChannel": "channel", "lastTo": "to", "lastAccountId": "accountId", "lastThreadId": "threadId"}
CELLS = [
    (strategy, field, ROWS[field][min(number, len(COLUMNS) - 1)])
    for number, strategy in enumerate([*COLUMNS, "all-sites"])
    for field in ROWS
]


def entry(prefix, field, there):
    """An entry in which the channel is `same`, so that the request's context counts, and `field` is there or not."""
    return (
        {"lastChannel": "same", field: f"{prefix}-{field}"}
        if there
        else {"lastChannel": "same"}
        if field != "lastChannel"
        else {}
    )


@pytest.mark.parametrize(("strategy", "field", "cell"), CELLS)
def test_the_handlers_patch_against_the_table_of_the_builds(strategy, field, cell):
    key = CONTEXT_KEY.get(field, field)
    *conditions, sources = cell.replace("only ", "only|").replace("unless S ", "unless|").split("|")
    for stale_has, fresh_has, request_has in product([True, False], repeat=3):
        stale, fresh = entry("stale", field, stale_has), entry("fresh", field, fresh_has)
        request = {key: f"request-{field}"} if request_has else {}
        values = {"S": stale.get(field), "F": fresh.get(field), "R": request.get(field), "e": stale.get(field)}
        values |= {"E": values["S"] or request.get(key), "G": values["F"] or request.get(key), "gone": None}
        value = next((values[source] for source in sources.split(" > ") if values.get(source)), None)
        absent = cell == "-" or ("only" in conditions and value is None) or ("unless" in conditions and stale.get(field))
        written = patch_of(CASE.strategy(strategy), "handler", stale, fresh, request)
        assert (field in written) == (not absent)
        assert written.get(field) == (None if absent else value)


def test_the_table_names_every_field_and_strategy_of_the_case():
    assert set(ROWS) == set(FIELDS)
    assert all(len(row) == len(COLUMNS) for row in ROWS.values())
    assert [*COLUMNS, "all-sites"] == STRATEGIES
    assert CASE.baseline == "after-19328"


@pytest.mark.parametrize("site", ["run_start", "run_end"])
def test_a_run_writes_its_whole_in_memory_entry_and_up_to_2026_4_22_an_undefined_thinking_level(site):
    memory = {"label": "L", "queueMode": "q"}
    for strategy in ("replace", "before-19328", "after-19328", "sketch-70575"):
        assert patch_of(CASE.strategy(strategy), site, memory, {"label": "M"}) == memory | {"thinkingLevel": None}
    assert patch_of(CASE.strategy("in-mutator"), site, memory, {"label": "M"}) == memory
    assert patch_of(CASE.strategy("all-sites"), site, memory, {"label": "M"}) == {}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_sessions_patch_sets_and_clears_what_it_names_and_nothing_else(strategy):
    asked = {"label": "x", "modelOverride": None, "queueMode": "q"}
    assert patch_of(CASE.strategy(strategy), "patch", {"label": "S"}, {"label": "F", "modelOverride": "m"}, asked) == asked


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_inbound_message_fills_from_the_cached_entry_unless_every_site_is_fixed(strategy):
    stale, fresh, asked = {"lastTo": "S", "lastThreadId": "S"}, {"lastTo": "F"}, {"channel": "c", "accountId": "x"}
    expected = {"lastChannel": "c", "lastAccountId": "x"} | (
        {"lastTo": "F", "lastThreadId": None} if strategy == "all-sites" else {"lastTo": "S", "lastThreadId": "S"}
    )
    assert patch_of(CASE.strategy(strategy), "inbound", stale, fresh, asked) == expected


def test_the_sites_and_their_snapshots_are_those_of_the_gateway():
    assert dict(zip(CASE.sites, CASE.snapshots, strict=True)) == {
        "handler": "own",
        "run_start": "own",
        "run_end": "run_start",
        "patch": "none",
        "inbound": "in_lock",
    }
    assert [site for site, role in zip(CASE.sites, CASE.roles, strict=True) if role == "write"] == ["patch", "inbound"]
    assert CASE.strategy("in-mutator").in_lock == {"handler"}
    assert CASE.strategy("all-sites").in_lock == {"handler", "run_start", "run_end", "inbound"}


WRONG = [
    (
        "baseline: after-19328",
        "baseline: afer-19328",
        "baseline: 'afer-19328' is not known; did you mean 'after-19328'? allowed: replace",
    ),
    (
        "    title: replaces",
        "    titel: replaces",
        "strategies.replace: unknown key 'titel'; did you mean 'title'? allowed: ",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "channel: stale.chanel",
        "replace.handler.channel: 'stale.chanel' names 'chanel'",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "chanel: stale.channel",
        "replace.handler: 'chanel' is not a field; did you mean 'channel'? allowed:",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "channel: {value: stale.channel, when: sometimes}",
        "strategies.replace.sites.handler.channel.when: Input should be 'always', 'defined' or 'requested' (got 'sometimes')",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "channel: {valeu: stale.channel}",
        "strategies.replace.sites.handler.channel: unknown key 'valeu'; did you mean 'value'?",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "channel: 5",
        "strategies.replace.sites.handler.channel: expected a mapping of keys (got 5)",
    ),
    (
        "channel: stale.channel ?? request.channel",
        "channel: stale.channel\n        channel: stale.channel",
        "'channel' stands twice",
    ),
    (
        "      patch: reference",
        "      patch: referense",
        "strategies.replace.sites.patch: Input should be 'reference' (got 'referense')",
    ),
    ("      patch: reference\n", "\n", "strategies.replace.sites has no rules for patch; say `patch: reference`"),
    (
        "inbound: *inbound_cached",
        "inbond: *inbound_cached",
        "strategies.replace.sites: 'inbond' is not known; did you mean 'inbound'? allowed: handler",
    ),
    (
        "in_lock: [handler]",
        "in_lock: [handlr]",
        "strategies.in-mutator.in_lock: 'handlr' is not known; did you mean 'handler'?",
    ),
    (
        "snapshot: run_start",
        "snapshot: run_strt",
        "sites.run_end.snapshot: 'run_strt' is not known; did you mean 'run_start'? allowed: own, in_lock, none, direct, "
        "lagged, memory",
    ),
    ("role: unit", "role: unitt", "sites.handler.role: Input should be 'unit' or 'write' (got 'unitt')"),
    ("after: handler", "after: handlr", "noticed.wrong_model.after: 'handlr' is not known; did you mean 'handler'?"),
    ("fields: [modelOverride]", "fields: [model]", "noticed.wrong_model.fields: 'model' is not known; allowed: lastChannel"),
    ("  to: {domain: peer}", "  label: {domain: peer}", "request.label is a field already"),
    ("    to: entry.lastTo ?? request.to", "    to: entry.lastToo", "effective.values.to: 'entry.lastToo' names 'lastToo'"),
    ("    to: entry.lastTo ?? request.to", "    to: request.to ?? entry.lastTo", "must be entry sources, then request sources"),
    ("    to: entry.lastTo ?? request.to", "    to: entry.lastTo ?? undefined", "must be entry sources, then request sources"),
    ("    request: request.channel", "    request: entry.channel", "conflict.request: 'entry.channel' must be request sources"),
    ("    entry: entry.lastChannel ?? ", "    entry: request.channel ?? ", "must be entry sources"),
    (
        "channel: fresh.channel ?? request",
        "channel: stale.channel ?? request",
        "reference: a serial execution has no stale entry",
    ),
    ("case: openclaw-70575", "case: [openclaw", "line"),
    (
        "patch: {flow: patch, site: patch}",
        "patch: {flow: ptch, site: patch}",
        "recordings.kinds.patch.flow: 'ptch' is not known; did you mean 'patch'? allowed: turn, spawn, handler",
    ),
    (
        "agent: {flow: turn, site: handler}",
        "agent: {flow: turn, site: patch}",
        "recordings.kinds.agent.site: 'patch' is not known; allowed: handler, run_start, run_end",
    ),
    (
        "outside: {method: sessions.patch, flow: patch, site: patch}",
        "outside: {method: sessions.patch, flow: patch, site: ptch}",
        "log.outside.site: 'ptch' is not known; did you mean 'patch'? allowed: patch",
    ),
    ("ended: run_end, failed", "endet: run_end, failed", "log.unit: unknown key 'endet'; did you mean 'ended'?"),
    (
        '"2026.6.11": in-mutator',
        '"2026.6.11": mutator',
        "races.builds.2026.6.11: 'mutator' is not known; did you mean 'in-mutator'?",
    ),
    (
        "thinkingLevel: thinking_level_lost",
        "thinking: thinking_level_lost",
        "races.lost: 'thinking' is not known; did you mean 'thinkingLevel'? allowed:",
    ),
    ("ended: run_end, sent", "ended: run_ent, sent", "races.unit.ended: 'run_ent' is not known; did you mean 'run_end'?"),
    ("  run_end: {}", "  run_ends: {}", "reference: 'run_ends' is not known; did you mean 'run_end'? allowed: handler"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_case_that_is_wrong_is_refused_with_file_place_and_what_is_allowed(old, new, message, edited, refused):
    path = edited(SHIPPED, old, new)
    line = refused(load_case, str(path))
    assert line.startswith(f"{path}: ")
    assert message in line


def test_an_unknown_case_or_strategy_is_refused_with_the_known_ones(refused):
    assert "openclaw: no such file" in refused(load_case, "openclaw")
    assert "openclaw-70575, openclaw-cures, or a path" in refused(load_case, "openclaw")
    line = refused(CASE.strategy, "sketch")
    known = ", ".join(STRATEGIES)
    assert line == f"strategy 'sketch' is not in case openclaw-70575; did you mean 'sketch-70575'? allowed: {known}"


def mini(fields=1, sites=1, strategies=1, rule="request.*", scope=("f", "f"), flow=("s0",)):
    """A case of so many fields, sites and strategies, all of whose rules are `rule`."""
    names = [f"s{number}" for number in range(sites)]
    return {
        "case": "mini",
        "title": "t",
        "baseline": "x0",
        "fields": {f"f{number}": {"domain": "d"} for number in range(fields)},
        "sites": {name: {"role": "unit", "snapshot": "own"} for name in names},
        "reference": {name: {"*": "request.*"} for name in names},
        "strategies": {f"x{n}": {"title": "t", "sites": {name: {"*": rule} for name in names}} for n in range(strategies)},
        "flows": {"f": list(flow)},
        "scopes": {"f": list(scope)},
    }


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (mini(fields=501), "fields: Dictionary should have at most 500 items"),
        (mini(sites=101), "sites: Dictionary should have at most 100 items"),
        (mini(strategies=101), "strategies: Dictionary should have at most 100 items"),
        (
            mini(fields=100, sites=10, strategies=11),
            "11 of them with 100 fields at 10 sites make 11,000 rules; allowed: 10,000",
        ),
        (mini(rule="stale" + " " * 100_000 + ".f0"), "strategies.x0.sites.s0.*: String should have at most 2000 characters"),
        (mini(scope=["f"] * 7), "scopes.f: 7 flows; allowed: 1 to 6"),
        (mini(scope=[]), "scopes.f: 0 flows; allowed: 1 to 6"),
        (mini(flow=["s0"] * 51), "flows.f: 51 steps; allowed: 1 to 50"),
        (mini(fields=0), "fields: Dictionary should have at least 1 item"),
        (mini() | {"fields": {"n" * 10_000: {"domain": "d"}}}, "a key of 10,000 characters; allowed: 1,000"),
    ],
)
def test_a_case_of_any_size_is_refused_with_the_bound(case, message, tmp_path, refused):
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(case))
    line = refused(load_case, str(path))
    assert line.startswith(f"{path}: ")
    assert message in line


def test_the_cures_file_says_of_all_that_it_shares_what_the_main_file_says():
    main, cures = load_case("openclaw-70575"), load_case("openclaw-cures")
    for shared in (
        "fields",
        "request",
        "effective",
        "context",
        "domains",
        "sites",
        "roles",
        "snapshots",
        "flows",
        "scopes",
        "words",
    ):
        assert getattr(cures, shared) == getattr(main, shared)
    assert cures.reference.rules == main.reference.rules
    assert [noticed.name for noticed in cures.noticed] == [noticed.name for noticed in main.noticed]
    for name, strategy in main.strategies.items():
        assert (cures.strategies[name].rules, cures.strategies[name].discipline) == (strategy.rules, strategy.discipline)


def test_the_baseline_is_what_there_is_today_and_nothing_else_is(tmp_path):
    case = load_case("openclaw-70575")
    assert {name: one.role for name, one in case.strategies.items()} == {
        "replace": "history", "before-19328": "history", "after-19328": "today", "sketch-70575": "proposed",
        "in-mutator": "alternative", "all-sites": "shipped",
    }  # fmt: skip
    text = (DATA / "cases" / "openclaw-70575.yaml").read_text()
    for old, new, roles in (
        ("baseline: after-19328", "baseline: all-sites", {"all-sites": "today", "after-19328": "alternative"}),
        ("    role: proposed\n", "    role: today\n", None),
    ):
        path = tmp_path / "mine.yaml"
        path.write_text(text.replace(old, new, 1))
        if roles:
            found = load_case(str(path)).strategies
            assert {name: found[name].role for name in roles} == roles
        else:
            with pytest.raises(InputError, match=r"sketch-70575\.role: today is the baseline, after-19328, and no other"):
                load_case(str(path))
