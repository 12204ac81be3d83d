"""`simlib bench`."""

import sys
from typing import Annotated

import typer

from simlib.cli.options import Json
from simlib.cli.output import print_json


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes; ends within a minute.")] = False, as_json: Json = False
) -> None:
    """Measure speed, as ratios of two ways to do the same work, side by side in one run."""
    from simlib.files import ROOT

    # The benchmarks stand beside the package, as they compare with libraries that only development needs.
    sys.path.insert(0, str(ROOT))
    from benchmarks import measure
    from benchmarks.__main__ import table

    found = measure(quick=quick)
    if as_json:
        print_json(found)
    else:
        print("\n".join(table(found)))
