"""The exhaustive search, against brute force, against replay, and against what the issue says must be seen."""

import re
from dataclasses import replace
from itertools import product

import brute_force
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from places import OWN_WORKLOADS
from random_cases import cases

from simlib.case.case import Case, Scope, compile_case, load_case
from simlib.case.case_file import CaseModel
from simlib.common.errors import InputError
from simlib.common.files import load_yaml, validated
from simlib.common.shipped import find
from simlib.model.simpy_model import simulate
from simlib.replay.judging import KINDS
from simlib.replay.replay import replay_strategy
from simlib.search.breadth_first import search
from simlib.search.counterexample import judge, to_history
from simlib.search.dependencies import find_cone, tabulate
from simlib.search.proofs import Proof, Proofs
from simlib.search.prove import prove, schedules
from simlib.search.statespace import make_system
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")
HANDLER_ONLY = [scope.name for scope in CASE.scopes if not any("run_start" in sites for _, sites in scope.flows)]


@pytest.fixture(scope="module")
def proofs() -> Proofs:
    return prove(CASE, stale_reads=0)


@pytest.fixture(scope="module")
def stale() -> Proofs:
    return prove(CASE, stale_reads=1)


def reached(proof: Proof, field: str | None = None) -> dict[tuple[str, str, str, bool], tuple[int, int]]:
    least: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
    for one in reversed(proof.counterexamples):
        if field in (None, one.field):
            least[one.site, one.field, one.kind, one.racing] = len(one.steps), one.price
    return least


# ---- against brute force ----------------------------------------------------------------------------------------------------

DELIVERY = ["lastTo", "lastChannel", "channel"]
KEYS = {"handler": ["channel", "to"], "run_start": [], "run_end": [], "patch": DELIVERY, "inbound": ["channel", "to"]}
LABEL_KEYS = {"handler": ["label"], "run_start": [], "run_end": [], "patch": ["label"], "inbound": []}


def check_label_against_brute_force(strategy: str, stale_reads: int, scopes: list[Scope]) -> None:
    for scope in scopes:
        expected = brute_force.search(CASE, CASE.strategies[strategy], scope, stale_reads, ["label"], LABEL_KEYS)
        proof = prove(CASE, [strategy], [scope.name], stale_reads).strategies[strategy]
        assert reached(proof, "label") == {key: value for key, value in expected.items() if key[1] == "label"}, scope.name


@pytest.mark.parametrize(("strategy", "stale_reads"), [("before-19328", 0), ("in-mutator", 1)])
def test_search_agrees_with_brute_force_on_a_field_that_stands_alone(strategy: str, stale_reads: int) -> None:
    few = [scope for scope in CASE.scopes if schedules(CASE, scope, stale_reads) < 50]
    check_label_against_brute_force(strategy, stale_reads, few)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", CASE.strategies)
@pytest.mark.parametrize("stale_reads", [0, 1])
def test_search_agrees_with_brute_force_on_a_field_that_stands_alone_in_every_scope(strategy: str, stale_reads: int) -> None:
    check_label_against_brute_force(strategy, stale_reads, list(CASE.scopes))


@pytest.mark.parametrize("strategy", ["sketch-70575", "in-mutator"])
@pytest.mark.parametrize(("scope_name", "stale_reads"), [("handler+patch", 0), ("turn+inbound", 1)])
def test_search_agrees_with_brute_force_on_coupled_fields(strategy: str, scope_name: str, stale_reads: int) -> None:
    scope = next(scope for scope in CASE.scopes if scope.name == scope_name)
    expected = brute_force.search(CASE, CASE.strategies[strategy], scope, stale_reads, DELIVERY, KEYS)
    proof = prove(CASE, [strategy], [scope_name], stale_reads).strategies[strategy]
    for field in DELIVERY:
        assert reached(proof, field) == {key: value for key, value in expected.items() if key[1] == field}


