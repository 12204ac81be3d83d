"""Workload files: the shipped ones, overrides, and everything that can be wrong, each refused in one line."""

from dataclasses import replace

import pytest
from schedules import CASE

from simlib.case.case import load_case
from simlib.common.files import parse_yaml
from simlib.common.shipped import DATA, shipped_names
from simlib.workload.traffic import draw
from simlib.workload.workload import MANY, load_workload

SHIPPED = shipped_names("workloads")
THE_SIX = {"quiet", "busy-team", "channel-hop", "spawn-storm", "multi-process", "handler-only"}
FILE = DATA / "workloads" / "handler-only.yaml"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_workload_loads_fits_its_case_and_can_be_drawn(name):
    workload = load_workload(name)
    case = load_case(workload.case)
    workload.check_case(case, name)
    assert workload.workload == name
    assert workload.about
    traffic = draw(workload.model_copy(update={"duration": 5.0}), case, 1, 0)
    assert traffic.kinds == tuple(workload.traffic)


def test_the_six_workloads_of_the_design_are_shipped():
    assert set(SHIPPED) >= THE_SIX


def test_a_workload_is_found_by_name_or_by_path(refused):
    assert load_workload(str(FILE)) == load_workload("handler-only")
    assert refused(load_workload, "busyteam").startswith("busyteam: no such file")
    assert f"allowed: {', '.join(SHIPPED)}, or a path" in refused(load_workload, "busyteam")
    assert "no such file" in refused(load_workload, "nowhere/busy-team.yaml")
    assert "is no regular file" in refused(load_workload, str(FILE.parent))


# ---- bad files -------------------------------------------------------------------------------------------------------------

