"""`simlib report`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from simlib.cli.compiling import announcing, try_engine
from simlib.cli.inputs import check_run, load_inputs
from simlib.cli.options import CaseName, Engine, Overrides, Replicates, Seed, Strategies, Workloads
from simlib.cli.output import complain, line_a_minute, print_text
from simlib.common.errors import InputError, RunError, SimlibError

if TYPE_CHECKING:
    from simlib.case.case import Case
    from simlib.report.finding import Finding


def report(
    workloads: Workloads,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    strategies: Strategies = [],  # noqa: B006
    recording: Annotated[
        str | None, typer.Option(help="Recording for the counterfactual; '' for none; else a shipped one that fits the case.")
    ] = None,
    engine: Engine = "compiled",
    out: Annotated[Path | None, typer.Option(help="File, or folder if there are several workloads; else reports/.")] = None,
    css: Annotated[
        Literal["inside", "external"], typer.Option(help="external: simlib.css beside the page, for places that strip styles.")
    ] = "inside",
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the decision as Markdown, too, for a pull request; - for stdout.")
    ] = None,
) -> None:
    """Write a fix-impact report for each workload: one self-contained HTML file."""
    if summary and len(workloads) > 1:
        raise InputError(f"--summary {summary}: is one file for {len(workloads)} reports; give one workload")
    pages, to_file = _pages(workloads, out), None if str(summary) == "-" else summary
    failures: list[SimlibError] = []
    for workload, page in zip(workloads, pages, strict=True):
        name = Path(workload).stem
        parameters: dict[str, Any] = {
            "workload": workload,
            "case": case,
            "seed": seed,
            "replicates": replicates or 0,
            "strategies": strategies,
            "overrides": overrides,
            "recording": recording or "",
            "engine": engine,
        }
        try:
            model, compiled = load_inputs(workload, case, overrides, strategies, page, to_file)
            check_run(workload, model, compiled, strategies, replicates, engine)
            with announcing():
                found = _make(parameters, compiled, page, f"simlib: fix impact, {name}", choose=recording is None, css=css)
        except SimlibError as error:
            if len(workloads) == 1:
                raise
            failures.append(error)
            complain(f"{workload}: {error}")
        else:
            print(page)
            if summary:
                print_text(found.summary, to_file)
    if failures:
        raise RunError(f"{len(failures)} of {len(workloads)} reports failed; the others are written")


def _make(parameters: dict[str, Any], case: "Case", page: Path, title: str, choose: bool, css: str) -> "Finding":
    """Check the rest of the input and execute the notebook; `choose`: the recording that fits the case."""
    from simlib.common.files import check_output
    from simlib.replay.recording import find_recording
    from simlib.report.fix_impact import check_input, fitting_recording
    from simlib.report.notebook import find_notebook, make_report

    check_input(**parameters)
    if choose:
        parameters["recording"] = fitting_recording(case)
    if parameters["recording"]:
        check_output(page, find_recording(parameters["recording"]))
    try_engine()
    with line_a_minute(title):
        external = page.with_name("simlib.css") if css == "external" else None
        return make_report(
            find_notebook("fix_impact"), parameters, page, title, progress=sys.stderr.isatty(), external=external
        )


def _pages(workloads: list[str], out: Path | None) -> list[Path]:
    """Where each report goes: into a folder by the workload's name, or to the one file that `out` names."""
    from simlib.common.shipped import REPORTS

    if out and out.suffix and not out.is_dir():
        if len(workloads) > 1:
            raise InputError(f"--out {out}: is one file for {len(workloads)} reports; give a folder")
        return [out]
    pages = [(out or REPORTS) / f"fix-impact-{Path(workload).stem}.html" for workload in workloads]
    for page in pages:
        if pages.count(page) > 1:
            raise InputError(f"{page}: two of the workloads would write this report; give each its own --out")
    return pages
