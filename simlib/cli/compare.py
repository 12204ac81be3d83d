"""`simlib compare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlib.cli.compiling import announcing
from simlib.cli.inputs import load_inputs
from simlib.cli.options import CaseName, Json, Overrides, Replicates, Seed
from simlib.cli.output import print_json, print_table, say
from simlib.common.errors import InputError

if TYPE_CHECKING:
    from simlib.estimate.compare import Comparison, Sample


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="A workload, or a result that `simlib run --save` kept.")],
    other: Annotated[str, typer.Argument(metavar="[B]", help="Another one; else A with the strategy --against.")] = "",
    strategy: Annotated[str, typer.Option(metavar="NAME", help="A's strategy; else its baseline.")] = "",
    against: Annotated[str, typer.Option(metavar="NAME", help="B's strategy; else A's.")] = "",
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    as_json: Json = False,
) -> None:
    """Compare two results, two workloads or two strategies: the paired difference, and what differs in their inputs."""
    if not other and not against:
        raise InputError("compare: give a second result or workload, or --against STRATEGY")
    from simlib.estimate.compare import compare as compare_samples

    with announcing():
        samples = [
            _sample(source, name, case, overrides, seed, replicates)
            for source, name in ((one, strategy), (other or one, against or strategy))
        ]
    found = compare_samples(*samples)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _sample(source: str, strategy: str, case: str, overrides: Sequence[str], seed: int, replicates: int | None) -> "Sample":
    from simlib.estimate.compare import load_sample, sample

    if source.endswith(".parquet"):
        return load_sample(Path(source), strategy)
    from simlib.estimate.experiment import run

    model, compiled = load_inputs(source, case, overrides, [strategy] if strategy else [])
    names = dict.fromkeys([strategy or compiled.baseline, compiled.baseline])
    return sample(run(model, compiled, tuple(names), seed=seed, replicates=replicates), strategy or compiled.baseline)


def _show(found: "Comparison") -> None:
    from simlib.estimate.wording import rate_text

    say(f"{found.one.name} against {found.other.name}, {found.one.numbers.size:,} replicates")
    rows = [("clobber rate", found.difference)]
    rows += [(f"clobbers of {name}, a unit", difference) for name, difference in found.by_field.items()]
    rows += [(f"clobbering writes at {name}", difference) for name, difference in found.by_site.items()]
    print_table(
        [
            {"what": what, "difference (95 %)": rate_text(difference)}
            for what, difference in rows
            if difference.rate.totals.any() or difference.baseline.totals.any()
        ]
    )
    for line in found.changed:
        say(f"differs: {line}")
    if not found.changed:
        say("no input differs")
