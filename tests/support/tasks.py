"""Tasks for worker processes, which import them by name."""

import os
import signal

from simlib.common.errors import InputError


def power(exponent: int, base: int) -> int:
    return int(base**exponent)


def refuse_two(item: int) -> int:
    if item == 2:
        raise InputError("two is refused")
    return item


def die_at_one(item: int) -> int:
    if item == 1:
        os._exit(9)
    return item


def kill_itself_at(deadly: int, item: int) -> int:
    if item == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
