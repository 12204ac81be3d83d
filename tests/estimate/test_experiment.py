"""Experiments: determinism, pairing, and the order of strategies that the case's authors should see."""

import json
from collections import Counter
from dataclasses import replace
from multiprocessing import active_children

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError, RunError
from simlib.estimate import experiment
from simlib.estimate.conditional_monte_carlo import conditional_rates
from simlib.estimate.experiment import ENGINES, WORTH_A_POOL, check_engines, find_example, run, timelines
from simlib.estimate.size import CHECKED
from simlib.model import simpy_model
from simlib.model.history import same
from simlib.replay.histograms import EDGES, quantile
from simlib.replay.replay import replay_strategy
from simlib.workload.workload import load_workload


@pytest.fixture(scope="module")
def case():
    return load_case("openclaw-70575")


@pytest.fixture(scope="module")
def handler_only(case):
    return run(load_workload("handler-only"), case, replicates=8)


@pytest.fixture(scope="module")
def busy_team(case):
    return run(load_workload("busy-team"), case, replicates=4)


def test_the_same_seed_gives_the_same_bytes(case):
    model = load_workload("busy-team", ["duration=60"])
    texts = [json.dumps(run(model, case, seed=3, replicates=3).to_json()) for _ in range(2)]
    assert texts[0] == texts[1]


def test_both_engines_give_the_same_numbers(case):
    model = load_workload("multi-process", ["duration=60"])
    compiled, simpy = (run(model, case, replicates=2, engine=engine).to_json() for engine in ("compiled", "simpy"))
    assert compiled.pop("engines_agree_on") == compiled["transactions"] - run_of(model, case, 1)
    assert compiled.pop("engine") == "compiled"
    assert simpy.pop("engine") == "simpy"
    assert simpy.pop("engines_agree_on") == 0
    assert compiled == simpy


def run_of(model, case, replicate):
    """Transactions of one replicate, over the timelines of all strategies."""
    histories = timelines(model, case, tuple(case.strategies), 1, replicate, "simpy").values()
    return sum(len(history) for history in {id(history): history for history in histories}.values())


def test_a_long_first_replicate_is_compared_with_simpy_on_its_beginning(case):
    model = load_workload("busy-team", ["duration=2400"])
    assert run_of(model, case, 0) > 3 * CHECKED
    assert CHECKED - 5 < check_engines(model, case, ["replace"], seed=1) <= CHECKED  # flows are whole; each has few steps


def test_engines_that_disagree_stop_the_run(case, monkeypatch):
    def late(workload, case, traffic, discipline):
        history = simpy_model.simulate(workload, case, traffic, discipline)
        return replace(history, end=np.nextafter(history.end, np.inf))

    monkeypatch.setitem(ENGINES, "compiled", late)
    with pytest.raises(RunError, match="the engines compiled and simpy disagree on the timeline of"):
        run(load_workload("quiet", ["duration=100"]), case, replicates=1)


def run_and_watch(*arguments, **options):
    """The result as JSON, and how many processes there were besides ours after each replicate."""
    processes = []
    result = run(*arguments, **options, progress=lambda: processes.append(len(active_children())))
    return result.to_json(), processes


def test_the_number_of_processes_is_the_one_asked_for_and_does_not_show(case):
    model = load_workload("busy-team", ["duration=60"])
    (one, alone), (two, together) = (run_and_watch(model, case, seed=3, replicates=17, jobs=jobs) for jobs in (1, 2))
    assert one == two
    assert alone == [0] * 17
    assert len(together) == 17
    assert max(together) == 2


def test_further_processes_are_started_if_there_is_enough_to_do_though_it_be_few_replicates(case, monkeypatch):
    """The transactions to expect: 2 turns of 3 and 1 patch of 1 a second, for 5 s, 3 times over."""
    model = load_workload("quiet", ["duration=5", "traffic.turn.rate=2", "traffic.patch.rate=1", "traffic.inbound.rate=0"])
    found = []
    for threshold, processors in ((105, 2), (104, 2), (104, None)):
        monkeypatch.setattr("os.cpu_count", lambda processors=processors: processors)
        monkeypatch.setitem(WORTH_A_POOL, "compiled", threshold)
        found.append(run_and_watch(model, case, ["all-sites"], replicates=3))
    (one, alone), (two, together), (three, unknown) = found
    assert one == two == three
    assert alone == unknown == [0] * 3
    assert max(together) == 2


