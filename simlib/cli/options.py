"""The options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from simlib.common import bounds


def number(limits: bounds.Bounds, words: str) -> Any:
    """An option that takes a number within these bounds."""
    return typer.Option(help=words, min=limits.low, max=limits.high)


Workloads = Annotated[list[str], typer.Argument(metavar="WORKLOAD...", help="Names in data/workloads, or paths.")]
Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help="A name in data/workloads, or a path.")]
CaseName = Annotated[
    str, typer.Option("--case", metavar="CASE", help="A name in data/cases, or a path; else the workload's own.")
]
OneCase = Annotated[str, typer.Option("--case", metavar="CASE", help="A name in data/cases, or a path.")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the workload.")]
Seed = Annotated[int, number(bounds.SEED, "Root of all random streams.")]
Replicates = Annotated[int | None, number(bounds.REPLICATES, "How many; else as the workload says.")]
Strategies = Annotated[
    list[str], typer.Option("--strategy", metavar="NAME", help="Only this one; may be given more than once.")
]
Engine = Annotated[str, typer.Option(help="compiled, or simpy: the readable specification; equal results.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Out = Annotated[Path | None, typer.Option(help="Write the JSON to this file instead of stdout.")]
