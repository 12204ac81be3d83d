"""`simlib run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlib.cli.compiling import announcing
from simlib.cli.inputs import check_run, load_inputs
from simlib.cli.options import CaseName, Engine, Json, Out, Overrides, Replicates, Seed, Strategies, Workload, number
from simlib.cli.output import print_json, print_table, progress_bar, say
from simlib.common import bounds
from simlib.common.text import counted

if TYPE_CHECKING:
    from simlib.estimate.result import Result
    from simlib.report.table import Table


def run(
    workload: Workload,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006
    seed: Seed = 1,
    replicates: Replicates = None,
    strategies: Strategies = [],  # noqa: B006
    engine: Engine = "compiled",
    jobs: Annotated[int | None, number(bounds.JOBS, "Processes; else as many as are worth their start.")] = None,
    as_json: Json = False,
    out: Out = None,
    keep: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Keep the result for `simlib compare` (NAME.parquet).")
    ] = None,
    limit: Annotated[
        bool,
        typer.Option("--limit", help="Also find the traffic at which each strategy stops being stable; takes some seconds."),
    ] = False,
) -> None:
    """Simulate a workload and estimate every strategy's clobber rate."""
    model, compiled = load_inputs(workload, case, overrides, strategies, out, keep)
    check_run(workload, model, compiled, strategies, replicates, engine, jobs)
    from simlib.estimate.compare import save
    from simlib.estimate.experiment import run as run_experiment
    from simlib.estimate.frontier import frontier_words, shows_price
    from simlib.estimate.limit import with_limits
    from simlib.estimate.wording import overload_note

    with announcing(), progress_bar("replicates", replicates or model.replicates) as step:
        result = run_experiment(
            model, compiled, strategies, seed=seed, replicates=replicates, engine=engine, jobs=jobs, progress=step
        )
    if limit:
        with progress_bar("throughput limits"):
            result = with_limits(result)
    if keep:
        save(result, keep)
    if as_json or out:
        print_json(result.to_json(), out)
        return
    for note in filter(None, (overload_note(result), model.warning())):
        say(note)
    print_table(_table(result).rows())
    if shows_price(result):
        say(frontier_words(result))
    if result.conditional:
        say(f"too few clobbers to count, so by conditional Monte Carlo: {', '.join(result.conditional)}")
    print(f"{counted(result.transactions, 'transaction')} in {counted(result.replicates, 'replicate')}, seed {seed}")
    if limit and not result.limits:
        say(f"no limit: recorded traffic cannot be multiplied, and without {compiled.words.units} there is nothing to count")
    if not result.transactions:
        say("nothing arrived, so there is nothing to say of any strategy; a longer duration or higher rates would help")


def _table(result: "Result") -> "Table":
    from operator import itemgetter

    from simlib.estimate.frontier import shows_price
    from simlib.estimate.wording import milliseconds, points
    from simlib.report.efforts import effort_columns, limit_columns
    from simlib.report.table import Table, share

    difference, overloaded = share("difference_from_baseline", points), result.overloaded
    return Table(
        result.to_frame(),
        {
            "strategy": itemgetter("strategy"),
            "clobber rate (95 %)": share("best_rate"),
            f"against {result.baseline}": lambda row: "baseline" if row["strategy"] == result.baseline else difference(row),
            "lost writes (95 %)": share("lost_write_rate"),
            "wait p99": lambda row: "- (overloaded)" if row["strategy"] in overloaded else milliseconds(row["wait_p99_s"]),
            **(effort_columns(result, ["p99"]) if shows_price(result) else {}),
            **limit_columns(result),
        },
    )
