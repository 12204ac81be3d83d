"""Speed, as ratios that are measured side by side in one run: `python -m benchmarks`, or `simlib bench`."""

import resource
import sys
from typing import Any

RATIOS = (
    "compiled_over_simpy",
    "simpy_over_bare_loop",
    "replay_over_dictionary_replay",
    "run_over_hand_written_simpy",
    "queue_over_salabim",
    "queue_over_ciw",
)
RATES = (
    "transactions_compiled",
    "transactions_guarded",
    "transactions_entry_locks",
    "transactions_simpy",
    "replays",
    "dictionary_replays",
    "run",
    "hand_written",
    "queue",
    "turns",
)


def measure(quick: bool = False) -> dict[str, Any]:
    """Everything, in the form that `simlib bench --json` prints; `quick` ends within a minute."""
    from benchmarks import engines, growth, queues, rare, replays, runs

    found: dict[str, Any] = {
        **engines.measure(100_000 if quick else 1_000_000),
        **replays.measure(8 if quick else 80),
        **runs.measure(),
        **queues.measure(5_000 if quick else 30_000),
        **rare.measure(),
    }
    return {
        "ratios": {name: found[name] for name in RATIOS},
        "rates": {name: found[name] for name in RATES},
        "seconds_to_1e-6": found["seconds_to_1e-6"],
        "seconds_to_1e-6_counted": found["seconds_to_1e-6_counted"],
        "rate_found": found["rate_found"],
        "peak_memory_mb": peak_memory_mb(),
        "microseconds_per_transaction": growth.measure(quick),
    }


def peak_memory_mb() -> float:
    """The most memory that this process, or one it started, has had."""
    kilobyte = 1024 if sys.platform == "darwin" else 1
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(peaks) / kilobyte / 1024
