"""A binary heap of (time, item) for the compiled model, in which the smaller of two items goes first at the same time.

Invariant: behind the heap's end every time is infinite, so that each place has two children and finding the smaller one takes
no branch, which no processor could predict; and every item there is the largest number.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.common.compilation import compiled, inlined

NOTHING = np.iinfo(np.int64).max


class Heap(NamedTuple):
    """The heap as arrays: (2 capacity + 2,) times in seconds, as many items, and (1,) how many there are."""

    times: Any
    items: Any
    size: Any


@compiled
def make_heap(capacity: int) -> Heap:
    """An empty heap for that many items."""
    return Heap(np.full(2 * capacity + 2, np.inf), np.full(2 * capacity + 2, NOTHING), np.zeros(1, np.int64))


@inlined
def push(heap: Heap, time: float, item: int) -> None:
    """Put an item in."""
    times, items = heap.times, heap.items
    place = heap.size[0]
    heap.size[0] = place + 1
    while place > 0:
        parent = (place - 1) >> 1
        if times[parent] < time or (times[parent] == time and items[parent] < item):
            break
        times[place], items[place] = times[parent], items[parent]
        place = parent
    times[place], items[place] = time, item


@inlined
def replace_top(heap: Heap, time: float, item: int) -> None:
    """Take the first item out and put another one in."""
    times, items = heap.times, heap.items
    place = 0
    while True:
        child = 2 * place + 1
        left, right = times[child], times[child + 1]
        child += right < left
        if right == left and items[child + 1] < items[child]:
            child += 1
        if time < times[child] or (time == times[child] and item <= items[child]):
            break
        times[place], items[place] = times[child], items[child]
        place = child
    times[place], items[place] = time, item


@inlined
def pop(heap: Heap) -> None:
    """Take the first item out."""
    times, items = heap.times, heap.items
    last = heap.size[0] - 1
    heap.size[0] = last
    time, item = times[last], items[last]
    times[last], items[last] = np.inf, NOTHING
    if last:
        replace_top(heap, time, item)
