"""How often does a stale write clobber a fresh one, and does the fix end it?

The way through the house: workload -> traffic -> model -> history -> replay(strategy) -> outcomes -> estimates -> report.
The names below are the public face; each is imported when it is first used, so that `import simlib` costs nothing.
"""

from importlib import import_module

TYPE_CHECKING = False  # not typing's: until `__main__` has seen to it, an import may find a file in the current folder
if TYPE_CHECKING:
    from simlib.case.case import load_case
    from simlib.common.errors import InputError, RunError, SimlibError
    from simlib.estimate.experiment import run
    from simlib.model.history import History
    from simlib.replay.counterfactual import counterfactual
    from simlib.replay.recording import read_recording
    from simlib.replay.replay import replay_strategy
    from simlib.search.prove import prove
    from simlib.workload.workload import load_workload

__all__ = [
    "History",
    "InputError",
    "RunError",
    "SimlibError",
    "counterfactual",
    "load_case",
    "load_workload",
    "prove",
    "read_recording",
    "replay_strategy",
    "run",
]

_HOMES = {
    "History": "model.history",
    "InputError": "common.errors",
    "RunError": "common.errors",
    "SimlibError": "common.errors",
    "counterfactual": "replay.counterfactual",
    "load_case": "case.case",
    "load_workload": "workload.workload",
    "prove": "search.prove",
    "read_recording": "replay.recording",
    "replay_strategy": "replay.replay",
    "run": "estimate.experiment",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'simlib' has no attribute '{name}'")
    return getattr(import_module(f"simlib.{_HOMES[name]}"), name)
