"""Replicates x strategies: every strategy over the same timelines, on one process or many.

Strategies with equal disciplines share one timeline; others run on their own with the same draws. The result does
not depend on how many processes worked on it.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

from simlib.case.case import Case
from simlib.common import bounds
from simlib.common.errors import InputError, RunError, allowed
from simlib.common.workers import spread
from simlib.estimate.conditional_monte_carlo import conditional_rates
from simlib.estimate.intervals import Rate
from simlib.estimate.result import Result
from simlib.estimate.size import CHECKED, check_size, expected_size, fitting_jobs
from simlib.estimate.totals import Totals, fold, total
from simlib.model import compiled_model, simpy_model
from simlib.model.history import History, same
from simlib.replay.counts import cost, tally_on
from simlib.replay.efforts import effort, stuck, wide_sites
from simlib.replay.replay import Outcomes, replay_strategy
from simlib.replay.survey import survey
from simlib.workload.traffic import Traffic, beginning, draw, draw_all
from simlib.workload.workload import Workload

ENGINES = {"compiled": compiled_model.simulate, "simpy": simpy_model.simulate}
"""Two implementations of one model; their histories are equal, bit for bit. SimPy's is the specification."""
WORTH_A_POOL = {"compiled": 10_000_000, "simpy": 300_000}
"""Transactions below which starting further processes takes longer than it saves."""
FEW = 50
"""Clobbered units. A rate that was counted from fewer is uncertain by 28 % of itself or more (twice its standard error)."""
RARE = 0.01
"""More frequent clobbers are always counted, however short the run."""
DRAWN_TOGETHER = 20_000
"""Transactions that are drawn at once: many enough for short replicates to share what a draw costs, few enough for a cache."""
LARGEST_BLOCK = 64
"""The most replicates that a process simulates before it reports: enough to make reporting cheap."""


def timelines(
    workload: Workload, case: Case, strategies: Sequence[str], seed: int, replicate: int, engine: str
) -> dict[str, History]:
    """The history on which each strategy is judged in one replicate; equal disciplines, same history."""
    return _timelines(workload, case, strategies, engine, draw(workload, case, seed, replicate))


def _timelines(
    workload: Workload, case: Case, strategies: Sequence[str], engine: str, traffic: Traffic
) -> dict[str, History]:  # fmt: skip
    histories = {
        discipline: ENGINES[engine](workload, case, traffic, discipline)
        for discipline in dict.fromkeys(case.strategy(name).discipline for name in strategies)
    }
    return {name: histories[case.strategy(name).discipline] for name in strategies}


def check_engines(workload: Workload, case: Case, strategies: Sequence[str], seed: int) -> int:
    """Run the first replicate, or the first CHECKED transactions of a longer one, on both engines.

    Returns:
        how many transactions they agree on, over all timelines.

    Raises:
        RunError: the histories differ, which would be a bug.
    """
    traffic = beginning(draw(workload, case, seed, 0), CHECKED)
    one, other = (_timelines(workload, case, strategies, engine, traffic) for engine in ENGINES)
    distinct = {case.strategy(name).discipline: name for name in strategies}
    for name in distinct.values():
        if not same(one[name], other[name]):
            raise RunError(f"the engines {' and '.join(ENGINES)} disagree on the timeline of {name}, seed {seed}, replicate 0")
    return sum(len(one[name]) for name in distinct.values())


def run_replicates(
    workload: Workload, case: Case, strategies: Sequence[str], seed: int, engine: str, replicates: Sequence[int]
) -> Iterator[Totals]:
    """Simulate, replay and count these replicates; the totals of each one as it is done.

    They are drawn some at a time, as many as have DRAWN_TOGETHER transactions.
    """
    some = max(1, int(DRAWN_TOGETHER / max(1.0, workload.expected_transactions())))
    for place in range(0, len(replicates), some):
        for traffic in draw_all(workload, case, seed, replicates[place : place + some]):
            yield _count(workload, case, traffic, _timelines(workload, case, strategies, engine, traffic))


def _count(workload: Workload, case: Case, traffic: Traffic, histories: Mapping[str, History]) -> Totals:
    """Replay each strategy on its history, and count."""
    disciplines = {id(history): case.strategy(name).discipline for name, history in histories.items()}
    distinct = {id(history): history for history in histories.values()}
    surveys = {key: survey(case, replay_strategy(case, case.reference, history)) for key, history in distinct.items()}
    costs = {key: cost(history, wide_sites(case, disciplines[key])) for key, history in distinct.items()}
    efforts = {
        key: effort(case, history, disciplines[key], workload.duration, stuck(traffic, history))
        for key, history in distinct.items()
    }
    tallies = [
        tally_on(surveys[id(history)], replay_strategy(case, case.strategy(name), history))
        for name, history in histories.items()
    ]
    keys = [id(history) for history in histories.values()]
    return total(tallies, [costs[key] for key in keys], [efforts[key] for key in keys])


