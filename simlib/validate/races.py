"""The gateway races: one agent request against one `sessions.patch`, as measured on real gateways, and as the model has it.

A recording `gateway-<build>.json` holds trials: a new session with a label, an agent request, and a patch of `label` and
`thinkingLevel` sent `offset` after it; lost is what a settle time later is not in the store. The patch is lost from the
offset on at which it misses the snapshot that a write-back carries, until the one at which it comes after the last write-back.
Both edges are fitted to half of the trials and put into the workload `gateway-race`; the model then predicts the other half.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from simlib.case.case import Case
from simlib.common.arrays import Bools, Floats
from simlib.common.errors import InputError
from simlib.model.compiled_model import simulate
from simlib.replay.replay import replay_strategy
from simlib.validate.predict import LEVEL
from simlib.validate.scores import Condition
from simlib.workload.distributions import Empirical
from simlib.workload.traffic import draw
from simlib.workload.workload import Recorded, Workload, load_workload

BUILDS = {"2026.4.22": "before-19328", "2026.6.11": "in-mutator", "2026.9.6": "all-sites"}
"""Build -> the strategy that it ships."""
FIELDS = {"label": "label_lost", "thinkingLevel": "thinking_level_lost"}
BINS = 10
"""Ranges of the offset, with as many held-out trials each, in which predicted and observed losses are compared."""
RUN_START = 0.1
"""Seconds until a run that lasts writes for the first time. The trials do not tell; what it writes then, it writes again."""
SPACING = 10.0
"""Seconds between the model's races, far more than one lasts."""


@dataclass(frozen=True)
class Trials:
    """The trials of one recording, by offset.

    Attributes:
        source, build, rule: file name, build, and the strategy it ships.
        runs: whether the agent's run lasts (and writes back at its end), or fails at once.
        offset: (n,) seconds from sending the agent request to sending the patch, ascending.
        lost: field -> (n,) whether the patched value was gone.
    """

    source: str
    build: str
    rule: str
    runs: bool
    offset: Floats
    lost: Mapping[str, Bools]

    def every_other(self, first: int) -> "Trials":
        """The trials `first`, `first` + 2, ...: half of them, over the whole range of offsets."""
        return replace(self, offset=self.offset[first::2], lost={field: lost[first::2] for field, lost in self.lost.items()})


def read_trials(path: Path) -> Trials:
    """The trials of a recording `gateway-<build>.json` or `gateway-run-<build>.json`.

    Raises:
        InputError: the file cannot be read, is none, or is of a build whose strategy is not known.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        trials = sorted(
            (trial for trial in data["trials"] if trial["patch_ok"]),
            key=lambda trial: trial["patch_sent_ms"] - trial["agent_sent_ms"],
        )
        offset = np.array([trial["patch_sent_ms"] - trial["agent_sent_ms"] for trial in trials], dtype=np.float64) / 1000
        lost = {field: np.array([trial[key] for trial in trials], dtype=np.bool_) for field, key in FIELDS.items()}
        build = str(data["version"])
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a recording of gateway races: {error!r}") from None
    if build not in BUILDS:
        raise InputError(f"{path}: version '{build}' ships no strategy that is known; allowed: {', '.join(BUILDS)}")
    return Trials(path.name.removesuffix(".json"), build, BUILDS[build], bool(offset.max() > 1.0), offset, lost)


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
    """From which offset on a patch is lost, and until which."""

    start: Edge
    end: Edge


def fit_windows(trials: Trials, field: str = "label") -> Windows | None:
    """The edges of the window in which `field` is lost; None if it hardly ever was."""
    lost = trials.lost[field]
    if lost.sum() < 3:
        return None
    middle = float(np.median(trials.offset[lost]))
    early = trials.offset < middle
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


def race_workload(windows: Windows, runs: bool, in_lock: bool) -> Workload:
    """The workload `gateway-race` with the fitted times. `in_lock`: the handler has no snapshot; the run's is the first."""
    workload = load_workload("gateway-race")
    times = dict(workload.times)

    def put(site: str, name: str, seconds: Floats) -> None:
        times[site] = times[site].model_copy(
            update={name: Empirical(dist="empirical", values=np.maximum(seconds, 0.0).tolist())}
        )

    chance = np.linspace(0.002, 0.998, 101)
    start, end = windows.start.quantiles(chance), windows.end.quantiles(chance)
    hold = float(times["patch"].hold.quantile(np.zeros(1))[0])
    if in_lock:
        # Lost once the patch commits after the run has read: handler.prepare + hold < offset + patch.prepare + hold.
        lag = float(times["patch"].prepare.quantile(np.zeros(1))[0])
        put("handler", "prepare", start + lag)
    else:
        # Lost once it commits after the handler has read, which that does when it arrives: 0 < offset + patch.prepare + hold.
        lag = max(0.0, -windows.start.mean() - hold)
        put("patch", "prepare", -start - hold)
    # Kept once it queues after the last write-back has.
    before = float(times["handler"].prepare.quantile(np.full(1, 0.5))[0]) + hold
    if runs:
        put("run_start", "prepare", np.array([RUN_START]))
        put("run_end", "after", end + lag - before - RUN_START - hold)
    else:
        put("run_start", "prepare", end + lag - before)
    return workload.model_copy(update={"times": times})


def race(workload: Workload, case: Case, rule: str, runs: bool, offset: Floats, seed: int) -> dict[str, Bools]:
    """Field -> (n,) whether the patched value is gone at the end, in one race at each of the offsets (seconds)."""
    begin = SPACING * (1 + np.arange(offset.size))
    names = ("run" if runs else "turn", "patch")
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
    timeline = simulate(directed, case, traffic, strategy.in_lock)
    entries = replay_strategy(case, strategy, timeline).entries
    patched = np.flatnonzero(timeline.site == case.sites.index("patch"))
    patched = patched[np.argsort(timeline.session[patched])]
    newest = np.zeros(offset.size, dtype=np.int64)
    newest[timeline.session] = np.arange(len(timeline))  # the last row of each session wins
    return {
        field: entries[newest, case.fields.index(field)] != timeline.request[patched, case.request.index(field)]
        for field in FIELDS
    }


def validate_races(path: Path, case: Case, replicates: int = 200, seed: int = 1) -> tuple[list[Condition], Windows | None]:
    """Fit the windows on every other trial, and compare predicted and observed losses on the rest.

    Where a build never loses a field there is no window to fit: the times of the shipped workload stand.

    Raises:
        InputError: the file is no recording of races.
    """
    trials = read_trials(path)
    windows, held_out = fit_windows(trials.every_other(0)), trials.every_other(1)
    in_lock = "handler" in case.strategy(trials.rule).in_lock
    workload = race_workload(windows, trials.runs, in_lock) if windows else load_workload("gateway-race")
    lost = race(workload, case, trials.rule, trials.runs, np.tile(held_out.offset, replicates), seed)
    conditions = []
    for field in FIELDS:
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
