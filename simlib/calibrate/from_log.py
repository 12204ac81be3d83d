"""Calibration from an OpenClaw gateway's own log: JSON lines, written with --verbose.

Used are the request and response lines of the `gateway/ws` subsystem, and the run's events, which alone name sessions:

    ← req agent conn=... id=...                         a request comes in
    → res ✓ agent 62ms runId=... conn=... id=...        it is accepted (the handler has written)
    → event agent ... run=... session=NAME ...          its run says something
    → res ✓|✗ agent ... runId=... conn=... id=...       the run has ended, well or not
    → res ✓ sessions.patch 7ms conn=... id=...          a patch is done

Without --verbose a gateway logs slow and failed responses only. Such a log is refused.
"""

import json
import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from simlib.calibrate.evidence import Calibration, Evidence, Step, calibrate_evidence
from simlib.case.case import Case
from simlib.common.broken_lines import Broken, read_lines
from simlib.common.errors import InputError
from simlib.workload.workload import Workload, load_workload

_SUBSYSTEM = '{"subsystem":"gateway/ws"}'
_REQUEST = re.compile(r"← req (\S+) .*?\bconn=(\S+) id=(\S+)")
_RESPONSE = re.compile(r"→ res ([✓✗]) (\S+)(?: (\d+)ms)?(?:.*?\brunId=(\S+))?.*?\bconn=(\S+) id=(\S+)\s*$", re.DOTALL)
_EVENT = re.compile(r"→ event agent .*?\brun=(\S+) .*?\bsession=(\S+)")


def _floats() -> "array[float]":
    return array("d")


@dataclass
class _Log:
    """What has been read so far; nothing in it grows with the lines that do not count."""

    broken: Broken = field(default_factory=Broken)
    read: int = 0
    responses: int = 0
    first: float = np.inf
    last: float = -np.inf
    arrivals: "dict[str, array[float]]" = field(default_factory=dict)
    accepted: "array[float]" = field(default_factory=_floats)
    patched: "array[float]" = field(default_factory=_floats)
    ran: "dict[str, array[float]]" = field(default_factory=lambda: {"✓": _floats(), "✗": _floats()})
    open: dict[tuple[str, str], float] = field(default_factory=dict)
    session_of: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)

    def line(self, time: float, subsystem: str, text: Any) -> None:
        """Account for one good line."""
        self.read += 1
        self.first, self.last = min(self.first, time), max(self.last, time)
        if subsystem != _SUBSYSTEM or not isinstance(text, str):
            return
        if match := _REQUEST.search(text):
            method, *who = match.groups()
            if method in ("agent", "sessions.patch"):
                self.arrivals.setdefault(method, _floats()).append(time)
                self.open[who[0], who[1]] = np.nan
            else:
                self.other[method] += 1
        elif match := _RESPONSE.search(text):
            self.response(time, *match.groups())
        elif match := _EVENT.search(text):
            self.session_of.setdefault(*match.groups())

    def response(self, time: float, mark: str, method: str, duration: str | None, run: str | None, conn: str, key: str) -> None:
        """A response: of a patch; or of an agent request, the first of which accepts it and the second ends its run."""
        self.responses += 1
        began = self.open.pop((conn, key), None)
        if method == "sessions.patch" and mark == "✓" and duration:
            self.patched.append(float(duration) / 1000)
        elif method == "agent" and began is not None:
            if not np.isnan(began):
                self.ran[mark].append(time - began)
            elif mark == "✓" and duration:
                self.accepted.append(float(duration) / 1000)
                self.open[conn, key] = time
                if run:
                    self.runs.append(f"{run[:8]}…{run[-4:]}")  # events shorten it like this


def calibrate_log(path: Path, case: Case, name: str = "calibrated") -> Calibration:
    """A workload from a gateway log.

    Raises:
        InputError: the file cannot be read, is no gateway log, or was written without --verbose.
    """
    log = _read(path)
    if not log.read:
        raise InputError(f"{path}: not a gateway log: no line is JSON with a time. {log.broken}")
    if not log.arrivals:
        seen = f"{log.responses} responses and no request" if log.responses else "no request"
        raise InputError(
            f"{path}: {seen} of an agent or a patch among {log.read} lines: without --verbose a gateway logs only slow and "
            "failed responses, which is too little to calibrate from; start it with --verbose"
        )
    return calibrate_evidence(_evidence(log, path, load_workload("busy-team")), case, name)


