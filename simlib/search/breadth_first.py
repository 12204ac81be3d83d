"""Breadth first through the states of a small scope: the shortest way to each finding, and of those the cheapest.

`prove` says what is searched, and why so little of it need be. What is compiled here is plain Python when
`NUMBA_DISABLE_JIT=1`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from simlib.common.compilation import compiled
from simlib.common.errors import RunError
from simlib.replay.judging import KINDS, NONE
from simlib.search.dependencies import VALUE_COST, Cone
from simlib.search.statespace import COST, FINDING, SITE, System, moves, number_of, room_for_moves, state_of

MOST_STATES = 20_000_000
"""A search that meets more is given up."""


@dataclass(frozen=True)
class Found:
    """The shortest way to one finding, and of equally short ones the cheapest.

    Attributes:
        site: number of the site whose commit it is.
        finding: how that commit is judged (`judging.finding`).
        price: of all values in the initial entry and in the requests (`dependencies.VALUE_COST`).
        initial: number of the initial entry (`Cone.decode`).
        moves: each with the columns of `statespace`; the last one is the commit.
    """

    site: int
    finding: int
    price: int
    initial: int
    moves: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Search:
    """One search: how many states there are, and the shortest way to each finding."""

    states: int
    found: tuple[Found, ...]


def search(system: System, cone: Cone, place: str) -> Search:
    """Search one scope for one cone.

    Args:
        system: the scope, as tables.
        cone: the field, and what decides about it.
        place: what an error calls the scope.

    Raises:
        RunError: there are more than MOST_STATES states.
    """
    starts = np.zeros((cone.entries, system.radix.size), dtype=np.int64)
    starts[:, 2 * system.length.size] = np.arange(cone.entries)
    prices = np.array([VALUE_COST * len(cone.decode(entry)) for entry in range(cone.entries)])
    numbers, price, parent, best = explore(system, starts, prices, MOST_STATES, 1 + 2 * len(KINDS))
    if len(numbers) > MOST_STATES:
        raise RunError(f"{place}: more than {MOST_STATES:,} states; search a smaller scope or fewer stale reads")
    found = []
    for site, finding in zip(*np.nonzero(best[:, :, 0] >= 0), strict=True):
        _, total, state = best[site, finding]
        path = [int(state)]
        while parent[path[0]] >= 0:
            path.insert(0, int(parent[path[0]]))
        steps = _walk(system, [(int(numbers[one]), int(price[one])) for one in path], (int(site), int(finding), int(total)))
        first = starts[0].copy()
        state_of(system, int(numbers[path[0]]), first)
        found.append(Found(int(site), int(finding), int(total), int(first[2 * system.length.size]), steps))
    return Search(len(numbers), tuple(found))


@compiled
def explore(system: System, starts: Any, prices: Any, most: int, findings: int) -> tuple[Any, Any, Any, Any]:
    """Breadth first through everything that can be reached from the states `starts`, whose prices are given.

    Invariant: the steps that a state has taken are part of it, so all its predecessors are one layer above and are done with
    before it is expanded; its price, the least of any path to it, is final by then.

    Returns:
        The states' numbers, their prices, their cheapest predecessors (-1: a start), and for each (site, finding) the row
        (steps, price, last state before the clobber), the least steps and then the least price; -1 where there is none.
        More than `most` states: the search has been given up.
    """
    after, move = room_for_moves(system)
    best = np.full((system.commits.entry.shape[0], findings, 3), -1)
    numbers, price, parent = np.empty((3, 1024), dtype=np.int64)
    state = np.empty(system.radix.size, dtype=np.int64)
    seen = {np.int64(-1): np.int64(-1)}
    count = 0
    for start in range(len(starts)):
        number = np.int64(number_of(system, starts[start]))
        if number not in seen:
            seen[number] = np.int64(count)
            numbers[count], price[count], parent[count] = number, prices[start], -1
            count += 1
    head = 0
    while head < count <= most:
        state_of(system, numbers[head], state)
        steps = state[: system.length.size].sum() + 1
        for row in range(moves(system, state, after, move)):
            total = price[head] + move[row, COST]
            finding = move[row, FINDING]
            if finding != NONE:
                record = best[move[row, SITE], finding]
                if record[0] < 0 or (record[0] == steps and total < record[1]):
                    record[0], record[1], record[2] = steps, total, head
            number = np.int64(number_of(system, after[row]))
            if number in seen:
                known = seen[number]
                if total < price[known]:
                    price[known], parent[known] = total, head
                continue
            if count == numbers.size:
                numbers = np.concatenate((numbers, np.empty_like(numbers)))
                price = np.concatenate((price, np.empty_like(price)))
                parent = np.concatenate((parent, np.empty_like(parent)))
            seen[number] = np.int64(count)
            numbers[count], price[count], parent[count] = number, total, head
            count += 1
        head += 1
    return numbers[:count], price[:count], parent[:count], best


def _walk(system: System, path: list[tuple[int, int]], goal: tuple[int, int, int]) -> tuple[tuple[int, ...], ...]:
    """Concrete moves along a path of (state number, price), and the move after it that reaches the goal (site, finding, price).

    The numbers on the path stand for images; the state that is carried along is a real one, whose values keep their names.
    """
    after, move = room_for_moves(system)
    state = np.empty(system.radix.size, dtype=np.int64)
    state_of(system, path[0][0], state)
    taken = []
    for (_, paid), following in zip(path, [*path[1:], None], strict=True):
        for row in range(moves(system, state, after, move)):
            price = paid + int(move[row, COST])
            reached = (int(move[row, SITE]), int(move[row, FINDING]), price)
            if reached == goal if following is None else (number_of(system, after[row]), price) == following:
                break
        else:
            raise AssertionError("a state has another future than its image")
        taken.append(tuple(int(value) for value in move[row]))
        state = after[row].copy()
    return tuple(taken)
