"""The work of a sweep: which blocks are to be simulated next, and which cells are done. It simulates nothing itself.

A cell gets blocks until it is precise enough. Its result is of the *fewest* blocks that are, whatever else is stored: so it
does not depend on how the work was shared out, on what an earlier run had asked for, or on the moment when that was killed.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from simlib.common.errors import InputError
from simlib.sweep.block import Block, Job, from_bytes
from simlib.sweep.cell import cell_result, shortfall
from simlib.sweep.folder import Entry, Folder
from simlib.sweep.plan import Plan

LEAST_SECONDS = 0.25
"""What a worker is given takes at least so long, by what is known of the speed: handing it out costs a millisecond."""
FIRST_GUESS = 5e-6
"""Seconds a transaction and strategy, until a speed was measured."""
FIXED_COST = 500
"""What a replicate costs beside its transactions, in transactions."""
MOST_DEATHS = 3
"""A block during which so many workers died is given up."""
MOST_AHEAD = 16
"""Blocks of one cell that are given out before it is looked at again."""


@dataclass
class _Cell:
    number: int
    address: str
    blocks: dict[int, Block] = field(default_factory=dict)
    wanted: int = 1  # blocks, before it is looked at again
    given: int = 0  # blocks there or given out, from the first on
    under_way: int = 0  # of those, given out and not yet there
    looked: int = 0  # blocks that were found too few
    seconds: float = 0.0  # that workers spent on it


class Work:
    """The state of a sweep that is being simulated.

    Attributes:
        entries: address -> what came of the cell, for those that are done, capped or failed.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Folder,
        stored: Mapping[str, Set[int]],
        journal: Mapping[str, Entry],
    ) -> None:
        self._plan, self._folder, self._stored = plan, folder, stored
        self._size = plan.sweep.block
        self._most = math.ceil(plan.sweep.precision.most / self._size)
        self.entries = finished(plan, stored, journal)
        cells = {address: _Cell(number, address) for number, address in reversed(list(enumerate(plan.addresses)))}
        self._ready = deque(cell for cell in reversed(cells.values()) if cell.address not in self.entries)
        self._cells = {cell.address: cell for cell in self._ready}
        self._again: deque[list[Job]] = deque()
        self._deaths: Counter[tuple[str, int]] = Counter()
        self._seconds, self._weight = FIRST_GUESS * 1e6, 1e6  # so the guess counts as much as a million transactions

    @property
    def left(self) -> int:
        """Cells that are not finished."""
        return len(self._cells)

    def next(self) -> list[Job]:
        """Blocks for a worker; none if there is nothing to give out at the moment."""
        if self._again:
            return self._again.popleft()
        jobs: list[Job] = []
        while self._ready and sum(map(self.seconds, jobs)) < LEAST_SECONDS:
            cell = self._ready[0]
            if cell.address not in self.entries and self._lacks_a_block(cell):
                jobs.append(Job(cell.address, self._plan.workload(cell.number), cell.given * self._size, self._size))
                cell.given += 1
                cell.under_way += 1
                if self._take_stored(cell):
                    continue
            self._ready.popleft()  # done, or it waits for what is under way
        return jobs

    def seconds(self, job: Job) -> float:
        """How long a block is expected to take."""
        return self._transactions(job) * self._seconds / self._weight

    def took(self, jobs: Sequence[Job], seconds: float) -> None:
        """Learn from how long a worker had them."""
        weights = [self._transactions(job) for job in jobs]
        self._seconds += seconds
        self._weight += sum(weights)
        for job, weight in zip(jobs, weights, strict=True):
            if job.address in self._cells:
                self._cells[job.address].seconds += seconds * weight / sum(weights)

    def receive(self, job: Job, result: bytes | str) -> None:
        """Keep a block; or give up the cell, for the reason given."""
        cell = self._cells.get(job.address)
        if isinstance(result, bytes):
            self._folder.write_block(job.address, job.first, result)
        if cell is None:  # given up, or another of its blocks was the last that it needed
            return
        cell.under_way -= 1
        if isinstance(result, str):
            self._finish(cell, 0, "failed", result)
            return
        cell.blocks[job.first] = from_bytes(result, job.address, job.first)
        if not cell.under_way and cell.given == cell.wanted and self._lacks_a_block(cell):
            self._ready.appendleft(cell)  # before others are begun, so that few are kept in memory

    def died(self, jobs: Sequence[Job], reason: str) -> None:
        """A worker died of one of these blocks: each is tried again, by itself."""
        for job in jobs:
            self._deaths[job.address, job.first] += 1
            if self._deaths[job.address, job.first] < MOST_DEATHS:
                self._again.append([job])
            else:
                self.receive(job, f"{reason}, {MOST_DEATHS} times")

    def _transactions(self, job: Job) -> float:
        flows = job.workload.traffic.values()
        each = job.workload.duration * sum(job.workload.flow_rate(flow) * len(flow.steps) for flow in flows) + FIXED_COST
        return each * job.replicates * len(self._plan.strategies)

    def _lacks_a_block(self, cell: _Cell) -> bool:
        """Whether a block has to be simulated for the cell now; if none is under way, it is looked at until that is known."""
        while not self._take_stored(cell):
            if cell.under_way or not self._look(cell):
                return False
        return True

    def _take_stored(self, cell: _Cell) -> bool:
        """Take what is stored of the blocks that are wanted; returns whether one is left to simulate."""
        there = self._stored.get(cell.address, frozenset())
        while cell.given < cell.wanted and (first := cell.given * self._size) in there:
            try:
                cell.blocks[first] = self._folder.read_block(cell.address, first)
            except InputError:  # damaged: simulated again
                break
            cell.given += 1
        return cell.given < cell.wanted

    def _look(self, cell: _Cell) -> bool:
        """All blocks that were wanted are there: finish the cell, or want more; returns whether more are wanted."""
        blocks = [cell.blocks[first] for first in sorted(cell.blocks)]
        for count in range(cell.looked + 1, len(blocks) + 1):
            lacking = shortfall(self._plan, cell_result(self._plan, cell.number, blocks[:count]))
            if lacking <= 1 or count == self._most:
                self._finish(cell, count * self._size, "done" if lacking <= 1 else "capped", "")
                return False
        cell.looked = len(blocks)
        cell.wanted = cell.looked + max(1, int(min(cell.looked * (lacking - 1), MOST_AHEAD, self._most - cell.looked)))
        return True

    def _finish(self, cell: _Cell, replicates: int, state: str, reason: str) -> None:
        entry = Entry(cell.address, self._plan.precision, replicates, state, reason, round(cell.seconds, 6))
        self.entries[cell.address] = entry
        self._folder.note(entry)
        del self._cells[cell.address]


def finished(plan: Plan, stored: Mapping[str, Set[int]], journal: Mapping[str, Entry]) -> dict[str, Entry]:
    """The cells that need nothing: the journal says so, of the same precision, and their blocks are there."""
    return {
        address: entry
        for address in plan.addresses
        if (entry := journal.get(address)) is not None
        and entry.precision == plan.precision
        and entry.state != "failed"
        and stored.get(address, frozenset()) >= set(range(0, entry.replicates, plan.sweep.block))
    }
