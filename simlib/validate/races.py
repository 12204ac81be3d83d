"""Races: one unit of work against one outside write, as measured on real processes, and as the model has it.

A recording holds trials: a new session, a unit of work, and an outside write of a few fields sent `offset` after it; lost is
what a settle time later is not in the store. The write is lost from the offset on at which it misses the snapshot that a
write-back carries, until the one at which it comes after the last write-back. Both edges are fitted to half of the trials and
put into a workload; the model then predicts the other half. The section `races` of the case file says which workload, sites and
fields these are, and what a trial calls them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from simlib.case.case import Case
from simlib.case.sections import RacesModel, needed
from simlib.common.arrays import Bools, Floats
from simlib.common.errors import InputError, allowed
from simlib.common.json_text import parse_json
from simlib.model.compiled_model import simulate
from simlib.replay.replay import replay_strategy
from simlib.validate.predict import LEVEL
from simlib.validate.scores import Condition
from simlib.workload.distributions import Empirical
from simlib.workload.traffic import draw
from simlib.workload.workload import Recorded, Workload, load_workload

BINS = 10
"""Ranges of the offset, with as many held-out trials each, in which predicted and observed losses are compared."""
FIRST_WRITE = 0.1
"""Seconds until a unit that lasts writes when it starts. The trials do not tell; what it writes then, it writes again."""
SPACING = 10.0
"""Seconds between the model's races, far more than one lasts. An offset is half of that at most, or races would mix."""
LARGEST = 20_000_000
"""Bytes of a recording; a shipped one has some 25,000."""


@dataclass(frozen=True)
class Trials:
    """The trials of one recording, by offset.

    Attributes:
        source, build, rule: file name, build, and the strategy it ships.
        lasts: whether the unit of work lasts (and writes back at its end), or fails at once.
        offset: (n,) seconds from sending the unit's request to sending the outside write, ascending.
        lost: field -> (n,) whether the written value was gone.
    """

    source: str
    build: str
    rule: str
    lasts: bool
    offset: Floats
    lost: Mapping[str, Bools]

    def every_other(self, first: int) -> "Trials":
        """The trials `first`, `first` + 2, ...: half of them, over the whole range of offsets."""
        return replace(self, offset=self.offset[first::2], lost={field: lost[first::2] for field, lost in self.lost.items()})


def section_of(case: Case, source: str) -> RacesModel:
    """The case's section about races.

    Raises:
        InputError: it has none; `source` names what needs it.
    """
    return needed(case.sections.races, "races", case.name, source)


def read_trials(path: Path, case: Case) -> Trials:
    """The trials of a recording of races.

    Raises:
        InputError: the file cannot be read, is none, or is of a build whose strategy the case does not say; a trial has not its
            keys, or was sent too early or too late to be a race; names the trial, from 0.
    """
    section = section_of(case, str(path))
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise InputError(f"{path}: {size:,} bytes; allowed: {LARGEST:,}")
        data = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not a recording of races: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("trials"), list) or not isinstance(data.get("version"), str):
        raise InputError(f"{path}: not a recording of races: needed: version, a text, and trials, a list")
    if (build := data["version"]) not in section.builds:
        raise InputError(f"{path}: version {build!r:.80} ships no strategy that is known; {allowed(list(section.builds))}")
    needed_keys: dict[str, type] = {section.unit.sent: float, section.outside.sent: float, section.outside.ok: bool}
    needed_keys |= dict.fromkeys(section.lost.values(), bool)
    for number, trial in enumerate(data["trials"]):
        _check_trial(trial, f"{path}: trials.{number}", needed_keys)

    def offset_of(trial: Mapping[str, Any]) -> float:
        return float(trial[section.outside.sent] - trial[section.unit.sent]) / 1000

    trials = sorted((trial for trial in data["trials"] if trial[section.outside.ok]), key=offset_of)
    offset = np.array([offset_of(trial) for trial in trials], dtype=np.float64)
    if not trials or max(-offset[0], offset[-1]) > SPACING / 2:
        seen = f"offsets of {offset[0]:.6g} to {offset[-1]:.6g} s" if trials else f"no trial with {section.outside.ok}"
        raise InputError(f"{path}: {seen}; allowed: {-SPACING / 2:g} to {SPACING / 2:g} s, of {2 * BINS} trials or more")
    lost = {field: np.array([trial[key] for trial in trials], dtype=np.bool_) for field, key in section.lost.items()}
    return Trials(path.name.removesuffix(".json"), build, section.builds[build], bool(offset[-1] > 1.0), offset, lost)


