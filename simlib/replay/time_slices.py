"""A history cut into pieces by time, and every other piece put together again.

A host changes speed. If the first half of a recording predicted the second, such a change would count as an error of the model;
with pieces that take turns, both halves have seen the same host.
"""

from dataclasses import replace

import numpy as np

from simlib.common.arrays import Ints
from simlib.model.history import History

PIECES = 40
SHORT = 0.1
"""Pieces are that short only if the usual flow of each kind takes no more than this share of one; else there are two."""


def pieces(history: History) -> Ints:
    """(n,) the piece that each row is in; pieces have equally many rows."""
    size = len(history)
    if not size:
        return np.empty(0, dtype=np.int64)
    flow, of = np.unique(history.flow, return_inverse=True)
    began, ended, kind = np.full(flow.size, np.inf), np.full(flow.size, -np.inf), np.empty(flow.size, dtype=np.int64)
    np.minimum.at(began, of, history.read)
    np.maximum.at(ended, of, history.end)
    kind[of] = history.kind
    usual = max(float(np.median((ended - began)[kind == number])) for number in np.unique(kind))
    short_enough = usual <= SHORT * (history.end[-1] - history.end[0]) / PIECES
    return np.arange(size) * (PIECES if short_enough else 2) // size


def glued(history: History, rows: Ints) -> History:
    """These rows (ascending) for themselves, the time between them cut out. Something must have been committed.

    A snapshot shows the newest commit that is still there of those that it could see. What was committed before the first of
    them counts as there from the start.
    """
    size = len(history)
    starts = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
    stops = np.append(starts[1:], rows.size) - 1
    # A row that gave up may have ended while the lock was held: what counts is who had it before.
    committed = np.maximum.accumulate(np.where(history.ok, history.end, 0.0))
    begins = np.where(rows[starts] > 0, committed[rows[starts] - 1], 0.0)
    lengths = committed[rows[stops]] - begins
    cut_out = np.repeat(begins - np.concatenate([[0.0], np.cumsum(lengths)[:-1]]), stops - starts + 1)
    commits = np.flatnonzero(history.ok[rows])
    commits = commits[np.lexsort((commits, history.session[rows[commits]]))]
    keys = history.session[rows[commits]] * size + rows[commits]
    shown = np.searchsorted(keys, history.session[rows] * size + history.snapshot[rows], side="right") - 1
    there = (shown >= 0) & (history.session[rows[commits[shown]]] == history.session[rows])
    return replace(
        history,
        **{name: getattr(history, name)[rows] for name in ("flow", "kind", "site", "session", "gateway", "ok", "request")},
        **{name: getattr(history, name)[rows] - cut_out for name in ("read", "queued", "lock", "end")},
        snapshot=np.where(there, commits[shown], -1),
    )
