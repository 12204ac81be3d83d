"""Run a batch: a report for each member, several at a time; what is finished is kept, whatever becomes of the others."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from simlib.common.errors import SimlibError
from simlib.common.lock import locked
from simlib.common.workers import Crew, WorkerDied
from simlib.estimate.wording import listed, seconds
from simlib.report.batch_file import Batch, Member
from simlib.report.batch_folder import Record, changed, digest_of, input_digests, read_records, write_record
from simlib.report.finding import Finding
from simlib.report.index import write_index
from simlib.report.notebook import make_report, partly_run, render

MOST_DEATHS = 3
"""A member during which so many workers died is given up."""
FIRST = "new"
"""Why a report is made that was not there."""


class Made(NamedTuple):
    """What came of a member: why it failed, if it did; how long it took; and what it found."""

    reason: str
    seconds: float
    finding: Finding


def run_batch(
    batch: Batch,
    members: Sequence[Member],
    folder: Path,
    *,
    jobs: int | None = None,
    again: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Record]:
    """Make the reports that are missing, failed, or made of something else than now, and the list of all in the folder.

    Args:
        batch: the file.
        members: its members.
        folder: where everything is kept; made if it is not there.
        jobs: processes; as many as there are cores if not given.
        again: make all of them.
        say: told how far it is, a line at a time.

    Returns:
        what is known of each member, in their order.

    Raises:
        InputError: the folder cannot be written to.
        RunError: another batch is at work in it.
    """
    with locked(folder, "batch"):
        _tidy(folder)
        known = read_records(folder, say)
        inputs = {member.name: input_digests(member) for member in members}
        why = {member.name: _why(folder, known.get(member.name), inputs[member.name], again) for member in members}
        work = [member for member in members if why[member.name]]
        if len(work) < len(members):
            say(f"{len(members) - len(work):,} of {len(members):,} reports are there already")
        began = time.monotonic()
        try:
            for number, (member, made) in enumerate(_make_all(work, folder, jobs or os.cpu_count() or 1), 1):
                record = _record(batch, member, inputs[member.name], made)
                write_record(folder, record)
                known[member.name] = record
                left = (time.monotonic() - began) / number * (len(work) - number)
                say(_line(f"{number}/{len(work)}", record, why[member.name], left))
        finally:
            write_index(folder)
        return [known[member.name] for member in members]


def needed(members: Sequence[Member], folder: Path, again: bool = False) -> list[Member]:
    """The members whose reports `run_batch` would make."""
    known = read_records(folder)
    return [member for member in members if _why(folder, known.get(member.name), input_digests(member), again)]


def _why(folder: Path, record: Record | None, inputs: dict[str, str], again: bool) -> str:
    """Why a report is to be made; empty if it is there."""
    if record is None or not (folder / f"{record.stem}.html").is_file():
        return FIRST
    if record.state == "failed":
        return "it had failed"
    if record.digest == digest_of(inputs):
        return "asked for" if again else ""
    return f"changed: {listed(changed(record.inputs, inputs))}"


def _line(place: str, record: Record, why: str, left: float) -> str:
    what = "done" if record.state == "done" else "failed"
    again = f" ({why})" if why != FIRST else ""
    rest = f": {record.reason}" if record.reason else f"; some {seconds(left)} left" if left else ""
    return f"{place} {record.member}: {what} in {seconds(record.seconds)}{again}{rest}"


def _record(batch: Batch, member: Member, inputs: dict[str, str], made: Made) -> Record:
    return Record(
        batch=batch.batch,
        member=member.name,
        state="failed" if made.reason else "done",
        reason=made.reason,
        notebook=member.notebook.name,
        parameters=member.given,
        seconds=round(made.seconds, 3),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        digest=digest_of(inputs),
        inputs=inputs,
        verdict=made.finding.verdict,
        rates=made.finding.rates,
        failed_units=made.finding.failed_units,
    )


def _make_all(members: Sequence[Member], folder: Path, jobs: int) -> Iterator[tuple[Member, Made]]:
    """Each with what came of it, as they end. A member whose worker dies is tried again, some times."""
    waiting, deaths, under_way = deque(members), Counter[str](), 0
    with Crew(partial(make_member, folder), min(jobs, max(1, len(members)))) as crew:
        while waiting or under_way:
            while waiting and crew.free:
                crew.give(waiting.popleft())
                under_way += 1
            for member, result in crew.collect():
                under_way -= 1
                if isinstance(result, Made):
                    yield member, result
                    continue
                deaths[member.name] += 1
                if isinstance(result, WorkerDied) and deaths[member.name] < MOST_DEATHS:
                    waiting.append(member)
                    continue
                times = f", {MOST_DEATHS} times" if isinstance(result, WorkerDied) else ""
                yield member, _failed(folder, member, f"{result}{times}", 0.0)


def make_member(folder: Path, member: Member) -> Made:
    """Make the report of a member; whatever goes wrong, a page says so. This is what a worker does."""
    began, page = time.monotonic(), folder / f"{member.stem}.html"
    partly_run(page).unlink(missing_ok=True)
    try:
        finding = make_report(member.notebook, member.parameters, page, title(member))
    except Exception as error:  # whatever it is: this member has failed, and the others go on
        reason = str(error) if isinstance(error, SimlibError) else f"{type(error).__name__}: {error}"
        return _failed(folder, member, reason, time.monotonic() - began)
    return Made("", time.monotonic() - began, finding)


def title(member: Member) -> str:
    """Of its page."""
    return f"simlib: {member.name}"


def _failed(folder: Path, member: Member, reason: str, took: float) -> Made:
    page = folder / f"{member.stem}.html"
    with suppress(Exception):  # a partly run notebook that cannot be shown is no reason to say nothing of why it failed
        render(partly_run(page), page, title(member), error=reason)
    return Made(reason, took, Finding())


def _tidy(folder: Path) -> None:
    """Remove what a kill left half written. Nobody else may be at work in the folder."""
    for ending in ("html", "json", "ipynb"):
        for left in folder.glob(f".*-{'[0-9a-f]' * 12}.{ending}"):
            left.unlink()
