"""The replay against the plain dictionary replay that the tests use as an oracle."""

import sys
from pathlib import Path

from benchmarks.clock import best
from simlib.case.case import load_case
from simlib.model import compiled_model
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from dictionary_replay import dictionary_replay


def measure(replicates: int) -> dict[str, float]:
    """Ratio, and transaction-strategy replays a second: all strategies of the case over busy-team replicates."""
    workload = load_workload("busy-team")
    case = load_case(workload.case)
    histories = [compiled_model.simulate(workload, case, draw(workload, case, 1, number)) for number in range(replicates)]

    def ours() -> None:
        for history in histories:
            for strategy in case.strategies.values():
                replay_strategy(case, strategy, history)

    def theirs() -> None:
        for strategy in case.strategies.values():
            dictionary_replay(case, strategy, histories[0])

    ours()  # compile
    fast, slow = best(ours, theirs)
    replays = len(case.strategies) * sum(map(len, histories)) / fast
    by_dictionary = len(case.strategies) * len(histories[0]) / slow
    return {
        "replay_over_dictionary_replay": replays / by_dictionary,
        "replays": replays,
        "dictionary_replays": by_dictionary,
    }