def test_what_is_kept_of_a_replicate_is_under_three_kilobytes_however_long_it_is(case):
    kept = {}
    for duration, replicates in ((60, 2), (600, 2), (60, 20)):
        totals = run(load_workload("busy-team", [f"duration={duration}"]), case, replicates=replicates).totals
        kept[duration, replicates] = totals.numbers.nbytes, sum(table.nbytes for table in totals.sums.values())
    assert kept[600, 2] == kept[60, 2]  # numbers of each replicate, sums of all
    assert kept[60, 20] == (10 * kept[60, 2][0], kept[60, 2][1])
    assert kept[60, 20][0] < 20 * 3000


def test_another_seed_gives_another_run(case):
    model = load_workload("handler-only", ["duration=20"])
    one, two = (run(model, case, seed=seed, replicates=2).to_json() for seed in (1, 2))
    assert one["transactions"] != two["transactions"]


def test_the_lineage_gets_better_step_by_step_on_handler_only(handler_only):
    """replace >= before > after >= sketch > 0 = in-mutator; no request names a group field in this workload."""
    rates = {name: handler_only.clobber_rate(name).estimate for name in handler_only.strategies}
    assert rates["replace"] >= rates["before-19328"] > rates["after-19328"] >= rates["sketch-70575"] > 0
    assert rates["in-mutator"] == rates["all-sites"] == 0


def test_the_steps_of_the_lineage_are_beyond_chance(handler_only):
    assert handler_only.difference("before-19328").interval().low > 0
    assert handler_only.difference("sketch-70575").interval().high < 0


def test_the_sketch_still_reverts_and_overtakes_at_the_handler(case, handler_only):
    kinds = handler_only.by_field("sketch-70575").sum(axis=0)
    assert kinds[1] > 0  # reverted
    assert kinds[3] > 0  # overtaken


def test_the_sketch_erases_group_fields_with_no_race(case, busy_team):
    plain = busy_team.clobbers("sketch-70575")[case.sites.index("handler"), :, :, 0]
    fields = {case.fields[number] for number in np.flatnonzero(plain.sum(axis=1))}
    assert fields == {"groupId", "groupChannel", "space"}


def test_fixing_the_handler_alone_leaves_the_runs_write_backs(case, busy_team):
    assert busy_team.clobber_rate("in-mutator").estimate > 0
    sites = dict(zip(case.sites, busy_team.by_site("in-mutator"), strict=True))
    assert sites["handler"] == 0
    assert sites["run_start"] > 0
    assert sites["run_end"] > 0
    assert busy_team.clobber_rate("all-sites").estimate == 0


def test_every_count_of_a_strategy_adds_up(busy_team):
    data = busy_team.to_json()["strategies"]
    for counts in data.values():
        by_field = sum(sum(kinds.values()) for kinds in counts["by_field"].values())
        assert by_field == sum(counts["by_site"].values()) == counts["racing"] + counts["not_racing"]


def test_the_json_has_the_keys_that_other_tools_rely_on(busy_team):
    data = busy_team.to_json()
    assert {"workload", "case", "engine", "seed", "replicates", "transactions", "strategies", "cost"} <= set(data)
    wanted = {"clobber_rate", "lost_write_rate", "difference_from_baseline", "by_field", "by_site", "racing", "not_racing"}
    for name, counts in data["strategies"].items():
        assert wanted <= set(counts)
        assert set(counts["clobber_rate"]) == set(counts["lost_write_rate"]) == {"estimate", "low", "high"}
        assert (counts["difference_from_baseline"] is None) == (name == "after-19328")
    json.dumps(data, allow_nan=False)


def test_computing_in_the_lock_lengthens_the_hold_by_what_the_workload_says(case, busy_team):
    """busy-team's handler computes 0.3 ms, a run's writes and an inbound message's 0.2 ms each."""
    counts = busy_team.numbers("all-sites")["transactions"][0]
    compute = {"handler": 0.0003, "run_start": 0.0002, "run_end": 0.0002, "inbound": 0.0002, "patch": 0.0}
    added = sum(count * compute[site] for site, count in zip(case.sites, counts, strict=True))
    held = [busy_team.numbers(name)["held"][0] for name in ("after-19328", "all-sites")]
    assert held[1] - held[0] == pytest.approx(added, rel=1e-6)


