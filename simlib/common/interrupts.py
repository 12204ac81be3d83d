"""Ctrl-C and SIGTERM: raised like an error, so that everything that cleans up does, and never lost.

A library can swallow whatever is raised (a bare `except` while it is imported, a callback from C), or make another error of it
(an extension whose initialisation fails). So an interrupt is raised again if nothing came of it, and it is remembered.
"""

import signal
import sys
from types import FrameType, TracebackType
from typing import NoReturn

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
"""What can interrupt; the last one is the repetition."""
AGAIN = 1.0
"""Seconds until an interrupt is repeated that nothing came of."""

_caught: list[int] = []  # signals are the whole process's, and so is what is known of them


def answer() -> None:
    """From now on an interrupt raises KeyboardInterrupt, and SIGTERM raises SystemExit; in the main thread, as ever."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    sys.excepthook = _show


def ignore() -> None:
    """From now on nothing interrupts."""
    for number in HELD:
        signal.signal(number, signal.SIG_IGN)


def status() -> int | None:
    """The exit status that shells have for the interrupt that came (130, 143); None if none did."""
    return 128 + _caught[0] if _caught else None


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that nobody caught; not the interrupt that kept an extension from starting, which shows it by itself."""
    if status() is None:
        sys.__excepthook__(kind, error, trace)


def _end(number: int, frame: FrameType | None) -> None:
    _caught.append(number)
    signal.signal(signal.SIGALRM, lambda *_: None if sys.exception() else _raise(number))  # if no exception is under way
    signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    _raise(number)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGTERM:
        raise SystemExit(128 + number)
    raise KeyboardInterrupt
