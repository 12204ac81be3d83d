"""The command line: thin commands over the library, one file a noun. Results go to stdout, everything else to stderr.

Exit status: 0; 1 for a failed run or a failed gate; 2 for wrong usage or input; 130 when interrupted. Heavy imports happen
inside the commands, so that `simlib --help` is quick.
"""

import os
import sys
import traceback
from itertools import pairwise
from typing import Annotated

import typer
from typer.exceptions import TyperException

from simlib.cli.atlas import atlas
from simlib.cli.batch import batch
from simlib.cli.bench import bench
from simlib.cli.calibrate import calibrate
from simlib.cli.check import check
from simlib.cli.compare import compare
from simlib.cli.compiling import announced
from simlib.cli.interleave import interleave
from simlib.cli.lists import schema, strategies, workloads
from simlib.cli.new_case import new_case
from simlib.cli.output import complain, show_log, use_plain_signs
from simlib.cli.replay import replay
from simlib.cli.report import report
from simlib.cli.run import run
from simlib.cli.sweep import sweep
from simlib.cli.testbed import testbed
from simlib.cli.validate import validate
from simlib.common import interrupts
from simlib.common.errors import SimlibError, shown

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="How often does a stale write clobber a fresh one, and does the fix end it?",
)
for quick in (
    report,
    run,
    check,
    compare,
    batch,
    bench,
    strategies,
    workloads,
    schema,
    new_case,
):  # they refuse wrong input before the engine is imported
    app.command()(quick)
for command in (replay, interleave, calibrate, validate, testbed, sweep, atlas):
    app.command()(announced(command))


@app.callback()
def options(debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False) -> None:
    """Options that come before the command."""
    if debug:
        os.environ["SIMLIB_DEBUG"] = "1"


def run_command() -> int:
    """Run what the command line says; returns the exit status, and leaves Ctrl-C to `simlib.__main__`."""
    use_plain_signs()
    show_log()
    try:
        return int(app(standalone_mode=False) or 0)  # typer returns the status of its own exits, 130 for Ctrl-C among them
    except Exception as error:
        if interrupts.status() is not None:  # whatever was made of it
            raise
        if os.environ.get("SIMLIB_DEBUG"):
            traceback.print_exc()
        return _status(error)


_NO_BUGS: dict[type[Exception], str] = {
    MemoryError: "not enough memory; shorten the duration, or ask for fewer sessions, processes or jobs",
    RecursionError: "something is nested too deeply in what was given",
    UnicodeError: "a text was given, or asked for, that this terminal or file cannot hold",
}
"""What other errors that no input should cause tell, without blaming simlib."""


def _status(error: Exception) -> int:
    """Say what went wrong in one line; returns the exit status."""
    if isinstance(error, SimlibError):
        complain(str(error))
        return error.exit_status
    if isinstance(error, TyperException):
        message = str(getattr(error, "format_message", error.__str__)()).replace("\n", " ")
        if message:  # there is none when the usage was shown instead
            complain((message + _given(error))[:1000])
        return 2
    if isinstance(error, OSError):
        complain(f"{error.filename or 'output'}: {error.strerror or error}")
        return 1
    for kind, words in _NO_BUGS.items():
        if isinstance(error, kind):
            complain(f"{words} ({shown(str(error), 200)[1:-1] or kind.__name__}; --debug before the command shows where)")
            return 1
    complain(f"{type(error).__name__}: {error} (this is a bug in simlib; --debug before the command shows where)")
    return 1


def _given(error: TyperException) -> str:
    """The value of the option that typer refused; its own message leaves that out."""
    options = getattr(getattr(error, "param", None), "opts", [])
    values = [value for option, value in pairwise(sys.argv) if option in options]
    return f" (got {shown(values[-1])})" if values else ""