def test_a_commit_as_one_step_agrees_with_brute_force_that_takes_the_lock_apart() -> None:
    for strategy, name in product(["after-19328", "in-mutator"], ["turn+patch", "handler+inbound", "handler+handler"]):
        scope = next(scope for scope in CASE.scopes if scope.name == name)
        expected = brute_force.search(CASE, CASE.strategies[strategy], scope, 1, ["label"], LABEL_KEYS, atomic=False)
        proof = prove(CASE, [strategy], [name], stale_reads=1).strategies[strategy]
        assert set(reached(proof, "label")) == {key for key in expected if key[1] == "label"}


@pytest.mark.parametrize("field", ["lastTo", "label", "groupId"])
def test_reductions_change_the_number_of_states_and_nothing_else(field: str) -> None:
    for name, stale_reads in product(["replace", "after-19328", "sketch-70575", "in-mutator"], [0, 1]):
        strategy = CASE.strategies[name]
        cone = find_cone(CASE, strategy, CASE.fields.index(field))
        commits = tabulate(CASE, strategy, cone)
        for scope in CASE.scopes[:6]:
            system = make_system(CASE, scope, stale_reads, cone, commits)
            kept = np.tile(np.arange(cone.entries), (len(system.alike), 1))
            small, large = search(system, cone, ""), search(system._replace(images=cone.images[:1], alike=kept), cone, "")
            assert small.states < large.states
            assert [(one.site, one.finding, len(one.moves), one.price) for one in small.found] == [
                (one.site, one.finding, len(one.moves), one.price) for one in large.found
            ]


def test_schedules_are_counted_as_brute_force_lists_them() -> None:
    for scope, stale_reads in product(CASE.scopes, [0, 1, 2]):
        if "turn+" not in scope.name or scope.name == "turn+patch":
            assert schedules(CASE, scope, stale_reads) == sum(1 for _ in brute_force.orders(CASE, scope, stale_reads))


def keys_that_rules_name(case: Case, site: str) -> list[str]:
    """The request keys in the text of a site's rules; the delivery context can name x and a."""
    texts = " ".join(str(rule) for rules in (case.strategies["s"].rules, case.reference.rules) for rule in rules[site].values())
    found = set(re.findall(r"request\.(\w+)", texts)) | ({"x", "a"} if "effective" in texts else set())
    return [key for key in case.request if key in found]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(case=cases(), stale_reads=st.integers(0, 2))
def test_search_agrees_with_brute_force_on_random_cases(case: Case, stale_reads: int) -> None:
    scope = case.scopes[0]
    keys = {site: keys_that_rules_name(case, site) for site in case.sites}
    assume(brute_force.size([site for _, sites in scope.flows for site in sites], case.fields, keys) <= 4_000)
    expected = brute_force.search(case, case.strategies["s"], scope, stale_reads, case.fields, keys)
    proof = prove(case, stale_reads=stale_reads).strategies["s"]
    assert reached(proof) == expected
    for one in proof.counterexamples:
        judge(case, one)


# ---- against replay and the model -------------------------------------------------------------------------------------------


def test_replay_confirms_every_counterexample(proofs: Proofs, stale: Proofs) -> None:
    for found in (proofs, stale):
        for proof in found.strategies.values():
            for one in proof.counterexamples:
                outcomes, number = judge(CASE, one)
                assert outcomes.clobbers.culprit[number] == len(outcomes.history) - 1


def test_replay_confirms_the_counterexamples_of_a_flow_whose_sites_take_their_snapshots_in_different_ways() -> None:
    # Alone with a patch, only the spawn can be the culprit: a site without a read, then two reads, then an inherited one.
    scope = Scope("spawn+patch", (("spawn", ("patch", "handler", "run_start", "run_end")), ("patch", ("patch",))))
    found = prove(replace(CASE, scopes=(scope,)), ["before-19328"]).strategies["before-19328"].counterexamples
    assert {one.site for one in found} == {"handler", "run_start", "run_end"}
    for one in found:
        judge(CASE, one)


