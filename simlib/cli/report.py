"""`simlib report`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from simlib.cli.options import CaseName, Engine, Overrides, Replicates, Seed, Strategies, Workloads
from simlib.cli.output import complain
from simlib.errors import RunError, SimlibError


def report(
    workloads: Workloads,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    strategies: Strategies = [],  # noqa: B006
    recording: Annotated[
        str, typer.Option(help="Recording for the counterfactual; '' for none.")
    ] = "store-2026.4.22-after-19328-long",
    engine: Engine = "compiled",
    out: Annotated[Path | None, typer.Option(help="File, or folder if there are several workloads; else reports/.")] = None,
) -> None:
    """Write a fix-impact report for each workload: one self-contained HTML file."""
    from simlib.files import ROOT
    from simlib.impact import check_input
    from simlib.report import find_notebook, make_report

    folder = out if out and (len(workloads) > 1 or out.is_dir() or not out.suffix) else None
    failures: list[SimlibError] = []
    for workload in workloads:
        name = Path(workload).stem
        page = folder / f"fix-impact-{name}.html" if folder else out or ROOT / "reports" / f"fix-impact-{name}.html"
        parameters: dict[str, Any] = {
            "workload": workload,
            "case": case,
            "seed": seed,
            "replicates": replicates or 0,
            "strategies": strategies,
            "overrides": overrides,
            "recording": recording,
            "engine": engine,
        }
        try:
            check_input(**parameters)
            make_report(
                find_notebook("fix_impact"), parameters, page, f"simlib: fix impact, {name}", progress=sys.stderr.isatty()
            )
        except SimlibError as error:
            if len(workloads) == 1:
                raise
            failures.append(error)
            complain(f"{workload}: {error}")
        else:
            print(page)
    if failures:
        raise RunError(f"{len(failures)} of {len(workloads)} reports failed; the others are written")
