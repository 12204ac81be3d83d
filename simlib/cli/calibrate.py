"""`simlib calibrate`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.options import OneCase
from simlib.cli.output import complain
from simlib.common.shipped import CASE, DATA, find

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A store recording, a history (Parquet), a log of the program, or a trace."),
]


def calibrate(
    source: Source,
    out: Annotated[Path, typer.Option("-o", "--out", help="The workload to write.")],
    case: OneCase = CASE,
    times_from: Annotated[
        str,
        typer.Option(metavar="WORKLOAD", help="Whose times stand for what the source cannot tell; else the case's usual ones."),
    ] = "",
) -> None:
    """Estimate a workload from a recording, a log or a trace; write it as commented YAML."""
    from simlib.calibrate.evidence import write_workload
    from simlib.calibrate.source import calibrate as calibrate_source
    from simlib.calibrate.source import find_source
    from simlib.case.case import load_case
    from simlib.common.files import check_output

    path = find("cases", case)
    check_output(out, find_source(source), path)
    case_name = "" if path.parent == DATA / "cases" else os.path.relpath(path.resolve(), out.absolute().parent.resolve())
    calibration = calibrate_source(source, load_case(case), out.stem, case_name=case_name, times_from=times_from)
    write_workload(calibration, out)
    for assumption in calibration.assumed:
        complain(f"assumed: {assumption}")
    if warning := calibration.workload.warning():
        complain(warning)
    print(out)
