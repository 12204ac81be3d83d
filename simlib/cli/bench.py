"""`simlib bench`."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from simlib.cli.options import Json
from simlib.common.errors import InputError, RunError


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes; ends within a minute.")] = False, as_json: Json = False
) -> None:
    """Measure speed, as ratios of two ways to do the same work, side by side in one run."""
    from simlib.common.shipped import CHECKOUT

    # They compare with libraries that only development needs, so they are a program of the checkout and not of the package.
    if CHECKOUT is None or not (CHECKOUT / "benchmarks").is_dir():
        raise InputError("bench: the benchmarks come with the source, not with an installed package; run it in a checkout")
    words = [sys.executable, "-m", "benchmarks", *(["--quick"] if quick else []), *(["--json"] if as_json else [])]
    ours = os.environ | {"PYTHONSAFEPATH": ""}  # the program is found in the folder that it runs in, which is the checkout
    if subprocess.run(words, cwd=CHECKOUT, env=ours, check=False).returncode:  # noqa: S603 - our own words
        raise RunError("bench: a benchmark failed")
