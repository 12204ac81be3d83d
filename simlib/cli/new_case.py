"""`simlib new-case`: a case and its workload to start from."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.output import say


def new_case(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the case is called, and its files.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write to.")] = Path(),
) -> None:
    """Write a case that runs at once, to be made yours: a cart that is saved whole, as it was read."""
    from simlib.case.skeleton import write_skeleton

    paths = write_skeleton(name, out)
    for path in paths:
        say(str(path))
    say(f"next: simlib run {shlex.quote(str(paths[1]))}")