def test_only_the_last_commit_of_a_counterexample_does_what_it_shows(proofs: Proofs) -> None:
    for proof in proofs.strategies.values():
        for one in proof.counterexamples:
            outcomes, number = judge(CASE, one)
            same = (outcomes.clobbers.field == CASE.fields.index(one.field)) & (outcomes.clobbers.kind == KINDS.index(one.kind))
            same &= (outcomes.clobbers.racing == one.racing) & (
                outcomes.history.site[outcomes.clobbers.culprit] == CASE.sites.index(one.site)
            )
            assert np.flatnonzero(same).tolist() == [number]


def test_random_schedules_of_whole_entries_show_nothing_that_the_search_did_not(proofs: Proofs, stale: Proofs) -> None:
    random = np.random.default_rng(70575)
    for found, scope in product((proofs, stale), CASE.scopes):
        listed = list(brute_force.orders(CASE, scope, found.stale_reads))
        for pick in random.integers(len(listed), size=2):
            order = listed[pick]
            initial = random.integers(0, 3, size=(250, len(CASE.fields)))
            requests = random.integers(-1, 3, size=(len(order[0]), 250, len(CASE.request)))
            for name, proof in found.strategies.items():
                known = {
                    (c.site, c.field, c.kind, c.racing): len(c.steps)
                    for c in reversed(proof.counterexamples)
                    if c.scope == scope
                }
                for key, (steps, _) in brute_force.findings(
                    CASE, CASE.strategies[name], scope, order, initial, requests
                ).items():
                    assert known[key] <= steps


@pytest.mark.parametrize("name", OWN_WORKLOADS)
def test_every_clobber_seen_in_a_shipped_workload_is_reachable(name: str, stale: Proofs) -> None:
    workload = load_workload(name, ["duration=600"] if name != "handler-only" else ["duration=60"])
    seen = 0
    for in_lock in {strategy.in_lock for strategy in CASE.strategies.values()}:
        history = simulate(workload, CASE, draw(workload, CASE, seed=1, replicate=0), CASE.plain(in_lock))
        for strategy in CASE.strategies.values():
            clobbers = replay_strategy(CASE, strategy, history).clobbers
            known = reached(stale.strategies[strategy.name])
            for row, field, kind, racing in zip(clobbers.culprit, clobbers.field, clobbers.kind, clobbers.racing, strict=True):
                assert (CASE.sites[history.site[row]], CASE.fields[field], KINDS[kind], bool(racing)) in known
                seen += 1
    assert seen or name == "quiet"


# ---- what the issue says must be seen ---------------------------------------------------------------------------------------


def test_in_mutator_cannot_clobber_in_the_handler_only_scopes() -> None:
    assert prove(CASE, ["in-mutator"], HANDLER_ONLY, stale_reads=0).safe("in-mutator")


def test_in_mutator_reverts_at_run_start_when_a_turn_writes_back(proofs: Proofs) -> None:
    proof = proofs.strategies["in-mutator"]
    assert proof.shortest("reverted").site == "run_start"
    assert {one.site for one in proof.counterexamples} == {"run_start", "run_end"}


@pytest.mark.parametrize("stale_reads", [0, 1, 2])
def test_all_sites_cannot_clobber_even_with_stale_reads(stale_reads: int) -> None:
    assert prove(CASE, ["all-sites"], stale_reads=stale_reads).safe("all-sites")


def test_after_19328_erases_reverts_resurrects_and_overtakes_in_the_handler(proofs: Proofs) -> None:
    for kind in ("erased", "reverted", "resurrected", "overtaken"):
        assert len(proofs.strategies["after-19328"].shortest(kind, site="handler").steps) == 3


def test_the_sketch_reverts_and_overtakes_in_at_most_four_steps(proofs: Proofs) -> None:
    for kind in ("reverted", "overtaken"):
        assert len(proofs.strategies["sketch-70575"].shortest(kind).steps) <= 4


def test_the_sketch_erases_the_group_fields_with_no_concurrency(proofs: Proofs) -> None:
    plain = [one for one in proofs.strategies["sketch-70575"].counterexamples if not one.racing]
    assert {(one.kind, one.field) for one in plain} == {("erased", field) for field in ("groupId", "groupChannel", "space")}
    assert min(len(one.steps) for one in plain) == 2