def _check_trial(trial: Any, place: str, needed_keys: Mapping[str, type]) -> None:
    """Refuse a trial without these keys, or with values of another type; times are numbers of milliseconds."""
    if not isinstance(trial, dict):
        raise InputError(f"{place}: {trial!r:.80} is not an object; needed: {', '.join(needed_keys)}")
    for key, kind in needed_keys.items():
        if key not in trial:
            raise InputError(f"{place}: no '{key}'; needed: {', '.join(needed_keys)}")
        value, wants_bool = trial[key], kind is bool
        if isinstance(value, bool) != wants_bool or not isinstance(value, int | float):
            raise InputError(f"{place}: {key}: {value!r:.80} is not {'true or false' if wants_bool else 'a number'}")


@dataclass(frozen=True)
class Edge:
    """An offset at which losing begins or ends, the same for no two trials: logistic, its two parameters on a grid.

    Attributes:
        middle, scale: (m,) grid of location and scale in seconds.
        weight: (m,) posterior weight of each, under a flat prior for the location and a log-uniform one for the scale.
    """

    middle: Floats
    scale: Floats
    weight: Floats

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Where the middle of the edge is with that probability, seconds."""
        order = np.argsort(self.middle, kind="stable")
        low, high = np.interp([(1 - level) / 2, (1 + level) / 2], np.cumsum(self.weight[order]), self.middle[order])
        return float(low), float(high)

    def mean(self) -> float:
        """The expected middle of the edge, seconds."""
        return float(self.weight @ self.middle)

    def quantiles(self, probability: Floats) -> Floats:
        """Offsets of the edge of one more trial, the uncertainty of the fit included."""
        grid = np.sort(
            np.concatenate([self.middle + self.scale * special.logit(p) for p in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999)])
        )
        grid = grid[:: max(1, grid.size // 2000)]
        below = special.expit((grid[:, None] - self.middle) / self.scale) @ self.weight
        return np.asarray(np.interp(probability, below, grid), dtype=np.float64)


@dataclass(frozen=True)
class Windows:
    """From which offset on an outside write is lost, and until which."""

    start: Edge
    end: Edge


def fit_windows(trials: Trials) -> Windows | None:
    """The edges of the window in which the first field is lost; None if it hardly ever was.

    Raises:
        InputError: no trial came before those that lost it.
    """
    lost = next(iter(trials.lost.values()))
    if lost.sum() < 3:
        return None
    middle = float(np.median(trials.offset[lost]))
    early = trials.offset < middle
    if not early.any():
        raise InputError(f"{trials.source}: no trial before {1e3 * middle:.0f} ms, where writes are lost; the edge is not seen")
    return Windows(_fit_edge(trials.offset[early], lost[early]), _fit_edge(trials.offset[~early], ~lost[~early]))


def _fit_edge(offset: Floats, passed: Bools) -> Edge:
    """The edge between offsets that it has not `passed` and those that it has."""
    low, high = float(offset.min()) - 0.01, float(offset.max()) + 0.01
    middle, scale = (grid.ravel() for grid in np.meshgrid(np.linspace(low, high, 400), np.geomspace(0.0005, 0.1, 30)))
    distance = (offset - middle[:, None]) / scale[:, None]
    logs = np.where(passed, -np.logaddexp(0, -distance), -np.logaddexp(0, distance)).sum(axis=1)
    weight = np.exp(logs - logs.max())
    kept = weight > 1e-6 * weight.max()
    return Edge(middle[kept], scale[kept], weight[kept] / weight[kept].sum())


def race_workload(section: RacesModel, windows: Windows, lasts: bool, in_lock: bool) -> Workload:
    """The section's workload with the fitted times.

    Args:
        section: which workload and sites these are.
        windows: when the outside write is lost.
        lasts: whether the unit of work lasts.
        in_lock: whether its first site computes in the lock, so that the first snapshot is that of its start.
    """
    workload = load_workload(section.workload)
    times = dict(workload.times)
    first, started, ended, outside = section.unit.accepted, section.unit.started, section.unit.ended, section.outside.site

    def put(site: str, name: str, seconds: Floats) -> None:
        times[site] = times[site].model_copy(
            update={name: Empirical(dist="empirical", values=np.maximum(seconds, 0.0).tolist())}
        )

    chance = np.linspace(0.002, 0.998, 101)
    start, end = windows.start.quantiles(chance), windows.end.quantiles(chance)
    hold = float(times[outside].hold.quantile(np.zeros(1))[0])
    if in_lock:
        # Lost once the write commits after the started unit has read: first.prepare + hold < offset + outside.prepare + hold.
        lag = float(times[outside].prepare.quantile(np.zeros(1))[0])
        put(first, "prepare", start + lag)
    else:
        # Lost once it commits after the first site has read, which that does on arrival: 0 < offset + outside.prepare + hold.
        lag = max(0.0, -windows.start.mean() - hold)
        put(outside, "prepare", -start - hold)
    # Kept once it queues after the last write-back has.
    before = float(times[first].prepare.quantile(np.full(1, 0.5))[0]) + hold
    if lasts:
        put(started, "prepare", np.array([FIRST_WRITE]))
        put(ended, "after", end + lag - before - FIRST_WRITE - hold)
    else:
        put(started, "prepare", end + lag - before)
    return workload.model_copy(update={"times": times})


def race(workload: Workload, case: Case, rule: str, lasts: bool, offset: Floats, seed: int) -> dict[str, Bools]:
    """Field -> (n,) whether the written value is gone at the end, in one race at each of the offsets (seconds).

    Raises:
        InputError: the case has no section `races`, or the workload has not the traffic that it names.
    """
    section = section_of(case, workload.workload)
    begin = SPACING * (1 + np.arange(offset.size))
    names = (section.unit.lasting if lasts else section.unit.flow, section.outside.flow)
    if missing := [name for name in names if name not in workload.traffic]:
        raise InputError(f"{workload.workload}: traffic.{missing[0]} is not there, which case {case.name} names under 'races'")
    traffic_of = {
        name: workload.traffic[name].model_copy(update={"arrivals": Recorded(kind="recorded", times=times.tolist())})
        for name, times in zip(names, (begin, begin + offset), strict=True)
    }
    directed = workload.model_copy(
        update={
            "traffic": traffic_of,
            "duration": SPACING * (offset.size + 2),
            "sessions": workload.sessions.model_copy(update={"count": offset.size}),
        }
    )
    traffic = draw(directed, case, seed, 0)
    # Flows come in order of arrival, two to a race, and each race has its own session.
    traffic = replace(traffic, session=np.repeat(np.arange(offset.size), 2))
    strategy = case.strategy(rule)
    timeline = simulate(directed, case, traffic, strategy.discipline)
    entries = replay_strategy(case, strategy, timeline).entries
    written = np.flatnonzero(timeline.site == case.sites.index(section.outside.site))
    written = written[np.argsort(timeline.session[written])]
    newest = np.zeros(offset.size, dtype=np.int64)
    newest[timeline.session] = np.arange(len(timeline))  # the last row of each session wins
    return {
        field: entries[newest, case.fields.index(field)] != timeline.request[written, case.request.index(field)]
        for field in section.lost
    }


def validate_races(path: Path, case: Case, replicates: int = 200, seed: int = 1) -> tuple[list[Condition], Windows | None]:
    """Fit the windows on every other trial, and compare predicted and observed losses on the rest.

    Where a build never loses a field there is no window to fit: the times of the shipped workload stand.

    Raises:
        InputError: the file is no recording of races or has too few, or the case says nothing of races.
    """
    section, trials = section_of(case, str(path)), read_trials(path, case)
    if trials.offset.size < 2 * BINS:
        raise InputError(f"{path}: {trials.offset.size} trials with {section.outside.ok}; allowed: {2 * BINS} or more")
    windows, held_out = fit_windows(trials.every_other(0)), trials.every_other(1)
    in_lock = section.unit.accepted in case.strategy(trials.rule).in_lock
    workload = race_workload(section, windows, trials.lasts, in_lock) if windows else load_workload(section.workload)
    lost = race(workload, case, trials.rule, trials.lasts, np.tile(held_out.offset, replicates), seed)
    conditions = []
    for field in section.lost:
        simulated = lost[field].reshape(replicates, -1)
        for rows in np.array_split(np.arange(held_out.offset.size), BINS):
            counts = simulated[:, rows].sum(axis=1)
            seen = int(held_out.lost[field][rows].sum())
            low, high = np.quantile(counts, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation")
            ends = f"{1e3 * held_out.offset[rows[0]]:.0f} to {1e3 * held_out.offset[rows[-1]]:.0f} ms"
            n = rows.size
            chance = float(counts.mean()) / n
            conditions.append(
                Condition(trials.source, trials.rule, f"lost.{field}, {ends}", seen / n, chance, low / n, high / n,
                          bool(low <= seen <= high), n, chance * (1 - chance) / n)
            )  # fmt: skip
    return conditions, windows
