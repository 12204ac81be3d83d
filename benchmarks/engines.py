"""The two engines on busy-team traffic, and the SimPy engine against a bare SimPy loop with as many events."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import simpy

from benchmarks.clock import best
from simlib.case.case import Case, load_case
from simlib.case.discipline import Discipline, Guard, Pause
from simlib.model import compiled_model, simpy_model
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload, load_workload

A_REPLICATE = 1_400  # transactions of busy-team, about


def measure(transactions: int) -> dict[str, float]:
    """Ratios, and transactions a second, over as many replicates as that many transactions take."""
    workload = load_workload("busy-team")
    case = load_case(workload.case)
    replicates = [draw(workload, case, 1, number) for number in range(round(transactions / A_REPLICATE))]
    events = sum(count_events(workload, case, traffic) for traffic in replicates[:20]) * len(replicates) // 20

    usual = case.plain()
    guard = Guard("version", attempts=4, pause=Pause(first=0.05, factor=2.0, jitter=0.1))
    guarded = replace(usual, guards=tuple(guard if site == "handler" else None for site in case.sites))
    of_entries = replace(usual, locks=(replace(usual.locks[0], scope="entry"),))

    def all_on(engine: ModuleType, discipline: Discipline = usual) -> None:
        for traffic in replicates:
            engine.simulate(workload, case, traffic, discipline)

    for discipline in (usual, guarded, of_entries):  # compile
        compiled_model.simulate(workload, case, replicates[0], discipline)
    compiled, guarded_time, entries_time, simpy_time, bare_time = best(
        lambda: all_on(compiled_model),
        lambda: all_on(compiled_model, guarded),
        lambda: all_on(compiled_model, of_entries),
        lambda: all_on(simpy_model),
        lambda: bare(events),
        turns=2,
    )
    size = sum(traffic.site.size for traffic in replicates)
    return {
        "compiled_over_simpy": simpy_time / compiled,
        "simpy_over_bare_loop": simpy_time / bare_time,
        "transactions_compiled": size / compiled,
        "transactions_guarded": size / guarded_time,
        "transactions_entry_locks": size / entries_time,
        "transactions_simpy": size / simpy_time,
    }


def count_events(workload: Workload, case: Case, traffic: Traffic) -> int:
    """How many events SimPy handles for this traffic."""
    env = simpy_model.start(workload, case, traffic, case.plain()).env
    events = 0
    while env.peek() < float("inf"):
        env.step()
        events += 1
    return events


def bare(events: int) -> None:
    """As many events in one process that does nothing."""
    env = simpy.Environment()

    def wait() -> Iterator[simpy.Event]:
        for _ in range(events):
            yield env.timeout(1.0)

    env.process(wait())
    env.run()
