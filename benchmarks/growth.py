"""How the cost grows: microseconds of processor time a transaction, draws, simulation and replay together."""

from benchmarks.clock import best
from simlib.case.case import load_case
from simlib.model import compiled_model
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

GRID = {
    "transactions": (10_000, 100_000, 1_000_000),
    "sessions": (10, 100, 1_000, 10_000),
    "gateways": (1, 2, 4, 8),
    "strategies": (1, 2, 4, 6),
}


def measure(quick: bool) -> dict[str, dict[str, float]]:
    """{what grows: {how much: microseconds a transaction}}; what does not grow is 100,000, 30, 1 and 1."""
    base = {"transactions": 20_000 if quick else 100_000, "sessions": 30, "gateways": 1, "strategies": 1}
    return {
        name: {str(size): _cost(**{**base, name: size}) for size in sizes if not quick or size <= 100_000}
        for name, sizes in GRID.items()
    }


def _cost(transactions: int, sessions: int, gateways: int, strategies: int) -> float:
    changes = {"duration": transactions / 2.35, "sessions.count": sessions, "store.gateways": gateways}
    workload = load_workload("busy-team", [f"{key}={value}" for key, value in changes.items()])
    case = load_case(workload.case)

    def work() -> None:
        history = compiled_model.simulate(workload, case, draw(workload, case, 1, 0))
        for strategy in list(case.strategies.values())[:strategies]:
            replay_strategy(case, strategy, history)

    return best(work, turns=2)[0] / transactions * 1e6
