"""`simlib calibrate`, `validate` and `testbed`: between the model and real systems."""

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.compiling import try_engine
from simlib.cli.options import CaseName, Json, Overrides, Seed, Workload
from simlib.cli.output import complain, print_json, print_table, progress_bar
from simlib.common.shipped import CASE

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A store recording, a history (Parquet), a gateway log, or a trace."),
]
Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE...", help="Store recordings, histories (Parquet), or gateway races."),
]


def calibrate(
    source: Source,
    out: Annotated[Path, typer.Option("-o", "--out", help="The workload to write.")],
    case: CaseName = CASE,
) -> None:
    """Estimate a workload from a recording, a log or a trace; write it as commented YAML."""
    from simlib.calibrate.evidence import write_workload
    from simlib.calibrate.source import calibrate as calibrate_source
    from simlib.case.case import load_case

    calibration = calibrate_source(source, load_case(case), out.stem)
    write_workload(calibration, out)
    for assumption in calibration.assumed:
        complain(f"assumed: {assumption}")
    print(out)


def validate(
    sources: Sources = [],  # noqa: B006 - typer copies it
    case: CaseName = CASE,
    replicates: Annotated[int, typer.Option(help="Of the model, for each prediction.", min=2)] = 39,
    seed: Seed = 1,
    report: Annotated[bool, typer.Option("--report", help="Write the validation report instead.")] = False,
    testbed: Annotated[list[str], typer.Option(metavar="PARQUET", help="Testbed histories for the report.")] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="Where to write the report; else reports/validation.html.")] = None,
    as_json: Json = False,
) -> None:
    """Predict each source from a part of itself, and compare with what was observed there; none named: all shipped ones."""
    if report:
        _validation_report(sources, case, replicates, seed, testbed, out)
        return
    from simlib.case.case import load_case
    from simlib.estimate.wording import percent
    from simlib.report.validation import shipped_sources
    from simlib.validate.scores import validation_json
    from simlib.validate.validate import validate as validate_sources

    validation = validate_sources(sources or shipped_sources(), load_case(case), replicates, seed)
    if as_json:
        print_json(validation_json(validation))
        return
    print_table(
        [
            {
                "source": row.source,
                "rule": row.rule,
                "figure": row.figure,
                "observed": percent(row.observed),
                "predicted": percent(row.predicted),
                "95 % interval": f"{percent(row.low)} to {percent(row.high)}",
                "inside": "yes" if row.inside else "NO",
                "same arrivals and times": "" if row.driven is None else percent(row.driven),
                "of": f"{row.n:,}",
            }
            for row in validation.conditions
        ]
    )
    if not validation.conditions:
        print("there is no clobber rate to compare: no unit of work was seen")
        return
    print(f"RMSE {percent(validation.rmse)} with the observations' own sampling variance taken off")
    if math.isfinite(validation.driven_rmse):
        print(f"RMSE {percent(validation.driven_rmse)} given the very arrivals and times that were observed, nothing taken off")
    print(f"{percent(validation.coverage)} of {len(validation.figures)} figures inside their 95 % prediction interval")


def _validation_report(sources: list[str], case: str, replicates: int, seed: int, testbed: list[str], out: Path | None) -> None:
    from simlib.common.shipped import REPORTS
    from simlib.report.notebook import find_notebook, make_report

    page = out or REPORTS / "validation.html"
    parameters = {"sources": sources, "testbed": testbed, "case": case, "replicates": replicates, "seed": seed}
    try_engine()
    make_report(find_notebook("validation"), parameters, page, "simlib: validation", progress=sys.stderr.isatty())
    print(page)


def testbed(
    workload: Workload,
    store: Annotated[str, typer.Option(help="file (JSON, lock file, cache, rename; the default) or sqlite (WAL).")] = "",
    strategy: Annotated[str, typer.Option(metavar="NAME", help="What really writes; else the baseline.")] = "",
    seconds: Annotated[float, typer.Option(help="Of arrivals.")] = 10.0,
    seed: Seed = 1,
    entry_bytes: Annotated[int, typer.Option(help="How much each entry holds besides its fields.", min=0)] = 0,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the history: NAME.parquet, or NAME.jsonl.gz as a recording.")
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run 16 conditions (store, load, sessions, processes) instead; their histories are for validate --testbed.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the workload on a real store with real processes, and check that replay gives what it holds in the end."""
    from simlib.case.case import load_case
    from simlib.common.errors import InputError
    from simlib.estimate.wording import milliseconds
    from simlib.model.history import write_parquet
    from simlib.testbed.export import write_recording
    from simlib.testbed.grid import run_grid, standard_grid, summary
    from simlib.testbed.run import run_testbed
    from simlib.workload.workload import load_workload

    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    if out and not out.name.endswith((".parquet", ".jsonl.gz")):
        raise InputError(f"{out}: what form is that? allowed: NAME.parquet, NAME.jsonl.gz")
    if grid:
        if store or out:
            raise InputError("--grid runs both stores and names its files; leave out --store and --out")
        conditions = standard_grid(strategy or compiled.baseline)
        with progress_bar("conditions", len(conditions)) as step:
            table = run_grid(model, compiled, conditions, grid, seconds, seed, entry_bytes, step)
        paths = [str(grid / name) for name in table["file"]]
        print_json(paths) if as_json else print("\n".join(paths))
        return
    run = run_testbed(model, compiled, strategy or compiled.baseline, store or "file", seconds, seed, entry_bytes)
    if out and out.name.endswith(".jsonl.gz"):
        write_recording(run, out)
    elif out:
        write_parquet(run.history, out, run.strategy)
    figures = summary(run)
    if as_json:
        print_json({name: value if math.isfinite(value) else None for name, value in figures.items()})
        return
    print_table(
        [
            {"figure": name, "value": milliseconds(value) if isinstance(value, float) else f"{value:,}"}
            for name, value in figures.items()
        ]
    )
    print("replaying the history gives every committed entry and the store's final content")
