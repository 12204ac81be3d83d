"""The script that an engineer would write by hand in SimPy: one strategy a run, dictionaries, a Resource, random draws.

It does the traffic of busy-team with two strategies, the handler's patch before and after the fix; `run_all` counts the turns
that lose a write, which is the least that anybody would want to know.
"""

import random
from collections.abc import Iterator

import simpy

DELIVERY = ("lastChannel", "lastTo", "channel", "label")
MEAN = {"handler": 0.014, "run_start": 0.135, "run_end": 0.0, "patch": 0.001, "inbound": 0.001}
PAUSE = {"handler": 0.002, "run_start": 0.022, "run_end": 8.0, "patch": 0.0, "inbound": 0.0}
FLOWS = {
    ("handler", "run_start", "run_end"): 0.5,
    ("patch", "handler", "run_start", "run_end"): 0.05,
    ("patch",): 0.25,
    ("inbound",): 0.4,
}


class Model:
    """One strategy for `duration` seconds: a lock, a store of plain dictionaries, a process a flow, a count of losses."""

    def __init__(self, fixed: bool, duration: float, seed: int) -> None:
        self.env, self.random, self.fixed = simpy.Environment(), random.Random(seed), fixed  # noqa: S311
        self.lock = simpy.Resource(self.env)
        self.weights = [1 / rank for rank in range(1, 31)]
        self.store = [dict.fromkeys(DELIVERY, 0) for _ in self.weights]
        self.transactions = self.lost = 0
        for steps, rate in FLOWS.items():
            self.env.process(self.arrive(steps, rate, duration))

    def arrive(self, steps: tuple[str, ...], rate: float, duration: float) -> Iterator[simpy.Event]:
        """Start flows of these steps, `rate` a second."""
        while True:
            yield self.env.timeout(self.random.expovariate(rate))
            if self.env.now >= duration:
                return
            self.env.process(self.flow(steps))

    def flow(self, steps: tuple[str, ...]) -> Iterator[simpy.Event]:
        """One flow: read, prepare, lock, hold and commit at each step."""
        session = self.random.choices(range(30), self.weights)[0]
        stale = {}
        for site in steps:
            yield self.env.timeout(PAUSE[site] * self.random.lognormvariate(0, 0.5))
            if site != "run_end":
                stale = dict(self.store[session])
            yield self.env.timeout(MEAN[site] * self.random.lognormvariate(0, 0.5))
            with self.lock.request() as turn:
                yield turn
                yield self.env.timeout(0.018 * self.random.lognormvariate(0, 0.35))
                self.commit(session, site, stale)

    def commit(self, session: int, site: str, stale: dict[str, int]) -> None:
        """Merge the step's patch over the fresh entry, and count it if a turn overwrites what it did not see."""
        fresh = self.store[session]
        if site in ("patch", "inbound"):
            patch = {self.random.choice(DELIVERY): self.random.randrange(1, 9)}
        else:
            patch = {} if self.fixed else {key: stale.get(key) for key in DELIVERY}
            self.lost += any(fresh.get(key) != value for key, value in patch.items())
        self.store[session] = {**fresh, **patch}
        self.transactions += 1


def run_all(strategies: int, duration: float) -> int:
    """As many runs as there are strategies; returns the transactions simulated in all."""
    transactions = 0
    for number in range(strategies):
        model = Model(number % 2 == 1, duration, seed=number)
        model.env.run()
        transactions += model.transactions
    return transactions
