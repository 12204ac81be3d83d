"""What the processes of a testbed run are told, and what they tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from simlib.case.case import Case, Strategy
from simlib.common.arrays import Codes
from simlib.testbed.stores import Manner
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload


@dataclass(frozen=True)
class Job:
    """What every gateway of a run is told.

    Attributes:
        manner: how the store is written.
        folder: where it is.
        workload: its settings, and the times of later attempts.
        case, strategy: whose rules write, and under which discipline.
        traffic: the draws. Their holds are zero, as are the workload's holds and checks: these take what they take.
    """

    manner: Manner
    folder: Path
    workload: Workload
    case: Case
    strategy: Strategy
    traffic: Traffic


class Ended(NamedTuple):
    """One attempt that ended. Times on the clock, in seconds; commits are known by their revision.

    Attributes:
        step: its transaction in `Traffic`.
        number, outcome, began: as in `Attempts`.
        read, queued, lock, end: as in `History`.
        compared: when its guard was asked; where nothing is compared, `lock`.
        snapshot: what the snapshot showed.
        base: the entry that it was merged over, or compared with; UNKNOWN if it had to give up before that.
        newest: the store's newest commit when that entry was read; UNKNOWN if the store does not say.
        revision: under which it is known; INITIAL if it did not commit.
        order: as in `entry.Written`.
        written: (fields,) value codes of the entry committed.
        released: when a lock was let go of that was held until then; else `end`.
    """

    step: int
    number: int
    outcome: int
    began: float
    read: float
    queued: float
    lock: float
    compared: float
    end: float
    snapshot: int
    base: int
    newest: int
    revision: int
    order: float
    written: Codes
    released: float


TIMES = ("began", "read", "queued", "lock", "compared", "end", "released")
"""The columns that are times."""
