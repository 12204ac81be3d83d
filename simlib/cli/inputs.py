"""What commands are given, loaded and checked before anything heavy is imported: a wrong name is refused at once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simlib.cli.output import forewarn

if TYPE_CHECKING:
    from simlib.case.case import Case
    from simlib.workload.workload import Workload


def load_inputs(
    workload: str, case: str, overrides: Sequence[str], strategies: Sequence[str], *outs: Path | None
) -> "tuple[Workload, Case]":
    """The workload with its overrides, and the case named, else the workload's own; `outs` will be written.

    Raises:
        InputError: one of them cannot be loaded, they do not fit each other, the case has no strategy of such a name, or one
            of `outs` cannot be written.
    """
    from simlib.case.case import load_case
    from simlib.common.files import check_output
    from simlib.common.shipped import find
    from simlib.workload.workload import load_workload

    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    path = find("workloads", workload)
    model.check_case(compiled, str(path))
    for out in filter(None, outs):
        check_output(out, path, find("cases", case or model.case))
    for name in strategies:
        compiled.strategy(name)
    return model, compiled


def check_run(
    workload: str,
    model: "Workload",
    case: "Case",
    strategies: Sequence[str],
    replicates: int | None,
    engine: str,
    jobs: int | None = None,
) -> None:
    """Refuse a run that this machine cannot hold, before the engine is imported, and say how long it takes if that is long.

    `workload` is what it was called.

    Raises:
        InputError: with the estimate.
    """
    from simlib.common.shipped import find
    from simlib.estimate.size import MICROSECONDS, check_size, expected_size, fitting_jobs

    if engine in MICROSECONDS:
        count = replicates or model.replicates
        size = expected_size(model, case, list(strategies) or list(case.strategies), count, engine)
        check_size(size, min(jobs or 1, count), str(find("workloads", workload)))
        seconds = size.seconds / min(jobs or fitting_jobs(size, os.cpu_count() or 1), count)
        forewarn(seconds, seconds)
