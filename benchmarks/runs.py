"""A whole `run` of busy-team as it is shipped, draws and statistics included, against the script by hand.

Both on one process, all strategies. The script does one replicate of each strategy, and ours is compared by the transaction.
"""

from benchmarks import by_hand
from benchmarks.clock import best
from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.workload.workload import load_workload


def measure() -> dict[str, float]:
    """Ratio, and transaction-strategies a second."""
    workload = load_workload("busy-team")
    case = load_case(workload.case)
    strategies, done = len(case.strategies), {}

    def ours() -> None:
        result = run(workload, case, jobs=1)
        done["ours"] = strategies * int(result.numbers(case.baseline)["transactions"].sum())

    def theirs() -> None:
        done["theirs"] = by_hand.run_all(strategies, workload.duration)

    ours()  # compile
    fast, slow = best(ours, theirs, turns=4)
    ours_rate, theirs_rate = done["ours"] / fast, done["theirs"] / slow
    return {"run_over_hand_written_simpy": ours_rate / theirs_rate, "run": ours_rate, "hand_written": theirs_rate}
