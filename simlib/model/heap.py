"""A binary heap of (time, item) for the compiled model, in which the smaller of two items goes first at the same time.

Times are finite. Invariant: an empty heap's first time is infinite, and so are, behind the heap's end, those of the children of
every place that is or was taken. So finding the smaller of two children takes no branch, which no processor could predict, and
room that is never used is never touched.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.common.compilation import compiled, inlined


class Heap(NamedTuple):
    """The heap as arrays: (2 capacity + 2,) times in seconds, and as many items. How many there are, its user knows."""

    times: Any
    items: Any


@compiled
def make_heap(capacity: int) -> Heap:
    """An empty heap for that many items."""
    heap = Heap(np.empty(2 * capacity + 2), np.empty(2 * capacity + 2, np.int64))
    heap.times[0] = np.inf
    return heap


@inlined
def push(heap: Heap, size: int, time: float, item: int) -> None:
    """Put an item into a heap of that size."""
    times, items, place = heap.times, heap.items, size
    times[2 * place + 1] = times[2 * place + 2] = np.inf
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
def pop(heap: Heap, size: int) -> None:
    """Take the first item out of a heap of that size."""
    times, items, last = heap.times, heap.items, size - 1
    time, item = times[last], items[last]
    times[last] = np.inf
    if last:
        replace_top(heap, time, item)
