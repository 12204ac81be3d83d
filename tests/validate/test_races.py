"""Races: fitted edges against those that made the trials, and predicted losses against trials held out and written by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from schedules import CASE
from scipy import stats

from simlib.calibrate.source import kind_of
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.validate.races import (
    FIRST_WRITE,
    Edge,
    Trials,
    Windows,
    fit_windows,
    race,
    race_workload,
    read_trials,
    section_of,
    validate_races,
)
from simlib.workload.workload import load_workload

SECTION = section_of(CASE, "races")
RACES = sorted(path for path in (DATA / "recordings").glob("gateway-*.json") if kind_of(path) == "races")


@pytest.mark.parametrize("path", RACES, ids=[path.stem for path in RACES])
def test_predicted_losses_against_the_trials_held_out_of_the_fit(path: Path) -> None:
    conditions, windows = validate_races(path, CASE, replicates=40)
    # 20 ranges, each inside with a probability of 95 % or more: fewer than 16 once in 400 times, at most.
    assert sum(condition.inside for condition in conditions) >= 16
    assert (windows is None) == ("2026.9.6" in str(path))


@pytest.mark.parametrize("rule", SECTION.builds.values())
@pytest.mark.parametrize("lasts", [False, True])
def test_races_outside_and_inside_the_window_against_the_issues_account(rule: str, lasts: bool) -> None:
    recording = DATA / "recordings" / ("gateway-run-2026.4.22.json" if lasts else "gateway-2026.4.22.json")
    windows = fit_windows(read_trials(recording, CASE))
    assert windows is not None
    workload = race_workload(SECTION, windows, lasts, in_lock=rule == "in-mutator")
    lost = race(workload, CASE, rule, lasts, np.array([-0.5, 0.08, 9.0]), seed=1)
    stale = rule != "all-sites"
    assert lost["label"].tolist() == [False, stale, False]
    assert lost["thinkingLevel"].tolist() == [False, rule == "before-19328", False]


# ---- trials ------------------------------------------------------------------------------------------------------------------

UNIT, OUTSIDE = SECTION.unit.sent, SECTION.outside.sent
BUILD = next(iter(SECTION.builds))


def recorded(folder: Path, trials: list[dict[str, object]], version: str = BUILD) -> Path:
    path = folder / "gateway-x.json"
    path.write_text(json.dumps({"version": version, "trials": trials}))
    return path


def trial(offset: float, *lost: bool, ok: bool = True) -> dict[str, object]:
    """A trial whose outside write was sent `offset` milliseconds after the unit's request."""
    return {
        UNIT: 1000.0,
        OUTSIDE: 1000.0 + offset,
        SECTION.outside.ok: ok,
        **dict(zip(SECTION.lost.values(), lost, strict=True)),
    }


def test_trials_are_read_by_offset_in_seconds_without_those_whose_write_failed(tmp_path: Path) -> None:
    trials = [trial(30, True, False), trial(-5, False, True), trial(10, True, True, ok=False)]
    found = read_trials(recorded(tmp_path, trials), CASE)
    assert (found.source, found.build, found.rule, found.lasts) == ("gateway-x", BUILD, SECTION.builds[BUILD], False)
    assert found.offset == pytest.approx([-0.005, 0.03])
    assert [found.lost[field].tolist() for field in SECTION.lost] == [[False, True], [True, False]]


@pytest.mark.parametrize(("longest", "lasts"), [(999.0, False), (1000.0, False), (1001.0, True)])
def test_a_unit_lasts_if_writes_were_sent_more_than_a_second_after_it(longest: float, lasts: bool, tmp_path: Path) -> None:
    trials = [trial(0, False, False), trial(longest, False, False)]
    assert read_trials(recorded(tmp_path, trials), CASE).lasts == lasts


def test_every_other_trial_and_the_rest_are_all_trials_once() -> None:
    trials = Trials("s", "b", "r", False, np.arange(5.0), {"label": np.array([True, False, True, False, True])})
    halves = [trials.every_other(first) for first in (0, 1)]
    assert [half.offset.tolist() for half in halves] == [[0, 2, 4], [1, 3]]
    assert [half.lost["label"].tolist() for half in halves] == [[True] * 3, [False] * 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a recording of races"),
        ('{"version": "x"}', "needed: version, a text, and trials, a list"),
        ('{"version": "1.0", "trials": []}', "version '1.0' ships no strategy that is known; allowed"),
    ],
)
def test_what_is_no_recording_of_races_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=says):
        read_trials(tmp_path / "x.json", CASE)
    with pytest.raises(InputError, match="cannot be read"):
        read_trials(tmp_path / "none.json", CASE)


