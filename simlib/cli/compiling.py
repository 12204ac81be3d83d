"""Says on stderr that the engine is compiled, when it is: a first call would otherwise be silent for long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec

from simlib.cli.output import complain

P = ParamSpec("P")


@contextmanager
def announcing() -> Iterator[None]:
    """Should numba compile something in this block, rather than find it in its cache, it says so first."""
    from numba.core import event

    class Announcer(event.Listener):
        def on_start(self, event: Any) -> None:
            _say()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Announcer()):
        yield


def announced(command: Callable[P, None]) -> Callable[P, None]:
    """The command, announcing all the while; for commands that need the engine whatever they are given."""

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        with announcing():
            command(*arguments, **options)

    return run


@cache
def _say() -> None:
    complain("compiling the engine (once; some seconds) ...")


def try_engine() -> None:
    """Call something compiled. A notebook compiles in a process of its own, which nobody hears; so it is announced here."""
    from simlib.replay.judging import needs_race

    needs_race(0, 0, 0)
