"""What the case is known to show: the order of the strategies, and which write site each leaves open."""

import numpy as np
from schedules import CASE, STRATEGIES

from simlib.gateway import simulate
from simlib.replay import replay
from simlib.traffic import draw
from simlib.workload import load_workload


def clobbered_turns(name, duration, replicates=2):
    """Share of turns with a clobber, and the culprits' sites, by strategy."""
    workload = load_workload(name, [f"duration={duration}"])
    shares, sites = {}, {}
    for strategy in STRATEGIES:
        rules, turns, hit = CASE.strategy(strategy), 0, 0
        sites[strategy] = set()
        for replicate in range(replicates):
            history = simulate(workload, CASE, draw(workload, CASE, 1, replicate), rules.in_lock)
            culprits = replay(CASE, rules, history).clobbers.culprit
            of_turn = np.isin(history.site[culprits], [number for number, role in enumerate(CASE.roles) if role == "turn"])
            hit += np.unique(history.flow[culprits[of_turn]]).size
            turns += np.unique(history.flow[history.site == CASE.sites.index("handler")]).size
            sites[strategy] |= {CASE.sites[site] for site in history.site[culprits]}
        shares[strategy] = hit / turns
    return shares, sites


def test_each_step_of_the_lineage_clobbers_less_where_nothing_but_the_handler_races():
    shares, sites = clobbered_turns("handler-only", 30)
    assert shares["replace"] >= shares["before-19328"] > shares["after-19328"] >= shares["sketch-70575"] > 0
    assert shares["in-mutator"] == shares["all-sites"] == 0
    assert sites["after-19328"] == {"handler"}


def test_where_runs_write_back_a_fixed_handler_is_not_enough():
    shares, sites = clobbered_turns("busy-team", 600, 1)
    assert sites["in-mutator"] == {"run_start", "run_end"}
    assert shares["in-mutator"] > 0 == shares["all-sites"]