# ---- edges -------------------------------------------------------------------------------------------------------------------


def normal_edge(rng: np.random.Generator) -> Edge:
    """An edge whose middle is known like a normal variable of mean 0.1 and deviation 0.02, its grid in no order."""
    middle = rng.permutation(np.linspace(0.0, 0.2, 2001))
    weight = stats.norm.pdf(middle, 0.1, 0.02)
    return Edge(middle, np.full(middle.size, 1e-4), weight / weight.sum())


def test_where_an_edge_is_against_the_normal_distribution_that_its_weights_are_of() -> None:
    edge = normal_edge(np.random.default_rng(1))
    assert edge.interval() == pytest.approx((0.1 - 1.96 * 0.02, 0.1 + 1.96 * 0.02), abs=2e-4)
    assert edge.interval(0.5) == pytest.approx((0.1 - 0.6745 * 0.02, 0.1 + 0.6745 * 0.02), abs=2e-4)
    assert edge.mean() == pytest.approx(0.1, abs=1e-6)
    # The scale is next to nothing: one more edge is spread as the middle is.
    chance = np.array([0.05, 0.5, 0.8])
    assert edge.quantiles(chance) == pytest.approx(stats.norm.ppf(chance, 0.1, 0.02), abs=3e-4)


def test_one_more_edge_against_the_logistic_distribution_where_nothing_is_uncertain() -> None:
    edge = Edge(np.array([0.1]), np.array([0.02]), np.array([1.0]))
    chance = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    assert edge.quantiles(chance) == pytest.approx(stats.logistic.ppf(chance, 0.1, 0.02), abs=1e-9)


def made(rng: np.random.Generator, start: float, end: float, scale: float, count: int = 600) -> Trials:
    """Trials lost between two edges, each trial having edges of its own."""
    offset = np.sort(rng.uniform(-0.1, 0.5, count))
    lost = (offset > rng.logistic(start, scale, count)) & (offset < rng.logistic(end, scale, count))
    return Trials("s", "b", "r", False, offset, {"label": lost})


def test_fitted_windows_against_those_that_made_the_trials() -> None:
    within = 0
    for seed in range(10):
        windows = fit_windows(made(np.random.default_rng(seed), 0.02, 0.3, 0.01))
        assert windows is not None
        for edge, truth in ((windows.start, 0.02), (windows.end, 0.3)):
            low, high = edge.interval()
            within += low <= truth <= high
            assert low < edge.mean() < high
            assert high - low < 0.02  # 600 trials over 0.6 s, of which some 40 are near an edge of scale 0.01
            assert edge.weight.sum() == pytest.approx(1.0)
            assert edge.weight @ np.log(edge.scale) == pytest.approx(np.log(0.01), abs=1.0)
    assert within >= 16  # of 20, each with a probability of 95 %: fewer once in 400 times


def test_an_edge_may_lie_beyond_the_trials() -> None:
    windows = fit_windows(Trials("s", "b", "r", False, np.linspace(0.0, 1.0, 100), {"label": np.ones(100, dtype=np.bool_)}))
    assert windows is not None
    assert windows.start.interval()[0] < 0.0
    assert windows.end.interval()[1] > 1.0


def test_an_edge_may_be_as_wide_as_a_tenth_of_a_second() -> None:
    offset = np.linspace(-1.0, 1.0, 2000)
    lost = offset > np.random.default_rng(1).logistic(0.0, 0.09, offset.size)
    windows = fit_windows(Trials("s", "b", "r", False, offset, {"label": lost}))
    assert windows is not None
    assert windows.start.weight @ windows.start.scale == pytest.approx(0.09, rel=0.15)


def test_trials_that_are_hardly_ever_lost_have_no_window() -> None:
    trials = made(np.random.default_rng(1), 0.02, 0.3, 0.01)
    for count in (2, 3):
        lost = np.zeros(trials.offset.size, dtype=np.bool_)
        lost[300 : 300 + count] = True
        assert (fit_windows(replace(trials, lost={"label": lost})) is None) == (count < 3)