def test_the_median_time_that_wrong_values_stood_is_within_a_bin_of_the_exact_one(case, handler_only):
    clobbers, histories = [], []
    for replicate in range(handler_only.replicates):
        histories.append(timelines(handler_only.workload, case, ["replace"], 1, replicate, "compiled")["replace"])
        clobbers.append(replay_strategy(case, case.strategy("replace"), histories[-1]).clobbers)
    stood = np.concatenate([one.until - history.end[one.culprit] for one, history in zip(clobbers, histories, strict=True)])
    median, standing = handler_only.stood("replace")
    assert median == pytest.approx(np.median(stood), rel=0.04)
    assert standing == np.isinf(stood).mean()


def test_pairing_on_one_timeline_saves_replicates(handler_only):
    """The sketch and after-19328 share their timeline and most of their clobbers, so most of their noise cancels."""
    assert handler_only.difference("sketch-70575").variance_ratio > 2


def test_a_chosen_strategy_is_the_baseline_if_the_cases_is_not_chosen(case):
    result = run(load_workload("quiet", ["duration=60"]), case, ["in-mutator", "all-sites"], replicates=2)
    assert result.baseline == "in-mutator"
    assert result.difference("in-mutator") is None


def first_example(result, name, races):
    """Replicate, culprit and field of the first clobber of the commonest sort, by looking at every one."""
    found = []
    for replicate in range(result.replicates):
        history = timelines(result.workload, result.case, [name], result.seed, replicate, "compiled")[name]
        clobbers = replay_strategy(result.case, result.case.strategy(name), history).clobbers
        sorts = zip(
            history.site[clobbers.culprit], clobbers.field, clobbers.kind, clobbers.racing, clobbers.culprit, strict=True
        )
        found += [((site, field, kind), replicate, row, field) for site, field, kind, race, row in sorts if race == races]
    counts = Counter(sort for sort, *_ in found)
    commonest = min(sort for sort in counts if counts[sort] == max(counts.values()))
    return next(where for sort, *where in found if sort == commonest), len(found)


@pytest.mark.parametrize("name", ["replace", "sketch-70575"])
@pytest.mark.parametrize("races", [True, False])
def test_an_example_is_the_first_clobber_of_the_commonest_sort_among_races_if_there_is_one(case, busy_team, name, races):
    (replicate, culprit, field), count = first_example(busy_team, name, races)
    assert count > 1
    if not races:  # as if no race had been counted
        sums = busy_team.totals.sums | {"clobbers": busy_team.totals.sums["clobbers"] * [1, 0]}
        busy_team = replace(busy_team, totals=replace(busy_team.totals, sums=sums))
    outcomes, number = find_example(busy_team, name)
    assert same(outcomes.history, timelines(busy_team.workload, case, [name], 1, replicate, "compiled")[name])
    assert (outcomes.clobbers.culprit[number], outcomes.clobbers.field[number]) == (culprit, field)
    assert outcomes.clobbers.racing[number] == races


def test_without_a_clobber_there_is_no_example(busy_team):
    assert find_example(busy_team, "all-sites") is None


def test_a_rate_is_counted_if_it_is_large_or_was_seen_often_enough(case, monkeypatch):
    thin = load_workload("handler-only", ["sessions.count=2000", "duration=60"])

    def conditional(few, rare):
        monkeypatch.setattr(experiment, "FEW", few)
        monkeypatch.setattr(experiment, "RARE", rare)
        return set(run(thin, case, ["after-19328", "all-sites"], replicates=10, jobs=1).conditional)

    rate = run(thin, case, ["after-19328"], replicates=10, jobs=1).clobber_rate("after-19328")
    seen, largest = int(rate.totals.sum()), rate.estimate
    assert seen > 1
    assert conditional(seen + 1, 1.0) == {"after-19328"}
    assert conditional(seen, 1.0) == set()
    assert conditional(seen + 1, largest) == set()
    assert conditional(seen, largest) == set()


