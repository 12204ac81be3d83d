"""`simlib compare`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simlib.cli.compiling import announcing, try_engine
from simlib.cli.inputs import load_inputs
from simlib.cli.options import CaseName, Json, Overrides, Replicates, Seed
from simlib.cli.output import complain, print_json, print_table, say
from simlib.common.errors import InputError

if TYPE_CHECKING:
    from simlib.estimate.compare import Comparison


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="A workload, or a result that `simlib run --save` kept.")],
    other: Annotated[str, typer.Argument(metavar="[B]", help="Another one; else A with the strategy --against.")] = "",
    strategy: Annotated[str, typer.Option(metavar="NAME", help="A's strategy; else its baseline.")] = "",
    against: Annotated[str, typer.Option(metavar="NAME", help="B's strategy; else A's.")] = "",
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report, too; with no name, of all strategies.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two results, two workloads or two strategies: the paired difference, and what differs in their inputs."""
    if not other and not against:
        raise InputError("compare: give a second result or workload, or --against STRATEGY")
    sides = ((one, strategy), (other or one, against or strategy))
    for source, name in sides:
        _inputs(source, name, case, overrides, report)
    from simlib.estimate.compare import compare as compare_samples
    from simlib.estimate.compare import find_samples

    with announcing():
        if report:
            of_run = {"case": case, "overrides": overrides, "seed": seed, "replicates": replicates or 0}
            _make(report, {"one": one, "other": other, "strategy": strategy, "against": against} | of_run)
        samples = [
            find_samples(source, [name], case=case, overrides=overrides, seed=seed, replicates=replicates)
            for source, name in sides
        ]
    found = compare_samples(*(sample for (sample,) in samples))
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _inputs(source: str, strategy: str, case: str, overrides: Sequence[str], report: Path | None) -> None:
    """Refuse at once what cannot be loaded, and a report that would overwrite it."""
    from simlib.common.files import check_output

    if not source.endswith(".parquet"):
        load_inputs(source, case, overrides, [strategy] if strategy else [], report)
    elif report:
        check_output(report, Path(source))


def _make(report: Path, parameters: dict[str, Any]) -> None:
    """Execute the notebook; it also says why two are not paired."""
    from simlib.report.notebook import find_notebook, make_report

    try_engine()
    make_report(find_notebook("comparison"), parameters, report, "simlib: comparison", progress=sys.stderr.isatty())
    complain(f"the comparison is in {report}")


def _show(found: "Comparison") -> None:
    from simlib.estimate.compare import COMPARED
    from simlib.estimate.wording import rate_text

    say(f"{found.one.name} against {found.other.name}, {found.one.numbers.size:,} replicates")
    rows = [("clobber rate", found.difference)]
    rows += [(COMPARED[outcome], difference) for outcome, difference in found.outcomes.items()]
    rows += [(f"clobbers of {name}, a unit", difference) for name, difference in found.by_field.items()]
    rows += [(f"clobbering writes at {name}", difference) for name, difference in found.by_site.items()]
    print_table(
        [
            {"what": what, "difference (95 %)": rate_text(difference)}
            for what, difference in rows
            if difference.rate.exposures.any() and difference.baseline.exposures.any()
            if difference.rate.totals.any() or difference.baseline.totals.any()
        ]
    )
    for line in found.changed:
        say(f"differs: {line}")
    if not found.changed:
        say("no input differs")
