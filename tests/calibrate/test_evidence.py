"""Evidence to workload: against the samples that it was made from, and against evidence written by hand."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from schedules import CASE

from simlib.calibrate.arrivals import fit_arrivals, fit_popularity
from simlib.calibrate.evidence import Evidence, Step, calibrate_evidence, empirical, shapes_of, write_workload
from simlib.common.errors import InputError
from simlib.workload.distributions import Empirical
from simlib.workload.workload import load_workload

# ---- a distribution ----------------------------------------------------------------------------------------------------------


def test_empirical_distribution_against_the_sample_it_is_made_from() -> None:
    sample = np.random.default_rng(1).lognormal(0.0, 1.0, 20_000)
    drawn = Empirical.model_validate(empirical(sample)).quantile((np.arange(100_000) + 0.5) / 100_000)
    error = sample.std() / np.sqrt(sample.size)
    assert abs(drawn.mean() - sample.mean()) < 2 * error  # the median of 20,000 is not the question, its grid of 200 is
    assert np.quantile(drawn, [0.1, 0.5, 0.9, 0.99]) == pytest.approx(np.quantile(sample, [0.1, 0.5, 0.9, 0.99]), rel=0.02)


def values_of(sample: list[float]) -> list[float]:
    found = empirical(np.array(sample))
    assert isinstance(found, dict)
    assert found["dist"] == "empirical"
    return list(found["values"])


def test_few_values_stand_for_themselves_and_one_is_a_constant() -> None:
    assert empirical(np.array([0.25])) == 0.25
    assert empirical(np.array([0.25, 0.25, 0.25])) == 0.25
    assert empirical(np.array([-1e-9, 0.0])) == 0.0  # a time is never negative
    assert values_of([3.0, 1.0]) == [1.0, 3.0]
    assert values_of([5.0, 0.0, 1.0]) == [0.0, 1.0, 5.0]
    assert values_of([1.23456789, 2.0]) == [1.23457, 2.0]
    assert len(values_of(list(np.arange(200.0)))) == len(values_of(list(np.arange(1000.0)))) == 200


def test_the_top_interval_has_the_mean_that_was_seen() -> None:
    # 399 values, of which the grid has every other one: the last interval stands for 396, 397 and an outlier.
    values = values_of([*range(398), 1000.0])
    assert values[:-1] == [float(2 * n) for n in range(199)]
    assert (values[-2] + values[-1]) / 2 == pytest.approx((396 + 397 + 1000) / 3, rel=1e-5)
    # Nothing is longer than what was seen, even if most of the top interval was as long.
    assert values_of([*range(397), 1000.0, 1000.0])[-1] == 1000.0


# ---- a workload --------------------------------------------------------------------------------------------------------------

LABEL = (("label",), ())
SPREAD = {"dist": "empirical", "values": [0.002, 0.004, 0.009]}
EVIDENCE = Evidence(
    source="x.log",
    duration=100.0,
    arrivals={"patch": np.arange(0.5, 100.0), "turn": np.arange(1.0, 100.0, 2.0)},
    steps={
        "patch": [Step("patch", Counter({LABEL: 3, ((), ("label",)): 6, ((), ()): 1}))],
        "turn": [Step("handler"), Step("run_start")],
    },
    sessions={"a": 10, "b": 80, "c": 30},
    values={"label": Counter({"L1": 4, "L2": 4})},
    times={
        "patch": {
            "hold": np.array([0.002, 0.004, 0.009]),
            "prepare": np.array([]),
            "after": {"dist": "constant", "value": 0.5},
        },
        "handler": {"hold": np.array([0.003])},
        "run_start": {"hold": {"dist": "lognormal", "median": 0.01, "sigma": 0.5}},
    },
    store={"release": 0.001},
    assumed=["The weather."],
    seen=["It rained."],
)


def written(**changes: Any) -> dict[str, Any]:
    """The workload's file as data."""
    return dict(yaml.safe_load(calibrate_evidence(replace(EVIDENCE, **changes), CASE).text()))


def test_a_workload_by_hand() -> None:
    assert written() == {
        "workload": "calibrated",
        "about": "calibrated from x.log",
        "case": CASE.name,
        "duration": 100.0,
        "replicates": 24,
        "sessions": {"count": 3, **fit_popularity(np.array([80, 30, 10])).setting()},
        "store": {"release": 0.001},
        "values": {"label": ["L1", "L2"]},
        "traffic": {
            "patch": {
                "rate": 1.0,
                "steps": {"patch": [{"weight": 6.0, "clear": ["label"]}, {"weight": 3.0, "ask": ["label"]}, {"weight": 1.0}]},
            },
            "turn": {"rate": 0.5, "steps": {"handler": [], "run_start": []}},
        },
        "times": {
            "patch": {
                "hold": {"dist": "empirical", "values": [0.002, 0.004, 0.009]},
                "after": {"dist": "constant", "value": 0.5},
            },
            "handler": {"hold": 0.003},
            "run_start": {"hold": {"dist": "lognormal", "median": 0.01, "sigma": 0.5}},
        },
    }