# ---- prediction --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("in_lock", [False, True])
def test_the_model_loses_as_often_as_the_window_that_was_put_into_it(lasts: bool, in_lock: bool) -> None:
    windows = fit_windows(made(np.random.default_rng(3), 0.03 if in_lock else -0.03, 0.35, 0.004))
    assert windows is not None
    rule = "in-mutator" if in_lock else "after-19328"
    workload = race_workload(SECTION, windows, lasts, in_lock)
    middle = [windows.start.mean(), windows.end.mean()]
    offset = np.repeat([middle[0] - 0.06, middle[0], sum(middle) / 2, middle[1], middle[1] + 0.06], 200)
    lost = race(workload, CASE, rule, lasts, offset, seed=1)["label"].reshape(5, 200).mean(axis=1)
    assert (lost[0], lost[2], lost[4]) == (0.0, 1.0, 0.0)
    # At an edge's middle a race is as likely lost as kept; 200 of them have a standard error of 0.035.
    assert abs(lost[1] - 0.5) < 4 * 0.035 + 0.05
    assert abs(lost[3] - 0.5) < 4 * 0.035 + 0.05


def sharp(middle: float) -> Edge:
    """An edge that is known, and the same for all trials."""
    return Edge(np.array([middle]), np.array([1e-6]), np.array([1.0]))


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("rule", ["after-19328", "in-mutator"])
def test_a_write_is_lost_from_the_very_start_of_the_window_to_its_very_end(rule: str, lasts: bool) -> None:
    in_lock = rule == "in-mutator"
    for start, end in ((0.03, 0.35), (0.06, 0.5)) if in_lock else ((-0.03, 0.35), (-0.0, 0.5)):
        workload = race_workload(SECTION, Windows(sharp(start), sharp(end)), lasts, in_lock)
        # A first site that reads on arrival misses whatever comes after it, so that window cannot begin after 0.
        beyond = start - 0.0002 if in_lock or start else -0.0018
        offset = np.array([-0.5, beyond, start + 0.0002, 0.2, end - 0.0002, end + 0.0002, 9.0])
        lost = race(workload, CASE, rule, lasts, offset, seed=1)["label"]
        assert lost.tolist() == [False, False, True, True, True, False, False]


def test_the_times_that_a_window_becomes_by_hand() -> None:
    def median(site: str, name: str) -> float:
        return float(getattr(workload.times[site], name).quantile(np.full(1, 0.5))[0])

    hold, prepare = 0.0015, 0.001  # of each site, and of the handler
    workload = race_workload(SECTION, Windows(sharp(-0.03), sharp(0.5)), lasts=True, in_lock=False)
    assert median("patch", "prepare") == pytest.approx(0.03 - hold, abs=1e-4)
    assert median("handler", "prepare") == prepare
    assert median("run_start", "prepare") == FIRST_WRITE
    between = 0.5 + 0.03 - hold - prepare - hold
    assert median("run_end", "after") == pytest.approx(between - FIRST_WRITE - hold, abs=1e-4)
    workload = race_workload(SECTION, Windows(sharp(-0.03), sharp(0.5)), lasts=False, in_lock=False)
    assert median("run_start", "prepare") == pytest.approx(between, abs=1e-4)
    workload = race_workload(SECTION, Windows(sharp(0.03), sharp(0.5)), lasts=False, in_lock=True)
    assert median("handler", "prepare") == pytest.approx(0.03 + median("patch", "prepare"), abs=1e-4)
    assert median("run_start", "prepare") == pytest.approx(0.5 - 0.03 - hold, abs=1e-4)


def test_times_that_vary_count_from_their_least(tmp_path: Path) -> None:
    shipped = (DATA / "workloads" / f"{SECTION.workload}.yaml").read_text(encoding="utf-8")
    quick_or_slow = (
        "patch: {prepare: {dist: empirical, values: [0.002, 0.008]}, hold: {dist: empirical, values: [0.001, 0.009]}}"
    )
    (tmp_path / "w.yaml").write_text(shipped.replace("patch: {prepare: 0.0005, hold: 0.0015}", quick_or_slow), encoding="utf-8")
    section = SECTION.model_copy(update={"workload": str(tmp_path / "w.yaml")})

    def least(site: str, in_lock: bool) -> float:
        windows = Windows(sharp(0.03 if in_lock else -0.03), sharp(0.5))
        times = race_workload(section, windows, lasts=False, in_lock=in_lock).times
        return float(times[site].prepare.quantile(np.full(1, 0.5))[0])

    assert least("patch", in_lock=False) == pytest.approx(0.03 - 0.001, abs=1e-4)
    assert least("handler", in_lock=True) == pytest.approx(0.03 + 0.002, abs=1e-4)


