"""The usual workload of a case: where a calibration takes from what its source does not tell."""

from pathlib import Path

from simlib.case.case import Case, load_case
from simlib.common.errors import InputError
from simlib.workload.workload import Workload, load_workload


def usual_workload(case: Case, source: Path) -> Workload:
    """The workload that the case's `usual` names.

    Raises:
        InputError: the case names none, or the workload is wrong.
    """
    if case.sections.usual is None:
        raise InputError(
            f"{source}: without times of preparation, and case {case.name} names no workload that has them (`usual: NAME`); "
            "say whose times to take: --times-from WORKLOAD"
        )
    return load_workload(case.sections.usual)


def is_of_another_program(usual: Workload, case: Case) -> bool:
    """Whether the workload is one of another case, or of one that cannot be found."""
    try:
        return load_case(usual.case).name != case.name
    except InputError:
        return True


def like(site: str, usual: Workload, case: Case) -> str:
    """The write site whose usual times stand for those of `site`: itself, else the first of its role, else the first."""
    role = dict(zip(case.sites, case.roles, strict=True))
    same_role = [other for other in usual.times if role.get(other) == role[site]]
    return next(iter([*(other for other in usual.times if other == site), *same_role, *usual.times]))
