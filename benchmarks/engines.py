"""The two engines on busy-team traffic, and the SimPy engine against a bare SimPy loop with as many events."""

from collections.abc import Iterator

import simpy

from benchmarks.clock import best
from simlib import gateway, kernel
from simlib.case import load_case
from simlib.gateway import Gateway, StoreFile, make_plan
from simlib.traffic import draw
from simlib.workload import load_workload

TRANSACTIONS_A_SECOND = 2.35  # of simulated time, in busy-team


def measure(transactions: int) -> dict[str, float]:
    """Ratios, and transactions a second. SimPy has a tenth of the transactions to do, as its time grows with their number."""
    case = load_case("openclaw-70575")

    def traffic_of(size: float):
        workload = load_workload("busy-team", [f"duration={size / TRANSACTIONS_A_SECOND}"])
        return workload, draw(workload, case, 1, 0)

    many, traffic_of_many = traffic_of(transactions)
    few, traffic_of_few = traffic_of(transactions / 10)
    events = count_events(few, case, traffic_of_few)
    kernel.simulate(few, case, traffic_of_few)  # compile
    compiled, simpy_time, bare_time = best(
        lambda: kernel.simulate(many, case, traffic_of_many),
        lambda: gateway.simulate(few, case, traffic_of_few),
        lambda: bare(events),
    )
    rates = traffic_of_many.site.size / compiled, traffic_of_few.site.size / simpy_time
    return {
        "compiled_over_simpy": rates[0] / rates[1],
        "simpy_over_bare_loop": simpy_time / bare_time,
        "transactions_compiled": rates[0],
        "transactions_simpy": rates[1],
    }


def count_events(workload, case, traffic) -> int:
    """How many events SimPy handles for this traffic."""
    env = simpy.Environment()
    file = StoreFile(workload.store, newest=[gateway.NO_COMMIT] * workload.sessions.count)
    gateways = [Gateway(env, file) for _ in range(workload.store.gateways)]
    env.process(gateway.arrive(env, gateways, make_plan(case, traffic, frozenset()).plain()))
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
