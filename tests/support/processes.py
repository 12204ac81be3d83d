"""Waiting for what processes do, with an end to it."""

import os
import time
from collections.abc import Callable

import pytest


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"never happened: {what}")
