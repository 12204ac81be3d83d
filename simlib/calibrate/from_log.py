"""Calibration from a process's own log: JSON lines, with a line for each request and each response.

What the methods stand for, the section `log` of the case file says. Used are the lines of its subsystem about two of them, and
the events of units of work, which alone name sessions:

    ← req UNIT conn=... id=...                          a request comes in
    → res ✓ UNIT 62ms runId=... conn=... id=...         it is accepted: its first site has written
    → event UNIT ... run=... session=NAME ...           the unit of work says something
    → res ✓|✗ UNIT ... runId=... conn=... id=...        the unit of work has ended, well or not
    → res ✓ OUTSIDE 7ms conn=... id=...                 an outside write is done

A log that has the slow and the failed responses only is refused.
"""

import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from simlib.calibrate.evidence import Calibration, Evidence, Step, calibrate_evidence
from simlib.calibrate.usual import usual_workload
from simlib.case.case import Case
from simlib.case.sections import LogModel, needed
from simlib.common.arrays import Floats
from simlib.common.broken_lines import Broken, read_lines
from simlib.common.errors import InputError
from simlib.common.json_text import parse_json
from simlib.workload.workload import Workload

_REQUEST = re.compile(r"← req (\S+) .*?\bconn=(\S+) id=(\S+)")
_RESPONSE = re.compile(r"→ res ([✓✗]) (\S+)(?: (\d+)ms)?(?:.*?\brunId=(\S+))?.*?\bconn=(\S+) id=(\S+)\s*$", re.DOTALL)
_EVENT = re.compile(r"→ event (\S+) .*?\brun=(\S+) .*?\bsession=(\S+)")


def _floats() -> "array[float]":
    return array("d")


@dataclass
class _Log:
    """What has been read so far; nothing in it grows with the lines that do not count."""

    section: LogModel
    broken: Broken = field(default_factory=Broken)
    read: int = 0
    responses: int = 0
    first: float = np.inf
    last: float = -np.inf
    arrivals: "dict[str, array[float]]" = field(default_factory=dict)
    accepted: "array[float]" = field(default_factory=_floats)
    written: "array[float]" = field(default_factory=_floats)
    ended: "dict[str, array[float]]" = field(default_factory=lambda: {"✓": _floats(), "✗": _floats()})
    open: dict[tuple[str, str], float] = field(default_factory=dict)
    session_of: dict[str, str] = field(default_factory=dict)
    units: list[str] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)

    def line(self, time: float, subsystem: str, text: Any) -> None:
        """Account for one good line."""
        self.read += 1
        self.first, self.last = min(self.first, time), max(self.last, time)
        if subsystem != f'{{"subsystem":"{self.section.subsystem}"}}' or not isinstance(text, str):
            return
        if match := _REQUEST.search(text):
            method, *who = match.groups()
            if method in (self.section.unit.method, self.section.outside.method):
                self.arrivals.setdefault(method, _floats()).append(time)
                self.open[who[0], who[1]] = np.nan
            else:
                self.other[method] += 1
        elif match := _RESPONSE.search(text):
            self.response(time, *match.groups())
        elif (match := _EVENT.search(text)) and match[1] == self.section.unit.method:
            self.session_of.setdefault(match[2], match[3])

    def response(self, time: float, mark: str, method: str, took: str | None, unit: str | None, conn: str, key: str) -> None:
        """A response: of an outside write; or of a unit of work, the first of which accepts it and the second ends it."""
        self.responses += 1
        began = self.open.pop((conn, key), None)
        if method == self.section.outside.method and mark == "✓" and took:
            self.written.append(float(took) / 1000)
        elif method == self.section.unit.method and began is not None:
            if not np.isnan(began):
                self.ended[mark].append(time - began)
            elif mark == "✓" and took:
                self.accepted.append(float(took) / 1000)
                self.open[conn, key] = time
                if unit:
                    self.units.append(f"{unit[:8]}…{unit[-4:]}")  # events shorten it like this


def calibrate_log(path: Path, case: Case, name: str = "calibrated") -> Calibration:
    """A workload from a log of requests and responses.

    Raises:
        InputError: the file cannot be read, is no such log, or tells too little; or the case does not say what its lines mean.
    """
    section = needed(case.sections.log, "log", case.name, str(path))
    log = _read(path, section)
    if not log.read:
        raise InputError(f"{path}: not a log: no line is JSON with a time. {log.broken}")
    if not log.arrivals:
        seen = f"{log.responses} responses and no request" if log.responses else "no request"
        methods = f"{section.unit.method} or {section.outside.method}"
        raise InputError(f"{path}: {seen} of {methods} among {log.read} lines" + (f": {section.hint}" if section.hint else ""))
    return calibrate_evidence(_evidence(log, path, case, usual_workload(case, path)), case, name)


