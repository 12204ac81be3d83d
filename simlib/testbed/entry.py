"""An entry as a real store keeps it, and what a store is asked for.

A store keeps, for each session, the value codes of its entry and which commit wrote it (its revision), so that a run knows
exactly what each snapshot showed. An undefined field is not there at all, as in JSON. `rest` stands for everything else an
entry holds and no write site touches; it makes the store as long as a real one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from simlib.case.rules import UNDEFINED
from simlib.common.arrays import Codes

INITIAL = -1
"""The revision of an entry that no transaction has written yet."""
UNKNOWN = -2
"""The revision of a store of which nobody knows it."""

clock = time.monotonic
"""Seconds, the same in every process of the machine."""


@dataclass(frozen=True)
class Entry:
    """An entry as a store shows it.

    Attributes:
        codes: (fields,) value codes.
        revision: the commit that wrote it.
        newest: the store's newest commit when it was read, to whatever entry; UNKNOWN where each entry has a file of its own.
        content: what the store needs to write it anew.
    """

    codes: Codes
    revision: int
    newest: int = UNKNOWN
    content: Any = None


class Written(NamedTuple):
    """A commit.

    Attributes:
        revision: by which its entry is known from now on.
        order: ascends in the order in which the store took the commits.
        end: when it was over, on the clock.
        codes: (fields,) value codes of the entry committed.
        base: the entry that it was merged over.
    """

    revision: int
    order: float
    end: float
    codes: Codes
    base: Entry


class Expected(NamedTuple):
    """What the store must still show, in the moment of the write, for the write to be made; the other things are None.

    Attributes:
        revision: of the entry.
        newest: of the store.
        codes: of these fields, by number.
    """

    revision: int | None = None
    newest: int | None = None
    codes: Mapping[int, int] | None = None


Decide = Callable[[Entry], Codes | None]
"""What to write, given the entry as it is in the moment of the write; None: nothing, the write is rejected."""


class SessionStore(Protocol):
    """One process's way to the store. Sessions are known by their number; times are seconds of `clock`."""

    def read(self, session: int) -> Entry:
        """The entry as a reader sees it, through the cache if there is one."""

    def direct(self, session: int) -> Entry:
        """The entry as a reader sees it past any cache."""

    def fresh(self, session: int) -> Entry:
        """The entry as a writer sees it, who may have the store's own lock."""

    async def begin(self, timeout: float) -> bool:
        """Take the store's own lock; returns whether it was granted in time."""

    def give_up(self) -> None:
        """Let go of the store's own lock, if it is held, without having written."""

    async def commit(
        self, session: int, step: int, base: Entry, codes: Codes, expected: Expected | None = None
    ) -> Written | Entry:
        """Store the codes; returns the commit, or the entry that was found if it is not as `expected`.

        Args:
            session: whose entry.
            step: the transaction that commits.
            base: the entry that it has read with `fresh`.
            codes: (fields,) value codes of the entry to store.
            expected: None: it is stored whatever the store holds by now.
        """

    async def rework(self, session: int, step: int, decide: Decide) -> Written | Entry:
        """Work out what to store from the entry as it is in that moment; returns the commit, or the entry that is let stand."""

    def close(self) -> None:
        """Close what is open."""


def encode(codes: Codes, revision: int, fields: Sequence[str], rest: Sequence[str]) -> dict[str, Any]:
    """The entry as it is stored."""
    values = {name: int(code) for name, code in zip(fields, codes, strict=True) if code != UNDEFINED}
    return {"revision": revision, "fields": values, "rest": rest}


def decode(stored: Mapping[str, Any], fields: Sequence[str]) -> Codes:
    """(fields,) the value codes of a stored entry."""
    values = stored["fields"]
    return np.array([values.get(name, UNDEFINED) for name in fields], dtype=np.int32)
