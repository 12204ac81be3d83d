"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Workloads = Annotated[list[str], typer.Argument(metavar="WORKLOAD...", help="Names in data/workloads, or paths.")]
Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help="A name in data/workloads, or a path.")]
CaseName = Annotated[
    str, typer.Option("--case", metavar="CASE", help="A name in data/cases, or a path; else the workload's own.")
]
Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the workload.")]
Seed = Annotated[int, typer.Option(help="Root of all random streams.", min=0)]
Replicates = Annotated[int | None, typer.Option(help="How many; else as the workload says.", min=1)]
Strategies = Annotated[
    list[str], typer.Option("--strategy", metavar="NAME", help="Only this one; may be given more than once.")
]
Engine = Annotated[str, typer.Option(help="compiled, or simpy: the readable specification; equal results.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Out = Annotated[Path | None, typer.Option(help="Write the JSON to this file instead of stdout.")]
