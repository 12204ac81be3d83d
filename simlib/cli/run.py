"""`simlib run`."""

from typing import Annotated

from simlib.cli.compiling import announcing
from simlib.cli.inputs import check_run, load_inputs
from simlib.cli.options import CaseName, Engine, Json, Out, Overrides, Replicates, Seed, Strategies, Workload, number
from simlib.cli.output import print_json, print_table, progress_bar
from simlib.common import bounds


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
) -> None:
    """Simulate a workload and estimate every strategy's clobber rate."""
    model, compiled = load_inputs(workload, case, overrides, strategies, out)
    check_run(workload, model, compiled, strategies, replicates, engine, jobs)
    from simlib.estimate.experiment import run as run_experiment
    from simlib.estimate.wording import milliseconds, rate_text

    with announcing(), progress_bar("replicates", replicates or model.replicates) as step:
        result = run_experiment(
            model, compiled, strategies, seed=seed, replicates=replicates, engine=engine, jobs=jobs, progress=step
        )
    if as_json or out:
        print_json(result.to_json(), out)
        return
    if model.warning():
        print(model.warning())
    rows = []
    for name in result.strategies:
        difference = result.difference(name)
        rows.append(
            {
                "strategy": name,
                "clobber rate (95 %)": rate_text(result.best_rate(name)),
                f"against {result.baseline}": rate_text(difference) if difference else "baseline",
                "lost writes (95 %)": rate_text(result.lost_write_rate(name)),
                "wait p99": milliseconds(result.price(name)["wait_p99"]),
            }
        )
    print_table(rows)
    if result.conditional:
        print(f"too few clobbers to count, so by conditional Monte Carlo: {', '.join(result.conditional)}")
    print(f"{result.transactions:,} transactions in {result.replicates:,} replicates, seed {seed}")