def _read(path: Path, section: LogModel) -> _Log:
    log = _Log(section)
    for number, line in read_lines(path, log.broken):
        try:
            data = parse_json(line)
            time = datetime.fromisoformat(data["time"]).timestamp()
            log.line(time, str(data.get("0")), data.get("1"))
        except (ValueError, KeyError, TypeError):
            log.broken.add(number)
    return log


def _evidence(log: _Log, path: Path, case: Case, usual: Workload) -> Evidence:
    flows = _flows(log, usual)
    sites = {step.site for _, steps in flows.values() for step in steps}
    # Of the units whose request is in the log: one may have begun before it.
    sessions = Counter(log.session_of[unit] for unit in log.units if unit in log.session_of)
    others = ", ".join(f"{method} {count}" for method, count in log.other.most_common(8))
    well, badly = len(log.ended["✓"]), len(log.ended["✗"])
    return Evidence(
        source=str(path.name),
        duration=log.last - log.first,
        arrivals={kind: arrivals for kind, (arrivals, _) in flows.items()},
        steps={kind: steps for kind, (_, steps) in flows.items()},
        sessions=dict(sessions),
        values={},
        times={site: measured for site, measured in _times(log, usual).items() if site in sites},
        initial=tuple(usual.sessions.initial),
        usual=dict(usual.values),
        assumed=_assumed(log, case, usual.workload),
        seen=[
            f"{log.read} lines read. {log.broken}",
            f"{case.words.units.capitalize()} that ended well: {well}; that failed: {badly}; not yet ended: {len(log.open)}.",
            *([f"Requests that do not matter here: {others}."] if others else []),
        ],
    )


def _assumed(log: _Log, case: Case, usual: str) -> list[str]:
    """What such a log cannot tell, and what is assumed instead."""
    words = case.words
    return [
        f"What a request asks for (fields, values): as in {usual}; the log has methods only.",
        f"Sessions of outside writes: as of the {words.units}, which alone name theirs.",
        f"Entries at the start: as in {usual}.",
        f"A failed {words.unit} writes when it starts: just when it ends, as late as can be."
        if log.ended["✗"]
        else f"When the {words.unit} writes after it was accepted: as in {usual}.",
        "Holding the lock: as long as an outside write takes from request to response, wait and all: too long if anything."
        if log.written
        else f"Holding the lock: as in {usual}; no outside write was answered.",
    ]


def _flows(log: _Log, usual: Workload) -> dict[str, tuple[Floats, list[Step]]]:
    """Kind of flow -> its arrivals in seconds from the first line, and its steps; without those that never came."""
    unit, outside = log.section.unit, log.section.outside

    def arrivals(method: str) -> Floats:
        return np.sort(np.array(log.arrivals.get(method, []))) - log.first

    well, badly = _divided(arrivals(unit.method), len(log.ended["✓"]), len(log.ended["✗"]))
    steps = [Step(unit.accepted, _shapes(usual, unit.flow, unit.accepted)), Step(unit.started), Step(unit.ended)]
    flows = {
        unit.flow: (well, steps),
        unit.failed: (badly, steps[:2]),
        outside.flow: (arrivals(outside.method), [Step(outside.site, _shapes(usual, outside.flow, outside.site))]),
    }
    return {kind: flow for kind, flow in flows.items() if flow[0].size}


def _times(log: _Log, usual: Workload) -> dict[str, dict[str, Any]]:
    """Write site -> its times, measured where the log tells them.

    An outside write's response time stands for a hold; what a unit of work takes beyond that to be accepted, it prepared. One
    that fails ends with the write of its start, and one that ends well has started as late as those do.
    """
    unit, outside = log.section.unit, log.section.outside
    accepted, written = np.array(log.accepted), np.array(log.written)
    ended, failed = np.array(log.ended["✓"]), np.array(log.ended["✗"])
    hold: Any = written if written.size else usual.times[outside.site].hold.model_dump()
    start = usual.times[unit.started].prepare
    started = float(np.median(failed)) if failed.size else float(start.quantile(np.full(1, 0.5))[0])
    return {
        unit.accepted: {
            "prepare": np.maximum(0.0, accepted - float(np.median(written))) if written.size else accepted,
            "hold": hold,
        },
        unit.started: {"prepare": failed if failed.size else start.model_dump(), "hold": hold},
        unit.ended: {"after": np.maximum(0.0, ended - started), "hold": hold},
        outside.site: {"hold": hold},
    }


def _divided(times: Floats, ended: int, failed: int) -> tuple[Floats, Floats]:
    """Which requests will end well is not in the request's line: divide them evenly in that proportion."""
    well = np.diff(ended * np.arange(times.size + 1) // max(1, ended + failed)) > 0
    return times[well], times[~well]


def _shapes(usual: Workload, kind: str, site: str) -> Any:
    shapes = usual.traffic[kind].steps[site]
    return Counter({(tuple(shape.ask), tuple(shape.clear)): shape.weight for shape in shapes})
