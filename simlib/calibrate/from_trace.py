"""Calibration from a plain trace, CSV or JSON lines: who wrote what to which session, and when.

    time,kind,session,fields
    0.5,checkout,s1,title=x;colour=red
    2026-11-22T08:20:00Z,rename,s1,title=

    {"time": 0.5, "kind": "checkout", "session": "s1", "fields": {"title": "x", "colour": "red"}}
    {"time": "2026-11-22T08:20:00Z", "kind": "rename", "session": "s1", "fields": ["title"]}

`time` is in seconds or ISO 8601; `kind` a write site of the case, one of its flows with all their sites, or what its recordings
call a flow; `fields` the keys asked for at the first site, with or without values; an empty value (null) clears. The fields,
and the session, may be left out.
"""

import csv
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from simlib.calibrate.evidence import NAMED, Calibration, Evidence, Shape, Step, calibrate_evidence, shapes_of
from simlib.calibrate.usual import like, usual_workload
from simlib.case.case import Case
from simlib.common.broken_lines import Broken, read_lines
from simlib.common.errors import InputError
from simlib.common.json_text import parse_json
from simlib.workload.workload import Workload

_UNNAMED = object()
LATEST = 1e13
"""In seconds, or in milliseconds since 1970 from a source that counts those; beyond it differences are lost."""


@dataclass
class _Trace:
    """What has been read so far."""

    case: Case
    flow_of: Mapping[str, str]
    steps_of: Mapping[str, tuple[str, ...]]
    broken: Broken = field(default_factory=Broken)
    arrivals: "dict[str, array[float]]" = field(default_factory=dict)
    sessions: Counter[str] = field(default_factory=Counter)
    shapes: dict[str, Counter[Shape]] = field(default_factory=dict)
    values: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Account for one line; ValueError, KeyError or TypeError if it is broken."""
        time, request = _time(row["time"]), _request(row.get("fields"))
        kind = self.flow_of.get(str(row["kind"]), str(row["kind"]))
        if kind not in self.steps_of or any(key not in self.case.request for key in request):
            raise ValueError(kind)
        self.arrivals.setdefault(kind, array("d")).append(time)
        if row.get("session") not in (None, ""):
            self.sessions[str(row["session"])] += 1
        shown = {key: None if value is None else "" for key, value in request.items()}
        self.shapes.setdefault(kind, Counter())[shapes_of(shown)] += 1
        for key, value in request.items():
            seen = self.values.setdefault(self.case.domains[key], Counter())
            # A value more than anyone will list need not be kept apart.
            if value is not None and value is not _UNNAMED and (len(seen) <= 2 * NAMED or str(value) in seen):
                seen[str(value)] += 1


def _time(text: Any) -> float:
    try:
        time = float(text)
    except ValueError:
        time = datetime.fromisoformat(text).timestamp()
    if not abs(time) <= LATEST:  # nor is NaN
        raise ValueError(text)
    return time


def _request(fields: Any) -> dict[str, Any]:
    """The keys of a request; null clears, a key without a value has _UNNAMED."""
    if isinstance(fields, dict):
        return dict(fields)
    if isinstance(fields, list):
        return dict.fromkeys((str(key) for key in fields), _UNNAMED)
    if fields in (None, ""):
        return {}
    pairs = (part.strip().partition("=") for part in str(fields).split(";") if part.strip())
    return {key: (value or None) if equals else _UNNAMED for key, equals, value in pairs}


def calibrate_trace(path: Path, case: Case, name: str = "calibrated") -> Calibration:
    """A workload from a trace.

    Raises:
        InputError: the file cannot be read, or no line of it is one of a trace.
    """
    usual = usual_workload(case, path)
    recorded = case.sections.recordings.kinds if case.sections.recordings else {}
    flow_of = {kind: write.flow for kind, write in recorded.items()}
    trace = _Trace(case, flow_of, {site: (site,) for site in case.sites} | dict(case.flows))
    for number, row in _rows(path, trace.broken):
        try:
            trace.add(row)
        except (ValueError, KeyError, TypeError):
            trace.broken.add(number)
    if not trace.arrivals:
        raise InputError(f"{path}: no line has a time and a kind of write (one of {', '.join(trace.steps_of)}). {trace.broken}")
    return calibrate_evidence(_evidence(trace, path, usual), case, name)


def _rows(path: Path, broken: Broken) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    for number, line in read_lines(path, broken):
        try:
            text = line.decode("utf-8").strip()
            if not text:
                continue
            if text.startswith("{"):
                yield number, parse_json(text)
            elif header is None:
                header = [cell.strip() for cell in next(csv.reader([text]))]
                if "time" not in header or "kind" not in header:
                    raise InputError(f"{path}: line {number}: a CSV trace begins with a line 'time,kind,session,fields'")
            else:
                yield number, dict(zip(header, next(csv.reader([text])), strict=True))
        except (ValueError, csv.Error):
            broken.add(number)


def _evidence(trace: _Trace, path: Path, usual: Workload) -> Evidence:
    start = min(min(times) for times in trace.arrivals.values())
    stop = max(max(times) for times in trace.arrivals.values())
    steps = {}
    for kind, shapes in trace.shapes.items():
        sites = trace.steps_of[kind]
        asked = shapes if any(ask or clear for ask, clear in shapes) else Counter()
        steps[kind] = [Step(sites[0], asked), *(Step(site) for site in sites[1:])]
    times: dict[str, dict[str, Any]] = {}
    for site in {step.site for flow in steps.values() for step in flow}:
        spans = usual.times[like(site, usual, trace.case)]
        times[site] = {name: getattr(spans, name).model_dump() for name in ("after", "prepare", "compute", "hold")}
    return Evidence(
        source=path.name,
        duration=stop - start,
        arrivals={kind: np.sort(np.array(times)) - start for kind, times in trace.arrivals.items()},
        steps=steps,
        sessions=dict(trace.sessions),
        values=trace.values,
        times=dict(sorted(times.items())),
        usual=dict(usual.values),
        assumed=[f"Times of preparation and hold, and the store's constants: as in {usual.workload}; a trace has none."],
        seen=[str(trace.broken)],
    )
