"""`simlib validate`."""

import math
import sys
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.compiling import try_engine
from simlib.cli.options import Json, OneCase, Seed, number
from simlib.cli.output import line_a_minute, print_json, print_table, progress_bar
from simlib.common import bounds
from simlib.common.shipped import CASE, REPORTS, find

Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE...", help="Store recordings, histories (Parquet), or races of a real program."),
]


def validate(
    sources: Sources = [],  # noqa: B006 - typer copies it
    case: OneCase = CASE,
    replicates: Annotated[int, number(bounds.PREDICTIONS, "Of the model, for each prediction.")] = 39,
    seed: Seed = 1,
    report: Annotated[bool, typer.Option("--report", help="Write the validation report instead.")] = False,
    testbed: Annotated[list[str], typer.Option(metavar="PARQUET", help="Testbed histories for the report.")] = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option(help="Where to write the JSON, or the report; else reports/validation.html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict each source from a part of itself, and compare with what was observed there; none named: all shipped ones."""
    from simlib.calibrate.source import find_source
    from simlib.case.case import load_case
    from simlib.common.files import check_output

    if report or out:
        page = out or REPORTS / "validation.html"
        check_output(page, *(find_source(name) for name in (*sources, *testbed)), find("cases", case))
        if report:
            _validation_report(sources, case, replicates, seed, testbed, page)
            return
    from simlib.estimate.wording import percent
    from simlib.report.table import Columns, Table, whole
    from simlib.report.validation_sources import shipped_sources
    from simlib.validate.scores import conditions_frame, pp, validation_json
    from simlib.validate.validate import validate as validate_sources

    sources = list(sources or shipped_sources())
    with progress_bar("sources", len(sources)) as step:
        validation = validate_sources(sources, load_case(case), replicates, seed, progress=step)
    if as_json or out:
        print_json(validation_json(validation), out)
        return
    columns: Columns = {
        **{name: itemgetter(name) for name in ("source", "rule", "figure")},
        "observed": lambda row: percent(row["observed"]),
        "predicted": lambda row: percent(row["predicted"]),
        "95 % interval": lambda row: f"{percent(row['low'])} to {percent(row['high'])}",
        "inside": lambda row: "yes" if row["inside"] else "NO",
        "same arrivals and times": lambda row: "" if row["driven"] != row["driven"] else percent(row["driven"]),
        "of": whole("n"),
    }
    print_table(Table(conditions_frame(validation.conditions), columns).rows())
    if not validation.conditions:
        print("there is no clobber rate to compare: there is no unit of work")
        return
    print(f"RMSE {pp(validation.rmse)} with the observations' own sampling variance taken off")
    if math.isfinite(validation.driven_rmse):
        print(f"RMSE {pp(validation.driven_rmse)} given the very arrivals and times that were observed, nothing taken off")
    print(f"{percent(validation.coverage)} of {len(validation.figures)} figures inside their 95 % prediction interval")


def _validation_report(sources: list[str], case: str, replicates: int, seed: int, testbed: list[str], page: Path) -> None:
    from simlib.report.notebook import find_notebook, make_report

    parameters = {"sources": sources, "testbed": testbed, "case": case, "replicates": replicates, "seed": seed}
    try_engine()
    with line_a_minute("the report"):
        make_report(find_notebook("validation"), parameters, page, "simlib: validation", progress=sys.stderr.isatty())
    print(page)