def test_its_comments_by_hand() -> None:
    calibration = calibrate_evidence(replace(EVIDENCE, seen=["It\nrained."]), CASE, "mine")
    lines = calibration.text().splitlines()
    assert lines[:6] == [
        "# mine: calibrated from x.log: 150 requests in 100 s.",
        "# It rained.",  # no line break of a source ends a comment
        "# What the source cannot tell, and what was assumed instead:",
        "# - The weather.",
        "# - Sessions that were never seen: none; the 3 that were are all there are.",
        "workload: mine",
    ]
    assert calibration.assumed == ("The weather.", "Sessions that were never seen: none; the 3 that were are all there are.")
    comments = [line for line in lines if line.startswith("#")]
    assert f"# patch: {fit_arrivals(EVIDENCE.arrivals['patch'], 100.0)}" in comments
    assert f"# {fit_popularity(np.array([80, 30, 10]))}" in comments
    error = np.std([0.002, 0.004, 0.009], ddof=1) / np.sqrt(3)
    assert comments[-1] == f"# patch.hold: 0.005 +/- {error:.2g}, from 3"  # and none of times seen once, or assumed
    # What has a comment stands by itself; the leaves are in flow style.
    assert lines[lines.index("# Seconds of arrivals in one replicate.") - 1] == ""
    assert {"store: {release: 0.001}", "values:", "  label: [L1, L2]"} <= set(lines)


def test_a_value_that_stands_twice_is_written_twice() -> None:
    hold = {"dist": "empirical", "values": [0.1, 0.2, 0.3]}
    found = calibrate_evidence(
        replace(EVIDENCE, times={**EVIDENCE.times, "patch": {"hold": hold}, "handler": {"hold": hold}}), CASE
    )
    assert found.text().count("[0.1, 0.2, 0.3]") == 2


def test_a_workload_that_was_written_is_read_back_equal(tmp_path: Path) -> None:
    calibration = calibrate_evidence(replace(EVIDENCE, source="Grüße.log"), CASE)
    write_workload(calibration, tmp_path / "w.yaml")
    assert load_workload(str(tmp_path / "w.yaml")) == calibration.workload
    assert "Grüße" in (tmp_path / "w.yaml").read_text(encoding="utf-8")


def test_bursts_are_written_as_they_were_fitted() -> None:
    times = np.repeat(np.arange(0.5, 100.0), [9, 0] * 50)
    assert written(arrivals={"patch": times})["traffic"]["patch"]["arrivals"] == fit_arrivals(times, 100.0).setting()


@pytest.mark.parametrize(
    ("seconds", "written_as"), [(0.5, 1.0), (1.0, 1.0), (1.5, 1.5), (123.4567891, 123.457), (3600.5, 3600.0), (1e6, 3600.0)]
)
def test_a_replicate_lasts_as_long_as_the_source_between_a_second_and_an_hour(seconds: float, written_as: float) -> None:
    assert written(duration=seconds, arrivals={"patch": np.array([0.1, 0.3])})["duration"] == written_as


@pytest.mark.parametrize("changes", [{"duration": 0.0}, {"arrivals": {}}, {"arrivals": {"patch": np.array([])}}])
def test_nothing_seen_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^x\.log: nothing to calibrate from: no transaction was seen$"):
        written(**changes)


def test_sessions_that_are_not_named_are_assumed_to_be_ten() -> None:
    found = calibrate_evidence(replace(EVIDENCE, sessions={}, initial=["label"]), CASE)
    assert found.assumed[1:] == ("It names no sessions: 10 sessions, equally popular.",)
    sessions = found.workload.sessions
    assert (sessions.count, sessions.popularity, list(sessions.initial)) == (10, "uniform", ["label"])
    named = written(initial=["label"])["sessions"]
    assert (named["count"], named["initial"]) == (3, ["label"])


@pytest.mark.parametrize(
    ("seen", "drawn_as"),
    [
        ({f"v{n}": 3 for n in range(50)}, [f"v{n}" for n in range(50)]),
        ({f"v{n}": 3 for n in range(51)}, "many"),  # more than anyone will list
        ({"a": 2, "b": 2, "c": 2}, ["a", "b", "c"]),
        ({"a": 2, "b": 2, "c": 1}, "many"),  # more than half of the values are new
        ({"a": 2, "b": 1, "c": 1}, ["a", "b", "c"]),  # of four, that says nothing
        ({"a": 1}, ["a"]),
    ],
)
def test_a_domain_is_the_values_seen_or_many(seen: dict[str, int], drawn_as: Any) -> None:
    assert written(values={"label": Counter(seen)})["values"] == {"label": drawn_as}


def test_a_domain_without_values_is_as_usual_or_of_four() -> None:
    usual = calibrate_evidence(replace(EVIDENCE, values={}, usual={"label": ["x", "y"]}), CASE)
    assert usual.workload.values["label"] == ["x", "y"]
    assert usual.assumed[-1] == "The values of label: ['x', 'y'], equally likely."
    # So are the domains of fields that are there from the start.
    assert written(values={}, initial=["sendPolicy"])["values"] == {"label": 4, "policy": 4}


def test_the_shape_of_a_request_is_what_it_asks_for_and_what_it_clears() -> None:
    assert shapes_of({"to": "x", "label": None, "channel": ""}) == (("channel", "to"), ("label",))
