"""`simlib testbed`."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from simlib.cli.inputs import load_inputs
from simlib.cli.options import CaseName, Json, Overrides, Seed, Workload, number
from simlib.cli.output import print_json, print_table, progress_bar
from simlib.common import bounds


def testbed(
    workload: Workload,
    store: Annotated[str, typer.Option(help="file (JSON, lock file, cache, rename; the default) or sqlite (WAL).")] = "",
    strategy: Annotated[str, typer.Option(metavar="NAME", help="What really writes; else the baseline.")] = "",
    seconds: Annotated[float, number(bounds.TESTBED_SECONDS, "Of arrivals.")] = 10.0,
    seed: Seed = 1,
    entry_bytes: Annotated[int, number(bounds.ENTRY_BYTES, "How much each entry holds besides its fields.")] = 0,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the history: NAME.parquet, or NAME.jsonl.gz as a recording.")
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run 16 conditions (store, load, sessions, processes) instead; their histories are for validate --testbed. "
            "Of a strategy with guards or locks of its own, the model's predictions stand beside them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the workload on a real store with real processes, and check that replay gives what it holds in the end."""
    model, compiled = load_inputs(
        workload, case, overrides, [strategy] if strategy else [], grid / "summary.csv" if grid else out
    )
    from pandas import read_csv

    from simlib.common.errors import InputError
    from simlib.estimate.wording import milliseconds
    from simlib.model.history import write_parquet
    from simlib.testbed.export import write_recording
    from simlib.testbed.grid import PREDICTED, errors, run_grid, standard_grid, summary
    from simlib.testbed.run import run_testbed

    if out and not out.name.endswith((".parquet", ".jsonl.gz")):
        raise InputError(f"{out}: what form is that? allowed: NAME.parquet, NAME.jsonl.gz")
    if grid:
        if store or out:
            raise InputError("--grid runs both stores and names its files; leave out --store and --out")
        conditions = standard_grid(compiled, strategy or compiled.baseline)
        with progress_bar("conditions", len(conditions)) as step:
            table = run_grid(model, compiled, conditions, grid, seconds, seed, entry_bytes, step)
        paths = [str(grid / name) for name in table["file"]]
        if as_json:
            print_json(paths)
            return
        print("\n".join(paths))
        if not compiled.is_plain(compiled.strategy(strategy or compiled.baseline).discipline):
            print_table([_in_words(row) for row in errors(read_csv(grid / PREDICTED))])
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


def _in_words(row: dict[str, Any]) -> dict[str, str]:
    """A row of `grid.errors` for people: errors of rates in percentage points."""
    rates = {"error": "error", "noise_off": "noise off", "same_draws": "same draws"}
    points = {word: f"{100 * row[name]:.2f} pp" if name in row else "" for name, word in rates.items()}
    within = f"{row['within_a_fifth']} of {row['conditions']}" if "within_a_fifth" in row else ""
    return {"figure": row["figure"], "conditions": f"{row['conditions']}", **points, "within 20 %": within}
