"""`simlib sweep`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.compiling import announcing
from simlib.cli.options import Json, Overrides, number
from simlib.cli.output import complain, forewarn, line_a_minute, print_json, progress_bar
from simlib.common import bounds
from simlib.common.errors import RunError
from simlib.common.text import counted


def sweep(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="A name in data/sweeps, or a path.")],
    out: Annotated[Path, typer.Option(help="Folder that holds everything; made if it is not there.")],
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    jobs: Annotated[int | None, number(bounds.JOBS, "Processes; else as many as there are cores.")] = None,
    dask: Annotated[str, typer.Option(metavar="ADDRESS", help="A Dask scheduler that does the work; or 'local'.")] = "",
    force: Annotated[bool, typer.Option(help="Simulate everything again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would run, and how long it may take.")] = False,
    status: Annotated[bool, typer.Option(help="Say how far it is.")] = False,
    report: Annotated[
        bool, typer.Option(help="Then write what the rates depend on to sensitivity.html in the folder.")
    ] = False,
    leave_out_failed: Annotated[bool, typer.Option(help="Report without cells that failed or have no rate.")] = False,
    as_json: Json = False,
) -> None:
    """Run a workload with many settings; what is finished is kept, and only what is missing is simulated."""
    from simlib.estimate.wording import seconds
    from simlib.sweep.folder import Folder
    from simlib.sweep.on_dask import on_dask
    from simlib.sweep.plan import make_plan
    from simlib.sweep.sweep import expected_seconds, read_status, run_sweep

    folder = Folder(out)
    with progress_bar("the plan"):
        plan = make_plan(name, overrides, known=folder.read_plan())
    found = read_status(plan, folder, jobs)
    if not (status or dry_run):
        for line in found.changed:
            complain(f"changed since the last run: {line}")
        if not dask:
            forewarn(*expected_seconds(plan, folder, jobs, again=force))
        with announcing(), progress_bar("cells", found.missing + found.failed) as step:
            engine = partial(on_dask, dask, jobs) if dask else None
            found = run_sweep(plan, folder, jobs=jobs, engine=engine, again=force, say=complain, progress=step)
    written = {} if status or dry_run else {"results": str(folder.path / "results.parquet")}
    if dry_run and not as_json:
        quick, slow = (seconds(each) for each in expected_seconds(plan, folder, jobs))
        print(f"{found.missing + found.failed:,} of {counted(found.cells, 'cell')} would be simulated: some {quick} to {slow}")
    elif not as_json:
        print(f"{counted(found.cells, 'cell')}: {found.done:,} done, {found.missing:,} missing, {found.failed:,} failed")
    if report and written:
        written["report"] = str(_report(out, plan.sweep.sweep, leave_out_failed))
        complain(f"what the rates depend on is in {written['report']}")
    if as_json:
        print_json(found.to_json() | written)
    if found.failed and not (status or dry_run):
        raise RunError(f"{found.failed:,} of {counted(found.cells, 'cell')} failed; {folder.path}/results.parquet says why")


def _report(folder: Path, name: str, without_failed: bool) -> Path:
    """Write the sensitivity report of the finished sweep."""
    from simlib.report.notebook import find_notebook, make_report
    from simlib.sweep.sensitivity import load_complete

    load_complete(folder, without_failed)  # refused in one line, and not from within a notebook
    page, parameters = folder / "sensitivity.html", {"folder": str(folder), "without_failed": without_failed}
    with line_a_minute("the report"):
        make_report(
            find_notebook("sensitivity"), parameters, page, f"simlib: sensitivity, {name}", progress=sys.stderr.isatty()
        )
    return page
