"""Certificates: against runs of the model, against an independent checker, and against more values than they try."""

import copy
import re
from collections import Counter

import pytest
from certificate_checker import check, check_site
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import cases, models, workloads

from simlib.case.case import Case, compile_case, load_case
from simlib.case.case_file import CaseModel
from simlib.common.errors import InputError
from simlib.common.files import load_yaml, validated
from simlib.common.shipped import find
from simlib.model.compiled_model import simulate
from simlib.replay.replay import replay_strategy
from simlib.search.certificate import VALUES, certify, to_json
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

NAME = "openclaw-70575"
CASE = load_case(NAME)


def certified(case: Case, strategy: str) -> list[str]:
    return [site for site, one in certify(case, case.strategies[strategy]).items() if one.certified]


def test_the_shipped_strategies_are_certified_where_the_issue_says() -> None:
    assert certified(CASE, "in-mutator") == ["handler", "patch"]
    assert certified(CASE, "all-sites") == list(CASE.sites)
    assert certified(CASE, "after-19328") == certified(CASE, "sketch-70575") == ["patch"]


def test_a_site_that_is_not_certified_shows_a_wrong_commit_by_hand() -> None:
    why = certify(CASE, CASE.strategies["after-19328"])["run_start"].why_not
    assert why == (
        "snapshot lastChannel = channel-1; store lastChannel = undefined; request nothing: "
        "lastChannel becomes channel-1, serially undefined"
    )


# ---- against runs ------------------------------------------------------------------------------------------------------------

SEEN: Counter[str] = Counter()


def try_one(workload: Workload, case: Case, seed: int) -> None:
    """Run the strategy; its clobbers are at no site that is certified."""
    strategy = case.strategies["s"]
    history = simulate(workload, case, draw(workload, case, seed, 0), strategy.discipline)
    proved, guarded = certified(case, "s"), "plain" if history.attempts is None else "guarded"
    for row in replay_strategy(case, strategy, history).clobbers.culprit:
        assert case.sites[history.site[row]] not in proved
        SEEN[f"{guarded}, clobber"] += 1
    SEEN[f"{guarded}, certified"] += sum(case.sites[site] in proved for site in history.site[history.ok])


@pytest.mark.parametrize("disciplined", [False, True])
@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 100))
def test_what_is_certified_never_clobbers_in_a_run(disciplined: bool, data: st.DataObject, seed: int) -> None:
    case = data.draw(cases(right=True, disciplined=disciplined))
    try_one(data.draw(workloads(case)), case, seed)


def test_the_runs_had_commits_at_certified_sites_and_clobbers_at_others() -> None:
    if len(SEEN) < 4:
        pytest.skip("the runs before this test were not made")
    assert min(SEEN.values()) > 100


# ---- against more values -----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(case=cases(right=True))
def test_more_values_change_no_verdict(case: Case) -> None:
    few, many = (certify(case, case.strategies["s"], values) for values in (VALUES, VALUES + 2))
    assert [one.certified for one in few.values()] == [one.certified for one in many.values()]


# ---- against the independent checker -----------------------------------------------------------------------------------------


def shipped() -> dict:
    return load_yaml(find("cases", NAME))


def test_the_independent_checker_accepts_what_is_certified() -> None:
    document = to_json(CASE, {name: certify(CASE, strategy) for name, strategy in CASE.strategies.items()})
    assert sum(one["certified"] for sites in document["strategies"].values() for one in sites.values()) == 11
    assert check(shipped(), document) == []


def mutations(rule: dict) -> list[dict]:
    """The rule with another source, one source fewer, another condition: each a slip of the pen."""
    sources = rule["value"].split(" ?? ")
    found = [{**rule, "value": " ?? ".join(sources[:at] + sources[at + 1 :])} for at in range(len(sources)) if len(sources) > 1]
    found += [
        {**rule, "value": re.sub("fresh", "stale", rule["value"], count=at + 1)} for at in range(rule["value"].count("fresh"))
    ]
    found += [{**rule, "value": " ?? ".join(reversed(sources))}, {**rule, "value": "undefined", "when": "always"}]
    found += [{**rule, "unless": "fresh.*"}, {**rule, "unless": "stale.*"}]
    found += [{**rule, "when": when} for when in ("always", "defined") if when != rule.get("when", "always")]
    return found


def test_the_independent_checker_rejects_each_mutated_rule_that_can_clobber() -> None:
    certificates, rejected = certify(CASE, CASE.strategies["all-sites"]), 0
    small = shipped() | {"baseline": "all-sites", "strategies": {"all-sites": shipped()["strategies"]["all-sites"]}}
    del small["races"]  # which names the other strategies
    for site, table in small["reference"].items():
        document = to_json(CASE, {"all-sites": {site: certificates[site]}})
        for key, rule in table.items():
            for mutation in mutations(rule if isinstance(rule, dict) else {"value": rule}):
                data = copy.deepcopy(small)
                data["strategies"]["all-sites"]["sites"][site] = {**table, key: mutation}
                try:
                    case = compile_case(validated(CaseModel, data, "mutated"), "mutated")
                except InputError:  # not every slip can be written down
                    continue
                wrong = site not in certified(case, "all-sites")
                assert not wrong or check(data, document) == [("all-sites", site)], (site, key, mutation)
                rejected += wrong
    assert rejected > 40


@given(data=models(right=True, disciplined=True))
def test_the_independent_checker_and_the_certificates_agree_on_random_cases(data: dict) -> None:
    case = compile_case(CaseModel.model_validate(data), "random")
    for site, one in certify(case, case.strategies["s"]).items():
        assert check_site(data, data["strategies"]["s"], site, VALUES) == (one.cases if one.certified else None)
