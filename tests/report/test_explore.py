"""The explorer against the runs that it stands for, and as a reader without a kernel sees it."""

import asyncio
import re

import pytest

from simlib.estimate.experiment import run, timelines
from simlib.estimate.levers import with_traffic, with_windows
from simlib.replay.replay import replay_strategy
from simlib.report.diagram import sequence
from simlib.report.explore import FEW, study
from simlib.workload.workload import load_workload

SMALL = ["duration=60"]


@pytest.fixture
def explorer():
    return study("busy-team", overrides=SMALL, replicates=FEW + 1, traffic=2.0, strategy="in-mutator")


def test_it_shows_the_run_of_the_workload_with_that_traffic_and_those_windows(explorer):
    explorer.windows.unobserve_all()
    explorer.windows.value = 0.5
    explorer._run(3)
    workload = with_windows(with_traffic(load_workload("busy-team", SMALL), 2), 0.5)
    expected = run(workload, explorer.case, ["after-19328", "in-mutator"], replicates=3)
    assert explorer.explored.result.to_frame().equals(expected.to_frame())
    assert workload.duration == 30
    assert "with 2 times its traffic, and 0.5 times as long without the lock: 3 replicates" in explorer.about.value


def test_every_clobber_of_the_run_has_its_number_in_the_order_of_the_replicates(explorer):
    result, drawn = explorer.explored.result, []
    for replicate in range(result.replicates):
        history = timelines(result.workload, result.case, ["in-mutator"], 1, replicate, "compiled")["in-mutator"]
        outcomes = replay_strategy(result.case, result.case.strategy("in-mutator"), history)
        drawn += [(outcomes, number) for number in range(len(outcomes.clobbers))]
    assert explorer.number.max == explorer.explored.clobbers("in-mutator") == len(drawn) > 2 * FEW
    for number in (0, len(drawn) // 2, len(drawn) - 1):
        explorer.number.value = number + 1
        assert sequence(result.case, *drawn[number]).caption in explorer.diagram.value.replace("&#x27;", "'")


def test_a_moved_slider_shows_a_few_replicates_at_once_and_all_when_it_rests(explorer):
    async def move():
        explorer.traffic.value = 1.0
        few = explorer.explored.result.replicates
        explorer.traffic.value = 0.5
        await explorer.refining
        return few

    assert asyncio.run(move()) == FEW
    assert explorer.explored.result.replicates == FEW + 1
    assert explorer.explored.setting.traffic == 0.5


def test_another_strategy_is_the_one_whose_clobbers_are_shown(explorer):
    async def choose():
        explorer.strategy.value = "all-sites"

    asyncio.run(choose())
    assert explorer.whose.options == ("after-19328", "all-sites")
    assert explorer.whose.value == "all-sites"
    assert "clobbers nothing in this run" in explorer.diagram.value


def test_a_setting_that_is_no_workload_is_said_to_the_reader(explorer):
    explorer.workload = explorer.workload.model_copy(update={"duration": 1e9})
    shown = explorer.rates.value
    explorer._run(2)
    assert re.search(r"<strong>.*duration.*</strong>", explorer.about.value)
    assert explorer.rates.value == shown


def test_without_a_kernel_it_is_complete(explorer):
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) >= {"application/vnd.jupyter.widget-view+json", "text/html"}
    assert bundle["text/html"].count("<figure>") == 2
    assert "latency p99" in bundle["text/html"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"traffic": 5.0}, "traffic: 5 is out of range; allowed: 0.25 to 4"),
        ({"replicates": 1}, "replicates"),
        ({"strategy": "session-lock"}, "strategy: session-lock has guards or locks of its own; give it as `cure`"),
        ({"cure": "all-sites"}, "cure: all-sites has no guards or locks of its own; give it as `strategy`"),
        ({"cure": "nosuch"}, "strategy 'nosuch' is not in case openclaw-cures"),
    ],
)
def test_what_does_not_fit_is_refused(refused, changes, said):
    assert said in refused(lambda: study("busy-team", case="openclaw-cures", **changes))
