"""Calibration: what a source shows of a system's traffic and times, turned into a workload.

The readers (`calibrate_history`, `calibrate_log`, `calibrate_trace`) each make one kind of source into `Evidence`;
`calibrate` estimates from that, with uncertainty, and says what the source could not tell and what was assumed instead.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from simlib.calibrate.arrivals import fit_arrivals, fit_popularity
from simlib.case.case import Case
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.common.files import replacing, validated
from simlib.workload.workload import Workload

POINTS = 200
"""Values in an empirical distribution: enough for the 99.5 % quantile, few enough to read past."""
NAMED = 50
"""A domain with more values than this, or with hardly any that comes twice, is drawn as `many`."""

Shape = tuple[tuple[str, ...], tuple[str, ...]]
"""The keys that a request asks for, and those that it clears."""


@dataclass(frozen=True)
class Step:
    """What was seen at one write site of one kind of flow: shapes of its requests with their counts."""

    site: str
    shapes: Counter[Shape] = field(default_factory=Counter)


@dataclass(frozen=True)
class Evidence:
    """What a source tells. Times in seconds from its start.

    Attributes:
        source: where it is from, for the comments.
        duration: seconds observed.
        arrivals: kind of flow -> its times of arrival, ascending.
        steps: kind of flow -> its write sites in order.
        sessions: transactions seen of each session; empty if the source names none.
        values: domain -> how often each value was seen.
        times: write site -> `after`, `prepare`, `compute`, `hold` -> the times seen, or the distribution that was assumed.
        store: settings of the store that the source tells.
        initial: fields that every session is assumed to have from the start.
        usual: domain -> its values where the source shows none.
        assumed: what it cannot tell, and what was assumed instead.
        seen: what else was seen, in a sentence each.
    """

    source: str
    duration: float
    arrivals: Mapping[str, Floats]
    steps: Mapping[str, Sequence[Step]]
    sessions: Mapping[str, int]
    values: Mapping[str, Counter[str]]
    times: Mapping[str, Mapping[str, Any]]
    store: Mapping[str, Any] = field(default_factory=dict)
    initial: Sequence[str] = ()
    usual: Mapping[str, Any] = field(default_factory=dict)
    assumed: Sequence[str] = ()
    seen: Sequence[str] = ()


@dataclass(frozen=True)
class Calibration:
    """A workload with its reasons.

    Attributes:
        workload: ready to run.
        head: comment lines about the whole.
        parts: key of the workload file, its value, and the comment lines above it.
        assumed: what the source cannot tell, and what was assumed instead.
    """

    workload: Workload
    head: tuple[str, ...]
    parts: tuple[tuple[str, Any, list[str]], ...]
    assumed: tuple[str, ...]

    def text(self) -> str:
        """The workload as commented YAML, which `load_workload` reads back."""
        return "\n".join([*_comment(self.head), *(line for part in self.parts for line in _yaml(*part))]) + "\n"


def calibrate_evidence(evidence: Evidence, case: Case, name: str = "calibrated") -> Calibration:
    """Estimate a workload of `case`.

    Raises:
        InputError: there is too little to estimate from.
    """
    if not any(times.size for times in evidence.arrivals.values()) or evidence.duration <= 0:
        raise InputError(f"{evidence.source}: nothing to calibrate from: no transaction was seen")
    assumed = list(evidence.assumed)
    sessions, about_sessions = _sessions(evidence, assumed)
    traffic, about_traffic = _traffic(evidence)
    times, about_times = _times(evidence)
    values, about_values = _values(evidence, case, assumed)
    count = sum(times.size for times in evidence.arrivals.values())
    head = [f"{name}: calibrated from {evidence.source}: {count} requests in {evidence.duration:.4g} s.", *evidence.seen]
    head += ["What the source cannot tell, and what was assumed instead:", *(f"- {line}" for line in assumed)]
    parts: list[tuple[str, Any, list[str]]] = [
        ("workload", name, []),
        ("about", f"calibrated from {evidence.source}", []),
        ("case", case.name, []),
        ("duration", float(np.clip(_round(evidence.duration), 1, 3600)), ["Seconds of arrivals in one replicate."]),
        ("replicates", 24, []),
        ("sessions", sessions, about_sessions),
        ("store", dict(evidence.store), ["Settings that are not named here are the defaults."]),
        ("values", values, about_values),
        ("traffic", traffic, about_traffic),
        ("times", times, about_times),
    ]
    workload = validated(Workload, {key: value for key, value, _ in parts}, evidence.source)
    workload.check_case(case, evidence.source)
    return Calibration(workload, tuple(head), tuple(parts), tuple(assumed))


def write_workload(calibration: Calibration, path: Path) -> None:
    """Write the commented workload."""
    with replacing(path) as temporary:
        temporary.write_text(calibration.text(), encoding="utf-8")


def shapes_of(request: Mapping[str, Any]) -> Shape:
    """The shape of a request whose cleared keys are null."""
    return tuple(sorted(key for key, value in request.items() if value is not None)), tuple(
        sorted(key for key, value in request.items() if value is None)
    )


def empirical(values: Floats) -> dict[str, Any] | float:
    """The empirical distribution of `values` as a workload writes it: `POINTS` quantiles evenly spaced in probability.

    Between neighbours it is linear, which makes too much of a long tail; so the last value is the one that gives the top
    interval the mean that was seen. A single value becomes a constant.
    """
    data = np.sort(np.maximum(values, 0.0))
    if data[0] == data[-1]:
        return _round(float(data[0]))
    grid = np.quantile(data, np.linspace(0, 1, min(POINTS, data.size)))
    top = data[data >= grid[-2]]
    grid[-1] = np.clip(2 * top.mean() - grid[-2], grid[-2], data[-1])
    return {"dist": "empirical", "values": [_round(float(value)) for value in grid]}


def _sessions(evidence: Evidence, assumed: list[str]) -> tuple[dict[str, Any], list[str]]:
    if not evidence.sessions:
        assumed.append("It names no sessions: 10 sessions, equally popular.")
        return {"count": 10, "popularity": "uniform", "initial": list(evidence.initial)}, []
    assumed.append(f"Sessions that were never seen: none; the {len(evidence.sessions)} that were are all there are.")
    popularity = fit_popularity(np.array(sorted(evidence.sessions.values(), reverse=True)))
    initial = {"initial": list(evidence.initial)} if evidence.initial else {}
    return {"count": len(evidence.sessions), **popularity.setting(), **initial}, [str(popularity)]


def _traffic(evidence: Evidence) -> tuple[dict[str, Any], list[str]]:
    traffic, about = {}, ["Rates a second, +/- one standard error."]
    for kind, times in evidence.arrivals.items():
        fit = fit_arrivals(times, evidence.duration)
        about.append(f"{kind}: {fit}")
        steps = {step.site: _asks(step.shapes) for step in evidence.steps[kind]}
        traffic[kind] = {"rate": _round(fit.rate), **({"arrivals": fit.setting()} if fit.bursty else {}), "steps": steps}
    return traffic, about


def _asks(shapes: Counter[Shape]) -> list[dict[str, Any]]:
    return [
        {"weight": float(count)} | ({"ask": list(ask)} if ask else {}) | ({"clear": list(clear)} if clear else {})
        for (ask, clear), count in shapes.most_common()
    ]


def _times(evidence: Evidence) -> tuple[dict[str, Any], list[str]]:
    times: dict[str, Any] = {}
    about = ["Seconds; empirical distributions, as quantiles evenly spaced in probability. Mean +/- one standard error:"]
    for site, measured in evidence.times.items():
        seen = {name: values for name, values in measured.items() if isinstance(values, np.ndarray) and values.size}
        assumed = {name: values for name, values in measured.items() if not isinstance(values, np.ndarray)}
        times[site] = {name: empirical(values) for name, values in seen.items()} | assumed
        for name, values in seen.items():
            if values.size > 1:
                error = values.std(ddof=1) / np.sqrt(values.size)
                about.append(f"{site}.{name}: {values.mean():.3g} +/- {error:.2g}, from {values.size}")
    return times, about


def _values(evidence: Evidence, case: Case, assumed: list[str]) -> tuple[dict[str, Any], list[str]]:
    """A domain is the list of values seen; one whose values hardly ever come twice is `many`."""
    used = {
        case.domains[key]
        for steps in evidence.steps.values()
        for step in steps
        for ask, clear in step.shapes
        for key in (*ask, *clear)
    } | {case.domains[field] for field in evidence.initial}
    values: dict[str, Any] = {}
    for domain in sorted(used):
        seen = evidence.values.get(domain, Counter())
        if not seen:
            values[domain] = evidence.usual.get(domain, 4)
            assumed.append(f"The values of {domain}: {values[domain]}, equally likely.")
        else:
            values[domain] = "many" if len(seen) > NAMED or len(seen) > 0.5 * seen.total() > 2 else list(seen)
    return values, ["Each value of a domain is drawn equally often."]


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _comment(lines: Sequence[str]) -> list[str]:
    """Comment lines; a line break in a name from the source cannot end the comment."""
    return [f"# {' '.join(line.split())}" for line in lines]


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every value is written out: a comment above an alias would explain nothing."""
        return True


def _yaml(key: str, value: Any, about: list[str]) -> list[str]:
    """The lines of one key of the workload, its comment above it."""
    # The top mapping in block style, whatever is in it; the leaves in flow style.
    style = None if isinstance(value, dict) else False
    dumped = yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, default_flow_style=style, width=124, allow_unicode=True)
    return ["", *_comment(about), dumped.rstrip()] if about else [dumped.rstrip()]
