"""What commands are given, loaded and checked before anything heavy is imported: a wrong name is refused at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simlib.case.case import Case
    from simlib.workload.workload import Workload


def load_inputs(workload: str, case: str, overrides: Sequence[str], strategies: Sequence[str]) -> "tuple[Workload, Case]":
    """The workload with its overrides, and the case named, else the workload's own.

    Raises:
        InputError: one of them cannot be loaded, or the case has no strategy of such a name.
    """
    from simlib.case.case import load_case
    from simlib.workload.workload import load_workload

    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    for name in strategies:
        compiled.strategy(name)
    return model, compiled