def test_rare_is_less_than_one_in_a_hundred(case):
    for sessions, expected in ((100, {"after-19328"}), (30, set())):
        model = load_workload("handler-only", [f"sessions.count={sessions}", "duration=10"])
        result = run(model, case, ["after-19328"], replicates=5, jobs=1)
        rate = result.clobber_rate("after-19328")
        assert 1 < rate.totals.sum() < 50
        assert (0.005 < rate.estimate < 0.01) == bool(expected)
        assert set(result.conditional) == expected


@pytest.mark.parametrize(("duration", "seed", "seen"), [(0.2, 1, 1), (0.4, 2, 2)])
def test_one_replicate_that_may_clobber_is_too_few_to_say_how_often(case, duration, seed, seen):
    thin = load_workload("handler-only", ["sessions.count=2000", f"duration={duration}"])
    after = case.strategy("after-19328")
    found = conditional_rates(thin, case, [after], seed, 3, ENGINES["compiled"])["after-19328"]
    assert np.count_nonzero(found.totals) == seen
    assert bool(run(thin, case, ["after-19328"], seed=seed, replicates=3, jobs=1).conditional) == (seen > 1)


def test_what_was_never_counted_is_not_taken_for_certain(case):
    """With a session for each flow, hardly two of them ever meet; what would happen if they did is known all the same."""
    sparse = load_workload("handler-only", ["sessions.count=50000", "duration=10"])
    result = run(sparse, case, ["after-19328", "all-sites"], replicates=3, jobs=1)
    assert result.clobber_rate("after-19328").totals.tolist() == [0, 0, 0]
    assert set(result.conditional) == {"after-19328"}
    assert 0 < result.best_rate("after-19328").estimate < 1e-3


def test_what_is_not_said_is_as_the_workload_and_the_case_say(case):
    model = load_workload("quiet", ["duration=30", "replicates=3"])
    result = run(model, case)
    assert result.replicates == 3
    assert result.strategies == tuple(case.strategies)
    assert result.to_json() == run(model, case, list(case.strategies), seed=1, replicates=3, jobs=1).to_json()


def test_the_least_numbers_are_allowed(case):
    result = run(load_workload("quiet", ["duration=30"]), case, seed=0, replicates=1, jobs=1)
    assert (result.seed, result.replicates) == (0, 1)


def test_a_workload_of_another_case_is_refused(case):
    with pytest.raises(InputError, match="nowhere"):
        run(load_workload("quiet", ["times.nowhere={hold: 1}"]), case)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicates": 0}, "replicates: 0 is too small; allowed: 1 to 1,000,000"),
        ({"replicates": 1_000_001, "engine": "fast"}, "replicates: 1000001 is too large"),
        ({"replicates": 1_000_000, "engine": "fast"}, "engine 'fast'"),
        ({"seed": -1}, "seed: -1 is too small; allowed: 0 to "),
        ({"jobs": 0}, "jobs: 0 is too small; allowed: 1 to 256"),
        ({"engine": "fast"}, "engine 'fast' is not known; allowed: compiled, simpy"),
    ],
)
def test_numbers_out_of_range_are_refused(case, arguments, message):
    with pytest.raises(InputError, match=message):
        run(load_workload("quiet"), case, **arguments)


def test_an_unknown_strategy_is_refused_with_the_known_ones(case):
    with pytest.raises(InputError, match=r"'in-mutater'.*allowed: replace, before-19328"):
        run(load_workload("quiet"), case, ["in-mutater"])


def test_a_quantile_of_binned_times_is_within_a_bin_of_the_exact_one():
    times = np.random.default_rng(1).lognormal(-4, 1, 20_000)
    histogram = np.histogram(times, EDGES)[0]
    for share in (0.5, 0.95, 0.99):
        assert quantile(histogram, share) == pytest.approx(np.quantile(times, share), rel=0.04)


def test_a_median_of_mostly_zero_waits_is_zero():
    assert quantile(np.histogram(np.array([0.0, 0.0, 0.0, 1.0]), EDGES)[0], 0.5) == 0


def test_a_quiet_store_without_traffic_has_no_rates(case):
    model = load_workload("quiet", [f"traffic.{flow}.rate=0" for flow in ("turn", "patch", "inbound")])
    data = run(model, case, replicates=2).to_json()
    assert data["transactions"] == 0
    assert data["strategies"]["replace"]["clobber_rate"] == {"estimate": None, "low": None, "high": None}
