"""What the numbers of a history from outside can be. Compiled code uses them as indices and lengths, and asks no more."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import InputError

if TYPE_CHECKING:
    from simlib.model.history import History

MOST_GATEWAYS = 10_000
"""Processes on one store file; each has a cache of its own in the model."""
LONGEST = 1e10
"""Seconds, three hundred years: the latest time. From there on a float no longer tells microseconds apart."""
MOST_CODE = 2**31 - 1
MOST_OUTCOME = 4
"""The last number of `history.OUTCOMES`, of which 0 is a commit."""

Bounded = tuple[str, Any, Any, Any]
"""A column with its name, and the least and the greatest that it can be: one number, or one for each row."""


def check_numbers(history: "History", source: str) -> None:
    """Refuse a history with a number that cannot be, whatever its case.

    Raises:
        InputError: names `source`, the first such column, the row, and what is allowed.
    """
    sessions, fields = len(history.session_names), len(history.fields)
    if history.initial.shape != (sessions, fields):
        raise InputError(f"{source}: initial: shape {history.initial.shape}; allowed: {(sessions, fields)}, sessions by fields")
    _check(source, [*_indices(history), *_times(history), *_attempts(history)])


def check_codes(history: "History", case: Case, source: str) -> None:
    """Refuse a history with a value code that has no name among the values of its domain.

    Raises:
        InputError: names `source`, the column, the row, and what is allowed.
    """
    names = history.values.names
    _check(
        source,
        [
            (f"{what}.{key}", table[:, number], least, len(values))
            for what, table, keys, least in _coded(history)
            for number, key in enumerate(keys)
            if isinstance(values := names.get(case.domains[key], 0), tuple)
        ],
    )


def _indices(history: "History") -> Iterator[Bounded]:
    yield "flow", history.flow, 0, MOST_CODE
    yield "kind", history.kind, 0, len(history.kinds) - 1
    yield "site", history.site, 0, len(history.sites) - 1
    yield "session", history.session, 0, len(history.initial) - 1
    yield "gateway", history.gateway, 0, MOST_GATEWAYS - 1
    yield "snapshot", history.snapshot, -1, np.arange(len(history)) - 1
    for what, table, _, least in _coded(history):
        yield what, table.min(axis=1, initial=MOST_CODE), least, MOST_CODE


def _times(history: "History") -> Iterator[Bounded]:
    """A row is read, queues (NaN: not known when), has the lock and ends, in that order; rows stand in order of their ends."""
    queued = np.where(np.isnan(history.queued), history.read, history.queued)
    yield "read", history.read, 0.0, LONGEST
    yield "queued", queued, history.read, LONGEST
    yield "lock", history.lock, queued, LONGEST
    yield "end", history.end, np.maximum(history.lock, np.concatenate([[0.0], history.end])[:-1]), LONGEST


def _attempts(history: "History") -> Iterator[Bounded]:
    """Rows are seen before they are merged over, a transaction begins before it reads, and what is `ok` is committed."""
    if history.attempts is None:
        return
    attempts, rows, committed = history.attempts, np.arange(len(history)), history.ok
    yield "attempt.transaction", attempts.transaction, 0, MOST_CODE
    yield "attempt.number", attempts.number, 1, MOST_CODE
    yield "attempt.outcome", attempts.outcome, np.where(committed, 0, 1), np.where(committed, 0, MOST_OUTCOME)
    yield "attempt.seen", attempts.seen, 0, rows
    yield "attempt.base", attempts.base, -1, attempts.seen - 1
    yield "attempt.began", attempts.began, 0.0, history.read


def _coded(history: "History") -> tuple[tuple[str, Codes, tuple[str, ...], int], ...]:
    """The tables of value codes: name, codes, what the columns are, and the least code."""
    return (
        ("request", history.request, history.request_keys, ABSENT),
        ("initial", history.initial, history.fields, UNDEFINED),
    )


def _check(source: str, columns: Iterable[Bounded]) -> None:
    for name, column, low, high in columns:
        outside = ~((column >= low) & (column <= high))  # NaN is outside as well
        if outside.any():
            row = int(np.argmax(outside))
            least, most = (np.broadcast_to(bound, column.shape)[row] for bound in (low, high))
            span = f"{least} to {most}" if least <= most else "nothing"
            raise InputError(f"{source}: {name}: {column[row]} in row {row}; allowed: {span}")
