"""`simlib calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.options import CaseName
from simlib.cli.output import complain
from simlib.common.shipped import CASE, find

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A store recording, a history (Parquet), a log of the program, or a trace."),
]


def calibrate(
    source: Source,
    out: Annotated[Path, typer.Option("-o", "--out", help="The workload to write.")],
    case: CaseName = CASE,
) -> None:
    """Estimate a workload from a recording, a log or a trace; write it as commented YAML."""
    from simlib.calibrate.evidence import write_workload
    from simlib.calibrate.source import calibrate as calibrate_source
    from simlib.calibrate.source import find_source
    from simlib.case.case import load_case
    from simlib.common.files import check_output

    check_output(out, find_source(source), find("cases", case))
    calibration = calibrate_source(source, load_case(case), out.stem)
    write_workload(calibration, out)
    for assumption in calibration.assumed:
        complain(f"assumed: {assumption}")
    print(out)