def run(
    workload: Workload,
    case: Case,
    strategies: Sequence[str] = (),
    *,
    seed: int = 1,
    replicates: int | None = None,
    engine: str = "compiled",
    jobs: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Result:
    """Run an experiment.

    Args:
        workload: the traffic.
        case: the strategies' case.
        strategies: names; none means all of the case. Differences refer to the case's baseline, or to the first name if the
            baseline is not among them.
        seed: the root of all random streams, at least 0.
        replicates: how many; the workload's own number if not given.
        engine: one of ENGINES. With the compiled one, `check_engines` is asked first.
        jobs: processes; as many as are worth their start if not given.
        progress: called after each replicate.

    Raises:
        InputError: an unknown strategy or engine, a workload that does not fit the case, a number out of range, or
            a run that cannot fit this machine.
        RunError: the two engines disagree.

    Examples:
        >>> from simlib import load_case, load_workload
        >>> workload = load_workload("quiet", ["duration=60"])
        >>> result = run(workload, load_case(workload.case), ["after-19328", "all-sites"], replicates=3)
        >>> result.strategies, result.baseline, result.replicates
        (('after-19328', 'all-sites'), 'after-19328', 3)
        >>> result.clobber_rate("all-sites").estimate
        0.0
    """
    names = tuple(dict.fromkeys(strategies)) or tuple(case.strategies)
    count = workload.replicates if replicates is None else replicates
    bounds.SEED.check("seed", seed)
    bounds.REPLICATES.check("replicates", count)
    if jobs is not None:
        bounds.JOBS.check("jobs", jobs)
    for name in names:
        case.strategy(name)
    if engine not in ENGINES:
        raise InputError(f"engine '{engine}' is not known; {allowed(list(ENGINES))}")
    workload.check_case(case, workload.workload)
    size = expected_size(workload, case, names, count, engine)
    jobs = jobs or fitting_jobs(size, _worthwhile_jobs(workload, count, engine))
    check_size(size, min(jobs, count), workload.workload)
    checked = check_engines(workload, case, names, seed) if engine == "compiled" else 0
    with closing(_parts(partial(run_replicates, workload, case, names, seed, engine), count, jobs)) as parts:
        totals = fold(parts, count, progress)
    result = Result(
        workload=workload,
        case=case,
        seed=seed,
        engine=engine,
        checked=checked,
        strategies=names,
        baseline=case.baseline if case.baseline in names else names[0],
        totals=totals,
    )
    return replace(result, conditional=_conditional(result))


def _conditional(result: Result) -> dict[str, Rate]:
    """The rates of strategies that clobber too rarely to be counted well, where conditional Monte Carlo tells more."""
    rare = [result.case.strategy(name) for name in result.strategies if is_rare(result.clobber_rate(name))]
    rare = [strategy for strategy in rare if result.case.is_plain(strategy.discipline)]  # the others' times depend on sessions
    found = conditional_rates(result.workload, result.case, rare, result.seed, result.replicates, ENGINES[result.engine])
    return {name: rate for name, rate in found.items() if is_better(rate, result.clobber_rate(name))}


def is_rare(counted: Rate) -> bool:
    """Whether so few clobbers were counted that conditional Monte Carlo may know the rate better."""
    return bool(counted.totals.sum() < FEW and counted.estimate < RARE)


def is_better(conditional: Rate, counted: Rate) -> bool:
    """Whether the rate by conditional Monte Carlo is known, and known better than the counted one."""
    return bool(
        np.count_nonzero(conditional.totals) > 1
        and conditional.estimate < RARE
        and 0 < conditional.standard_error < (counted.standard_error or np.inf)
    )


def _parts(task: Callable[[range], Iterator[Totals]], count: int, jobs: int) -> Generator[Totals, None, None]:
    """The totals of each replicate, or of each block of them; in order."""
    if jobs == 1:
        yield from task(range(count))
        return
    size = min(LARGEST_BLOCK, max(1, count // (4 * jobs)))
    blocks = [range(count)[first : first + size] for first in range(0, count, size)]
    yield from spread(partial(_block, task), blocks, jobs)


def _block(task: Callable[[range], Iterator[Totals]], replicates: range) -> Totals:
    return fold(task(replicates), len(replicates))


def _worthwhile_jobs(workload: Workload, replicates: int, engine: str) -> int:
    expected = workload.expected_transactions() * replicates
    return (os.cpu_count() or 1) if expected > WORTH_A_POOL[engine] else 1


def find_example(result: Result, strategy: str) -> tuple[Outcomes, int] | None:
    """A clobber of the commonest sort: site, field and kind, among races if there are any. None if there is no clobber.

    Returns:
        the replay it is from, and its number among the clobbers there.
    """
    counts = result.clobbers(strategy)
    if not counts.any():
        return None
    racing = int(counts[..., 1].any())
    sort = np.unravel_index(int(np.argmax(counts[..., racing])), counts.shape[:3])
    for replicate in np.flatnonzero(result.numbers(strategy)["clobbering"][:, sort[0]]):
        history = timelines(result.workload, result.case, [strategy], result.seed, int(replicate), result.engine)[strategy]
        outcomes = replay_strategy(result.case, result.case.strategy(strategy), history)
        clobbers = outcomes.clobbers
        made_by = (history.site[clobbers.culprit], clobbers.field, clobbers.kind, clobbers.racing)
        fits = np.logical_and.reduce([column == wanted for column, wanted in zip(made_by, (*sort, racing), strict=True)])
        if fits.any():
            return outcomes, int(np.flatnonzero(fits)[0])
    raise AssertionError("a clobber that was counted happens again when its replicate is run again")