def test_a_workload_without_the_sections_traffic_is_refused() -> None:
    with pytest.raises(InputError, match=r"handler-only: traffic\.\S+ is not there"):
        race(load_workload("handler-only"), CASE, "after-19328", True, np.array([0.0]), 1)


def test_two_hundred_replicates_with_the_seed_one_are_usual(tmp_path: Path) -> None:
    path = recorded(tmp_path, [trial(ms, 0 < ms < 50, False) for ms in np.linspace(-99, 100, 120).tolist()])
    usual = validate_races(path, CASE)[0]
    assert usual == validate_races(path, CASE, replicates=200, seed=1)[0]
    assert usual != validate_races(path, CASE, replicates=200, seed=2)[0]


def test_conditions_count_the_held_out_trials_and_their_losses(tmp_path: Path) -> None:
    # 120 trials, lost from 0 to 50 ms; the odd ones are held out, in ten ranges of six.
    offsets = np.linspace(-99, 100, 120)
    path = recorded(tmp_path, [trial(ms, 0 < ms < 50, False) for ms in offsets.tolist()])
    conditions, _ = validate_races(path, CASE, replicates=20)
    held_out = offsets[1::2]
    for field, number in zip(SECTION.lost, (0, 1), strict=True):
        rows = [row for row in conditions if row.figure.startswith(f"lost.{field}, ")]
        assert [row.n for row in rows] == [6] * 10
        for row, ms in zip(rows, held_out.reshape(10, 6), strict=True):
            assert row.figure.endswith(f", {ms[0]:.0f} to {ms[-1]:.0f} ms")
            assert row.observed == pytest.approx(((ms > 0) & (ms < 50)).mean() if number == 0 else 0.0)
            assert row.low <= row.predicted + 1 / 6
            assert row.predicted <= row.high + 1 / 6
            assert row.inside == (row.low <= row.observed <= row.high)
            assert row.variance == pytest.approx(row.predicted * (1 - row.predicted) / 6)
            assert (row.source, row.rule) == ("gateway-x", SECTION.builds[BUILD])


# ---- what a stranger may have put in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({SECTION.unit.sent: None}, f"trials.1: {UNIT}: None is not a number"),
        ({SECTION.unit.sent: True}, f"trials.1: {UNIT}: True is not a number"),
        ({SECTION.unit.sent: [1]}, f"trials.1: {UNIT}: \\[1\\] is not a number"),
        ({SECTION.unit.sent: float("nan")}, "NaN is no number there"),
        ({SECTION.unit.sent: 1e300}, "allowed: -5 to 5 s"),
        ({SECTION.outside.sent: 7000.0}, "offsets of 0 to 6 s; allowed: -5 to 5 s"),
        ({SECTION.outside.ok: "yes"}, f"trials.1: {SECTION.outside.ok}: 'yes' is not true or false"),
        ({SECTION.outside.ok: 1}, f"trials.1: {SECTION.outside.ok}: 1 is not true or false"),
    ],
)
def test_a_trial_with_a_value_that_cannot_be_is_refused_by_its_number(change: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        read_trials(recorded(tmp_path, [trial(0, False, False), trial(1, False, False) | change]), CASE)


def test_a_trial_without_a_key_or_that_is_no_object_is_refused_by_its_number(tmp_path: Path) -> None:
    one = trial(0, False, False)
    for key in one:
        with pytest.raises(InputError, match=f"trials.0: no '{key}'; needed: "):
            read_trials(recorded(tmp_path, [{name: value for name, value in one.items() if name != key}]), CASE)
    with pytest.raises(InputError, match=r"trials.0: 7 is not an object"):
        read_trials(recorded(tmp_path, [7]), CASE)  # type: ignore[list-item]


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_trials_are_refused(count: int, tmp_path: Path) -> None:
    path = recorded(tmp_path, [trial(number, False, False) for number in range(count)])
    with pytest.raises(InputError, match=r"20 trials or more|allowed: 20 or more"):
        validate_races(path, CASE, replicates=2)


def test_a_window_without_a_trial_before_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trial before 0 ms, where writes are lost"):
        validate_races(recorded(tmp_path, [trial(0, True, False)] * 40), CASE, replicates=2)


@pytest.mark.parametrize(("text", "says"), [("[" * 100_000, "nested too deeply"), ("9" * 5000, "5,000 characters")])
def test_json_without_end_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_trials(path, CASE)
