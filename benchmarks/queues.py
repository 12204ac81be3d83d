"""The lock queue alone, one server with Poisson arrivals and exponential service, against salabim and Ciw."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.clock import best
from simlib.case.case import load_case
from simlib.common.files import validated
from simlib.model import compiled_model
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

ARRIVALS, SERVICE = 1.0, 0.7  # a second; seconds on average


def measure(customers: int) -> dict[str, float | None]:
    """Ratios of customers a second; null where the rival is not installed."""
    case = load_case("openclaw-70575")
    workload = queue(20 * customers)
    traffic = draw(workload, case, 1, 0)
    compiled_model.simulate(workload, case, traffic)  # compile
    (ours,) = best(lambda: compiled_model.simulate(workload, case, traffic))
    rate = traffic.site.size / ours
    return {
        "queue": rate,
        "queue_over_salabim": _over(rate, salabim_queue, customers),
        "queue_over_ciw": _over(rate, ciw_queue, customers),
    }


def _over(rate: float, rival: Callable[[int], None], customers: int) -> float | None:
    try:
        (seconds,) = best(lambda: rival(customers), turns=2)
    except ImportError:
        return None
    return rate * seconds / customers


def queue(customers: int) -> Workload:
    """A workload that is nothing but the queue."""
    data = {
        "workload": "queue",
        "about": "one server",
        "case": "openclaw-70575",
        "duration": customers / ARRIVALS,
        "sessions": {"count": 1},
        "values": {},
        "traffic": {"patch": {"rate": ARRIVALS, "steps": {"patch": []}}},
        "times": {"patch": {"hold": {"dist": "exponential", "mean": SERVICE}}},
    }
    return validated(Workload, data, "queue")


def salabim_queue(customers: int) -> None:
    """So many customers of one first-come-first-served server, in salabim."""
    import salabim

    random = np.random.default_rng(1)
    gaps, services = random.exponential(1 / ARRIVALS, customers).tolist(), random.exponential(SERVICE, customers).tolist()

    class Source(salabim.Component):
        def process(self) -> Iterator[None]:
            for gap, service in zip(gaps, services, strict=True):
                yield self.hold(gap)
                Customer(service=service)

    class Customer(salabim.Component):
        def setup(self, service: float) -> None:
            self.service = service

        def process(self) -> Iterator[None]:
            yield self.request(server)
            yield self.hold(self.service)
            self.release(server)

    salabim.yieldless(False)
    environment = salabim.Environment(trace=False)
    server = salabim.Resource("server")
    Source()
    environment.run()


def ciw_queue(customers: int) -> None:
    """The same in Ciw."""
    import ciw

    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(ARRIVALS)],
        service_distributions=[ciw.dists.Exponential(1 / SERVICE)],
        number_of_servers=[1],
    )
    ciw.Simulation(network).simulate_until_max_customers(customers)
