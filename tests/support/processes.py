"""Waiting for what processes do, with an end to it."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def children(parent: int) -> list[int]:
    """The processes that work for a process, the oldest first; not the one that multiprocessing keeps its books with."""
    found = []
    for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):  # it has ended meanwhile
            if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes():
                found.append(int(number))
    return sorted(found)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"never happened: {what}")