def _read(path: Path) -> _Log:
    log = _Log()
    for number, line in read_lines(path, log.broken):
        try:
            data = json.loads(line)
            time = datetime.fromisoformat(data["time"]).timestamp()
            log.line(time, str(data.get("0")), data.get("1"))
        except (ValueError, KeyError, TypeError, RecursionError):
            log.broken.add(number)
    return log


def _evidence(log: _Log, path: Path, usual: Workload) -> Evidence:
    patched, accepted = np.array(log.patched), np.array(log.accepted)
    failed, ended = np.array(log.ran["✗"]), np.array(log.ran["✓"])
    assumed = [
        "What a request asks for (fields, values): as in busy-team; the log has methods only.",
        "Sessions of patches: as of the agent runs, which alone name theirs.",
        "Session entries at the start: as in busy-team.",
        "A run writes when it starts: a failed one when it ends, as late as can be."
        if failed.size
        else "A run writes when it starts: as in busy-team.",
    ]
    if patched.size:
        hold: Any = patched
        assumed.append(
            "Holding the lock: as long as a patch takes from request to response, wait and all, which is too long if anything."
        )
    else:
        hold = usual.times["patch"].hold.model_dump()
        assumed.append("Holding the lock: as in busy-team; no patch was answered.")
    share = ended.size / max(1, ended.size + failed.size)
    agents = np.sort(np.array(log.arrivals.get("agent", []))) - log.first
    well, badly = _divided(agents, share)
    run = [Step("handler", _shapes(usual, "turn", "handler")), Step("run_start"), Step("run_end")]
    start: dict[str, Any] = {"prepare": failed if failed.size else usual.times["run_start"].prepare.model_dump(), "hold": hold}
    first = float(np.median(failed)) if failed.size else float(usual.times["run_start"].prepare.quantile(np.full(1, 0.5))[0])
    end: dict[str, Any] = {"after": np.maximum(0.0, ended - first), "hold": hold}
    handler = {"prepare": np.maximum(0.0, accepted - float(np.median(patched))) if patched.size else accepted, "hold": hold}
    flows = {"turn": (well, run), "failed-turn": (badly, run[:2])}
    patches = np.sort(np.array(log.arrivals.get("sessions.patch", []))) - log.first
    flows["patch"] = (patches, [Step("patch", _shapes(usual, "patch", "patch"))])
    flows = {kind: flow for kind, flow in flows.items() if flow[0].size}
    sites = {step.site for _, steps in flows.values() for step in steps}
    times = {"handler": handler, "run_start": start, "run_end": end, "patch": {"hold": hold}}
    # Of the runs whose request is in the log: one may have begun before it.
    sessions = Counter(log.session_of[run] for run in log.runs if run in log.session_of)
    others = ", ".join(f"{method} {count}" for method, count in log.other.most_common(8))
    return Evidence(
        source=str(path.name),
        duration=log.last - log.first,
        arrivals={kind: arrivals for kind, (arrivals, _) in flows.items()},
        steps={kind: steps for kind, (_, steps) in flows.items()},
        sessions=dict(sessions),
        values={},
        times={site: measured for site, measured in times.items() if site in sites},
        initial=tuple(usual.sessions.initial),
        usual=dict(usual.values),
        assumed=assumed,
        seen=[
            f"{log.read} lines read. {log.broken}",
            f"Runs that ended well: {ended.size}; that failed: {failed.size}; not yet ended: {len(log.open)}.",
            *([f"Requests that do not matter here: {others}."] if others else []),
        ],
    )


def _divided(times: Any, share: float) -> tuple[Any, Any]:
    """Which requests' runs will end well is not in the request's line: divide them evenly in that proportion."""
    well = np.diff(np.floor(share * np.arange(times.size + 1) + 1e-9)) > 0
    return times[well], times[~well]


def _shapes(usual: Workload, kind: str, site: str) -> Any:
    shapes = usual.traffic[kind].steps[site]
    return Counter({(tuple(shape.ask), tuple(shape.clear)): shape.weight for shape in shapes})