# ---- directed schedules -----------------------------------------------------------------------------------------------------

# What each kind looks like, by hand: the field before and after the patch, and what the handler asks for.
DIRECTED = {
    "erased": ("label", 0, 1, {}),
    "reverted": ("label", 1, 2, {}),
    "resurrected": ("label", 1, 0, {}),
    "overtaken": ("channel", 0, 1, {"channel": 2}),
    "suppressed": ("channel", 1, 0, {"channel": 1}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_directed_schedule_reproduces_each_reachable_kind(kind: str, proofs: Proofs) -> None:
    # handler reads - patch commits - handler commits, judged by replay
    field, before, patched, asks = DIRECTED[kind]
    scope = next(scope for scope in CASE.scopes if scope.name == "handler+patch")
    order = ((1, "patch"), (0, "handler")), (-1, -1), (2, 3)
    initial = np.zeros((1, len(CASE.fields)), dtype=np.int64)
    initial[0, CASE.fields.index(field)] = before
    requests = np.full((2, 1, len(CASE.request)), -1)
    requests[0, 0, CASE.request.index(field)] = patched
    for key, code in asks.items():
        requests[1, 0, CASE.request.index(key)] = code
    # The sketch's guard: the stale entry has a channel, the fresh one has none any more, and the request's is not written.
    strategy = "sketch-70575" if kind == "suppressed" else "after-19328"
    seen = brute_force.findings(CASE, CASE.strategies[strategy], scope, order, initial, requests)
    assert ("handler", field, kind, True) in seen
    assert len(proofs.strategies[strategy].shortest(kind, field=field).steps) == 3


# ---- the face ---------------------------------------------------------------------------------------------------------------


def test_a_verdict_names_up_to_three_scopes_and_counts_more() -> None:
    names = [scope.name for scope in CASE.scopes[:4]]
    three, four = (prove(CASE, ["in-mutator"], names[:count], 0).verdict("in-mutator", "overtaken") for count in (3, 4))
    assert three.startswith(f"unreachable in {', '.join(names[:3])} (")
    assert four.startswith("unreachable in all 4 scopes (")
    assert four.endswith(", assuming caches are always up to date)")


def test_a_certificate_of_every_site_makes_a_search_needless_and_the_verdict_final() -> None:
    proofs = prove(CASE, ["all-sites", "in-mutator"], ["handler+patch"])
    assert sum(sum(proof.states.values()) for proof in proofs.strategies.values()) == 0
    assert proofs.verdict("all-sites").startswith("cannot, for any number of writers (")
    assert proofs.verdict("in-mutator").startswith("cannot at handler, patch, for any number of writers (")


def test_reads_through_a_cache_are_old_unless_one_says_that_they_are_not() -> None:
    # redux-remember #29: three tabs, each with a copy that nothing refreshes, write all of it at each action.
    text = """
        {case: tabs, title: t, baseline: store-all, fields: {api: {domain: d}, theme: {domain: d}},
         sites: {action: {role: unit, snapshot: in_lock}}, reference: {action: {"*": {value: request.*, when: requested}}},
         strategies: {store-all: {title: t, sites: {action: {"*": {value: "request.* ?? stale.*", when: defined}}}}},
         flows: {action: [action]}, scopes: {two: [action, action]}}"""
    case = compile_case(CaseModel.model_validate(yaml.safe_load(text)), "tabs")
    assert prove(case).strategies["store-all"].shortest("reverted") is not None
    assert prove(case, stale_reads=0).strategies["store-all"].shortest("reverted") is None


def test_json_has_the_shape_that_is_promised(proofs: Proofs) -> None:
    report = proofs.to_json()
    assert [set(scope) for scope in report["scopes"]] == [{"name", "flows", "stale_reads", "states", "schedules"}] * len(
        CASE.scopes
    )
    assert list(report["strategies"]) == list(CASE.strategies)
    for table in report["strategies"].values():
        assert list(table) == list(KINDS)
        for cell in table.values():
            assert set(cell) == {"reachable", "steps", "site", "field"}
            assert cell["reachable"] == (cell["steps"] is not None)


def test_the_frame_and_the_json_say_what_the_counterexamples_are_by_hand(proofs: Proofs) -> None:
    frame = proofs.to_frame().set_index(["strategy", "racing", "kind"])
    document = {True: proofs.to_json()["strategies"], False: proofs.to_json()["not_racing"]}
    assert len(frame) == len(CASE.strategies) * 2 * len(KINDS)
    assert frame.attrs == {"stale_reads": 0}
    for name, racing, kind in frame.index:
        row, told = frame.loc[name, racing, kind], document[racing][name][kind]
        steps = [len(one.steps) for one in proofs.strategies[name].counterexamples if (one.kind, one.racing) == (kind, racing)]
        assert row["reachable"] == told["reachable"] == bool(steps)
        assert row["steps"] == min(steps, default=0)
        assert told["steps"] == min(steps, default=None)
        assert (told["site"], told["field"]) == ((row["site"], row["field"]) if steps else (None, None))


def test_the_frame_of_scopes_sums_the_states_of_all_strategies_as_the_json_does(proofs: Proofs) -> None:
    frame = proofs.scopes_frame()
    assert frame["name"].tolist() == [scope.name for scope in CASE.scopes]
    assert frame["states"].sum() == sum(sum(proof.states.values()) for proof in proofs.strategies.values())
    for scope, row, told in zip(CASE.scopes, frame.to_dict("records"), proofs.to_json()["scopes"], strict=True):
        assert row["states"] == sum(proof.states[scope.name] for proof in proofs.strategies.values())
        assert row == told


def test_a_history_of_a_counterexample_runs_forward_in_time(proofs: Proofs) -> None:
    for one in proofs.strategies["before-19328"].counterexamples:
        history = to_history(CASE, one)
        assert (np.diff(history.end) > 0).all()
        assert (history.read < history.queued).all()
        assert (history.queued < history.lock).all()
        assert (history.lock < history.end).all()


def test_unknown_names_and_hopeless_sizes_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"scope 'turn' is not in case .*allowed: handler\+patch"):
        prove(CASE, scopes=["turn"])
    with pytest.raises(InputError, match="stale reads: -1 is too small; allowed: 0 to 16"):
        prove(CASE, stale_reads=-1)
    with pytest.raises(InputError, match=r"states; allowed: under 2\^63"):
        prove(CASE, ["replace"], ["turn+turn"], stale_reads=16)


def test_a_flow_that_inherits_from_a_later_step_is_refused_with_its_place() -> None:
    data = load_yaml(find("cases", "openclaw-70575"))
    data["flows"]["turn"] = ["handler", "run_end"]
    with pytest.raises(
        InputError, match=r"flows\.turn: the snapshot of run_end: 'run_start' is not known; allowed: own, in_lock"
    ):
        validated(CaseModel, data, "case.yaml")


def test_a_site_cannot_be_named_like_a_kind_of_snapshot() -> None:
    data = load_yaml(find("cases", "openclaw-70575"))
    data["sites"]["own"] = {"role": "write", "snapshot": "none"}
    for strategy in data["strategies"].values():
        strategy["sites"]["own"] = "reference"
    with pytest.raises(InputError, match=r"sites\.own: `own` says where a snapshot comes from"):
        validated(CaseModel, data, "case.yaml")


def test_an_inherited_snapshot_of_a_site_that_reads_nothing_is_refused() -> None:
    data = load_yaml(find("cases", "openclaw-70575"))
    data["sites"]["run_end"]["snapshot"] = "patch"
    data["flows"]["turn"] = data["flows"]["spawn"] = ["patch", "run_end"]
    for section in ("recordings", "log", "races"):  # they name sites of the flow as it was
        del data[section]
    case = compile_case(validated(CaseModel, data, "case.yaml"), "case.yaml")
    with pytest.raises(InputError, match="run_end of turn inherits from patch, which reads nothing before the lock"):
        prove(case, ["replace"], ["turn+patch"])
