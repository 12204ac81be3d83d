"""How often does a stale write clobber a fresh one, and does the fix end it?

The way through the house: workload -> traffic -> model -> history -> replay(strategy) -> outcomes -> estimates -> report.
The names below are the public face; each is imported when it is first used, so that `import simlib` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simlib.case import load_case
    from simlib.counterfactual import counterfactual
    from simlib.errors import InputError, RunError, SimlibError
    from simlib.experiment import run
    from simlib.history import History
    from simlib.recording import read_recording
    from simlib.replay import replay
    from simlib.workload import load_workload

__all__ = [
    "History",
    "InputError",
    "RunError",
    "SimlibError",
    "counterfactual",
    "load_case",
    "load_workload",
    "read_recording",
    "replay",
    "run",
]

_HOMES = {
    "History": "history",
    "InputError": "errors",
    "RunError": "errors",
    "SimlibError": "errors",
    "counterfactual": "counterfactual",
    "load_case": "case",
    "load_workload": "workload",
    "read_recording": "recording",
    "replay": "replay",
    "run": "experiment",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simlib' has no attribute '{name}'")
    return getattr(import_module(f"simlib.{_HOMES[name]}"), name)
