"""Timing: processor time, the best of a few turns, the rivals taking turns, so that a busy machine slows both alike."""

import time
from collections.abc import Callable


def best(*rivals: Callable[[], object], turns: int = 3) -> list[float]:
    """The least processor time of each rival, in seconds."""
    least = [float("inf")] * len(rivals)
    for _ in range(turns):
        for number, rival in enumerate(rivals):
            began = time.process_time()
            rival()
            least[number] = min(least[number], time.process_time() - began)
    return least
