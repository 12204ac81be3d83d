"""A history cut into pieces by time, and pieces joined to a history again.

A host changes speed. If the first half of a recording predicted the second, such a change would count as an error of the model;
with pieces that take turns, both halves have seen the same host.
"""

from dataclasses import replace

import numpy as np

from simlib.common.arrays import Ints
from simlib.model.history import History

PIECES = 40
"""How many pieces there are, if they are long enough for that."""
SHORT = 0.1
"""They are, if the median flow of each kind lasts no longer than this share of a piece. If not, there are two pieces."""


def pieces(history: History) -> Ints:
    """(n,) number of the piece that each row of the history is in; pieces have equally many rows, give or take one."""
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
    """A history of some rows only, with the time between them cut out.

    A snapshot that showed a commit which is left out shows an older commit of its session instead, the newest that is kept, or
    else the initial entry; so does the entry that a patch is merged over.

    Args:
        history: n transactions, of which at least one committed.
        rows: numbers of the rows to keep, ascending.
    """
    size = len(history)
    starts = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
    stops = np.append(starts[1:], rows.size) - 1
    # Only commits count: a transaction that gave up may have ended while another one held the lock.
    committed = np.maximum.accumulate(np.where(history.ok, history.end, 0.0))
    begins = np.where(rows[starts] > 0, committed[rows[starts] - 1], 0.0)
    lengths = committed[rows[stops]] - begins
    cut_out = np.repeat(begins - np.concatenate([[0.0], np.cumsum(lengths)[:-1]]), stops - starts + 1)
    commits = np.flatnonzero(history.ok[rows])
    commits = commits[np.lexsort((commits, history.session[rows[commits]]))]
    keys, session = history.session[rows[commits]] * size + rows[commits], history.session[rows]

    def kept(shown: Ints) -> Ints:
        """(rows,) the commit that stands for the one which each row of the history shows."""
        place = np.searchsorted(keys, session * size + shown[rows], side="right") - 1
        there = (place >= 0) & (history.session[rows[commits[place]]] == session)
        return np.asarray(np.where(there, commits[place], -1), dtype=np.int64)

    attempts = history.attempts and history.attempts._replace(
        **{name: getattr(history.attempts, name)[rows] for name in ("transaction", "number", "outcome")},
        base=kept(history.attempts.base),
        seen=np.searchsorted(rows, history.attempts.seen[rows]),
        began=np.maximum(history.attempts.began[rows] - cut_out, 0.0),
    )
    return replace(
        history,
        **{name: getattr(history, name)[rows] for name in ("flow", "kind", "site", "session", "gateway", "ok", "request")},
        **{name: getattr(history, name)[rows] - cut_out for name in ("read", "queued", "lock", "end")},
        snapshot=kept(history.snapshot),
        attempts=attempts,
    )
