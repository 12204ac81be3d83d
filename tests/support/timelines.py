"""Histories with times written by hand: a transaction a row, in the order of their ends."""

from typing import NamedTuple

import numpy as np
from schedules import CASE, REQUEST, SITES, Coder

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.model.history import History

KINDS = ("turn", "patch", "inbound")


class Row(NamedTuple):
    """One transaction; times in seconds. What is not said: it queues when it reads and reads what stands."""

    site: str
    read: float
    lock: float
    end: float
    queued: float | None = None
    session: int = 0
    gateway: int = 0
    ok: bool = True
    flow: int | None = None
    snapshot: int | None = None
    kind: str = "turn"
    request: dict[str, str | None] = {}


def timeline(*rows: Row, sessions: int | None = None) -> History:
    """The history of these rows. A row without a snapshot shows what its session's commits had left when it read."""
    coder = Coder(CASE)
    requests = [coder.row(row.request, REQUEST, ABSENT) for row in rows]
    count = sessions or 1 + max((row.session for row in rows), default=0)

    def newest(row: Row) -> int:
        seen = [n for n, other in enumerate(rows) if other.session == row.session and other.ok and other.end <= row.read]
        return seen[-1] if seen else -1

    def numbers(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows])

    return History(
        fields=CASE.fields,
        request_keys=REQUEST,
        sites=SITES,
        kinds=KINDS,
        flow=np.array([number if row.flow is None else row.flow for number, row in enumerate(rows)], dtype=np.int64),
        kind=np.array([KINDS.index(row.kind) for row in rows], dtype=np.int64),
        site=np.array([SITES.index(row.site) for row in rows], dtype=np.int64),
        session=numbers("session").astype(np.int64),
        gateway=numbers("gateway").astype(np.int64),
        read=numbers("read").astype(np.float64),
        queued=np.array([row.read if row.queued is None else row.queued for row in rows], dtype=np.float64),
        lock=numbers("lock").astype(np.float64),
        end=numbers("end").astype(np.float64),
        ok=numbers("ok").astype(np.bool_),
        snapshot=np.array([newest(row) if row.snapshot is None else row.snapshot for row in rows], dtype=np.int64),
        request=np.array(requests, dtype=np.int32).reshape(len(rows), len(REQUEST)),
        initial=np.full((count, len(CASE.fields)), UNDEFINED, dtype=np.int32),
        values=coder.values(),
        session_names=tuple(f"session-{number + 1}" for number in range(count)),
    )