CHANNELS = "channel: [telegram, discord, slack]"
HANDLER_TIMES = "prepare: {dist: lognormal, median: 0.006, sigma: 0.6}"
WRONG = [
    # a typo in a key, with a hint
    (
        "duration: 100",
        "duraton: 100",
        "unknown key 'duraton'; did you mean 'duration'? allowed: workload, about, case, duration",
    ),
    (
        "    rate: 20",
        "    rat: 20",
        "traffic.turn: unknown key 'rat'; did you mean 'rate'? allowed: rate, arrivals, gateways, sessions, steps",
    ),
    ("median: 0.006", "medain: 0.006", "times.handler.prepare: unknown key 'medain'; did you mean 'median'?"),
    (
        "popularity: uniform",
        "ubiquity: uniform",
        "sessions: unknown key 'ubiquity'; allowed: count, popularity, exponent, initial",
    ),
    ("duration: 100", "", "duration: is missing"),
    # numbers
    ("rate: 20", "rate: -20", "traffic.turn.rate: Input should be greater than or equal to 0 (got -20)"),
    ("rate: 20", "rate: .inf", "traffic.turn.rate: Input should be a finite number (got inf)"),
    ("rate: 20", "rate: .nan", "traffic.turn.rate: Input should be a finite number (got nan)"),
    (
        "rate: 20",
        "rate: often",
        "traffic.turn.rate: Input should be a valid number, unable to parse string as a number (got 'often')",
    ),
    ("rate: 20", "rate:", "traffic.turn.rate: Input should be a valid number (got None)"),
    ("duration: 100", "duration: 0", "duration: Input should be greater than or equal to 0.001 (got 0)"),
    (
        "count: 10",
        "count: 2.5",
        "sessions.count: Input should be a valid integer, got a number with a fractional part (got 2.5)",
    ),
    ("count: 10", "count: 0", "sessions.count: Input should be greater than or equal to 1 (got 0)"),
    ("sigma: 0.6", "sigma: -1", "times.handler.prepare.sigma: Input should be greater than or equal to 0 (got -1)"),
    (
        "replicates: 240\n",
        "replicates: 240\nstore: {lock_poll: 0}\n",
        "store.lock_poll: Input should be greater than or equal to 0.0001 (got 0)",
    ),
    # names
    ("handler:\n        - {w", "handlr:\n        - {w", "times: no entry for write site 'handlr', which a flow uses"),
    ("patch: {prepare", "ptch: {prepare", "times: no entry for write site 'patch', which a flow uses"),
    (
        "ask: [label]}\n  patch",
        "ask: [labl]}\n  patch",
        "traffic.turn.steps.handler: 'labl' is not known; did you mean 'label'? allowed: to, accountId",
    ),
    (
        "popularity: uniform",
        "initial: [labl]",
        "sessions.initial: 'labl' is not known; did you mean 'label'? allowed: lastChannel",
    ),
    (
        "popularity: uniform",
        "initial: [space]",
        "values (needed by sessions.initial, space): 'space' is not known; allowed: channel",
    ),
    ("popularity: uniform", "popularity: zip", "sessions.popularity: Input should be 'uniform' or 'zipf' (got 'zip')"),
    (
        CHANNELS,
        "chanel: [telegram]",
        "values (needed by turn.handler, channel): 'channel' is not known; did you mean 'chanel'? allowed: chanel, peer",
    ),
    (
        HANDLER_TIMES,
        "prepare: {dist: normal, mean: 1}",
        "times.handler.prepare: not a distribution; write a number, or {dist: KIND",
    ),
    (HANDLER_TIMES, "prepare: quick", "times.handler.prepare: not a distribution; write a number, or {dist: KIND"),
    (
        HANDLER_TIMES,
        "prepare: {dist: empirical, values: []}",
        "times.handler.prepare.values: List should have at least 1",
    ),
    ("rate: 20", "rate: 20\n    arrivals: often", "traffic.turn.arrivals: Input tag 'often' found using 'kind' does not match"),
    ("rate: 20", "rate: 20\n    arrivals: {kind: bursty, busy: 1}", "traffic.turn.arrivals.idle: is missing"),
    ("rate: 20", "rate: 20\n    gateways: [1]", "traffic.turn.gateways: 1 is not there; allowed: 0 to 0"),
    (
        "{ask: [channel, to]}]",
        "{ask: [channel, to]}]\n      run_end: []",
        "times: no entry for write site 'run_end', which a flow uses",
    ),
    # domains
    (CHANNELS, "channel: []", "values.channel: List should have at least 1 item"),
    (CHANNELS, "channel: 0", "values.channel: Input should be greater than 0 (got 0)"),
    (CHANNELS, f"channel: {MANY + 1}", f"values.channel: Input should be less than or equal to {MANY} (got {MANY + 1})"),
    (CHANNELS, "channel: lots", "values.channel: not a domain; write a list of names, a number of them, or many (got 'lots')"),
    (CHANNELS, "channel: [1, 2]", "values.channel.0: expected a text (got 1)"),
    # bounds
    ("rate: 20", "rate: 1e7", "traffic.turn.rate: Input should be less than or equal to 1000000 (got 10000000.0)"),
    ("rate: 20", "rate: 5e-324", "traffic.turn.rate: 5e-324 is too small; allowed: 0, or 1e-12 to 1,000,000 a second"),
    (
        "rate: 20",
        "rate: 20\n    arrivals: {kind: bursty, busy: 1e-9, idle: 1}",
        "busy: Input should be greater than or equal to 0.001",
    ),
    ("weight: 36", "weight: 1e308", "Input should be less than or equal to 1000000000 (got 1e+308)"),
    ("popularity: uniform", "exponent: 1e308", "sessions.exponent: Input should be less than or equal to 20 (got 1e+308)"),
    ("count: 10", "count: 1000000000000", "sessions.count: Input should be less than or equal to 1000000 (got 1000000000000)"),
    ("duration: 100", "duration: 1e308", "duration: Input should be less than or equal to 1000000000 (got 1e+308)"),
    ("replicates: 240", "replicates: 1000000000", "replicates: Input should be less than or equal to 1000000 (got 1000000000)"),
    (
        "replicates: 240\n",
        "replicates: 240\nstore: {cache_ttl: 1e308}\n",
        "store.cache_ttl: Input should be less than or equal to",
    ),
    (
        "replicates: 240\n",
        "replicates: 240\nstore: {lock_poll_max: 1e-300}\n",
        "lock_poll_max: Input should be greater than or equal",
    ),
    # YAML
    ("duration: 100", 'duration: "\\ud800"', "or no text"),
    ("rate: 20", "rate: 20\n    rate: 30", "not valid YAML: the key 'rate' stands twice"),
    ("duration: 100", "duration: [100", "not valid YAML"),
    ("duration: 100", "\tduration: 100", "not valid YAML"),
    ("duration: 100", "duration: *nothing", "not valid YAML: found undefined alias"),
    ("duration: 100", "duration: !!python/object:os.system 1", "not valid YAML: could not determine a constructor"),
    ("duration: 100", "duration: !!int long", "not valid YAML"),
    # what YAML 1.1 would take for a truth value, minutes and seconds, or a date
    (
        "duration: 100",
        "duration: yes",
        "duration: Input should be a valid number, unable to parse string as a number (got 'yes')",
    ),
    (
        "duration: 100",
        "duration: true",
        "duration: Input should be a valid number, unable to parse string as a number (got 'true')",
    ),
    (
        "duration: 100",
        "duration: 1:40",
        "duration: Input should be a valid number, unable to parse string as a number (got '1:40')",
    ),
    ("duration: 100", "duration: 2026-13-45", "duration: Input should be a valid number, unable to parse string"),
    ("duration: 100", "duration: 100\non: 1", "unknown key 'on'; "),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_workload_that_is_wrong_is_refused_with_file_key_value_and_what_is_allowed(old, new, message, edited, refused):
    path = edited(FILE, old, new)

    def load():
        load_workload(str(path)).check_case(CASE, str(path))

    line = refused(load)
    assert line.startswith(f"{path}: ")
    assert message in line


def test_a_step_that_inherits_a_snapshot_needs_the_earlier_step_in_its_flow(edited, refused):
    path = edited(DATA / "workloads" / "busy-team.yaml", "      run_start: []\n      run_end: []", "      run_end: []")
    message = refused(load_workload(str(path)).check_case, CASE, "f.yaml")
    assert (
        message
        == "f.yaml: traffic.turn.steps.run_end: inherits the snapshot of run_start, which is no earlier step of this flow"
    )


def test_a_strategy_whose_site_inherits_a_snapshot_needs_the_earlier_step_too(refused):
    guarded = load_case("openclaw-cures").strategies["version-back-off"]
    words = tuple("run_end" if site == "handler" else word for site, word in zip(CASE.sites, CASE.snapshots, strict=True))
    other = replace(guarded, name="other", discipline=replace(guarded.discipline, snapshots=words))
    case = replace(CASE, strategies={**CASE.strategies, "other": other})
    message = refused(load_workload("busy-team").check_case, case, "f.yaml")
    assert message.startswith(
        "f.yaml: traffic.turn.steps.handler: inherits the snapshot of 'run_end' with strategy other, which"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a mapping of keys at the top"),
        (b"- a\n- b\n", "expected a mapping of keys at the top, found a list"),
        (b"just words", "expected a mapping of keys at the top, found 'just words'"),
        (b"\xff\xfe\x00bad", "cannot be read"),
        (b"a: \x00", "not valid YAML"),
        (b"? [1, 2]\n: 3\n", "line 1: not valid YAML: found unhashable key"),
        (b"--- a\n--- b\n", "not valid YAML: but found another document"),
        (b"PK\x03\x04", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(content, message, tmp_path, refused):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    line = refused(load_workload, str(path))
    assert line.startswith(f"{path}: ")
    assert message in line


def test_bare_words_and_numbers_of_yaml_are_what_they_look_like():
    text = "[no, off, y, true, 2026-01-01, 1:40, 010, 1e3, 1E-3, .5, -7, +7, 0x1f, ~, null, 'null', .inf, 1.]"
    words = ["no", "off", "y", "true", "2026-01-01", "1:40"]
    assert parse_yaml(text) == [*words, 10, 1000, 0.001, 0.5, -7, 7, "0x1f", None, None, "null", float("inf"), 1]
    assert parse_yaml("{base: &b {a: 1}, more: {<<: *b, c: 2}}")["more"] == {"a": 1, "c": 2}


def test_channels_may_be_called_on_and_no(edited):
    path = edited(FILE, CHANNELS, "channel: [on, no, 'null']")
    assert load_workload(str(path)).values["channel"] == ["on", "no", "null"]


# ---- overrides -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("traffic.patch.rate=2", lambda w: w.traffic["patch"].rate == 2),
        ("traffic.patch.rate=1e-1", lambda w: w.traffic["patch"].rate == 0.1),
        ("duration=7", lambda w: w.duration == 7),
        ("store.gateways=3", lambda w: w.store.gateways == 3),
        ("sessions.popularity=zipf", lambda w: w.sessions.popularity == "zipf"),
        ("values.peer=many", lambda w: w.domain_size("peer") == MANY),
        ("values.channel.1=on", lambda w: w.values["channel"] == ["telegram", "on", "slack"]),
        ("times.handler.prepare.sigma=0", lambda w: w.times["handler"].prepare.sigma == 0),
        ("times.handler.prepare={dist: exponential, mean: 3}", lambda w: w.times["handler"].prepare.mean == 3),
        ("times.handler.after=0.5", lambda w: w.times["handler"].after.value == 0.5),
        ("traffic.turn.steps.handler.0.weight=1", lambda w: w.traffic["turn"].steps["handler"][0].weight == 1),
        ("traffic.turn.arrivals={kind: bursty, busy: 1, idle: 2}", lambda w: w.traffic["turn"].arrivals.idle == 2),
        ("about=a = b", lambda w: w.about == "a = b"),
    ],
)
def test_an_override_sets_any_scalar(override, value):
    assert value(load_workload("handler-only", [override]))


def test_overrides_apply_in_order_and_the_last_one_wins():
    assert load_workload("handler-only", ["duration=7", "duration=8"]).duration == 8


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("traffic.patch.rate", "--set traffic.patch.rate: write key.key=value, as in traffic.patch.rate=2"),
        ("=2", "--set =2: write key.key=value"),
        ("", "--set : write key.key=value"),
        ("traffic.ptch.rate=2", "has no traffic.ptch; did you mean 'patch'? allowed: turn, patch, inbound"),
        ("traffic.patch.rat=2", "traffic.patch: unknown key 'rat'; did you mean 'rate'?"),
        ("traffic.patch.rate=-2", "traffic.patch.rate: Input should be greater than or equal to 0 (got -2)"),
        ("traffic.patch.rate=fast", "traffic.patch.rate: Input should be a valid number"),
        ("traffic.patch.rate=", "traffic.patch.rate: Input should be a valid number (got None)"),
        ("traffic.patch.rate=yes", "traffic.patch.rate: Input should be a valid number"),
        ("traffic.patch.rate=[", "--set traffic.patch.rate=[: '[' is not a YAML value"),
        ("traffic.patch.rate=!!int x", "is not a YAML value"),
        ("traffic.patch.rate.mean=2", "--set traffic.patch.rate.mean=2: traffic.patch.rate in"),
        ("sessions.count.0.1=2", "has no sessions.count.0"),
        ("values.channel.3=irc", "'3' is not a position in that list of"),
        ("values.channel.first=irc", "'first' is not a position in that list of"),
        ("traffic.turn.steps.handler.-1.weight=2", "'-1' is not a position in that list of"),
        ("store.gatways=2", "store: unknown key 'gatways'; did you mean 'gateways'?"),
        ("store.gateways=0", "store.gateways: Input should be greater than or equal to 1 (got 0)"),
        ("store={gateways: two}", "store.gateways: Input should be a valid integer"),
        ("duration=2026-13-45", "duration: Input should be a valid number"),
        ("traffic={}", "traffic: Dictionary should have at least 1 item"),
    ],
)
def test_an_override_that_is_wrong_is_refused(override, message, refused):
    assert message in refused(load_workload, "handler-only", [override])
