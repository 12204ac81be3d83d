"""Scores of predictions against their definitions by hand, and against predictions with a known error."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from simlib.validate.scores import GOAL_COVERAGE, GOAL_RMSE, Condition, Score, Validation, conditions_frame, pp, validation_json


def condition(
    observed: float,
    predicted: float,
    variance: float = 0.0,
    n: int = 1000,
    *,
    inside: bool = True,
    figure: str = "clobber_rate",
    driven: float | None = None,
) -> Condition:
    return Condition("s, odd half", "r", figure, observed, predicted, 0.0, 2 * predicted, inside, n, variance, driven)


def test_a_score_against_its_definition_by_hand() -> None:
    score = Score.of([condition(0.02, 0.05, 0.0001), condition(0.03, 0.02, 0.0001, inside=False)], timelines=2)
    assert (score.raw, score.noise) == pytest.approx((np.sqrt(0.0005), 0.01))
    assert score.error == pytest.approx(0.02)
    assert score.hidden == pytest.approx(np.sqrt(0.0004 + 1.645 * 0.0001))
    assert (score.inside, score.figures) == (1, 2)


def test_units_of_work_weigh_alike_in_a_score() -> None:
    # 300 units that are off by 2 points, 100 that are off by none, the noise of each taken off: (3 x 3e-4 + 1 x -4e-4) / 4.
    rows = [condition(0.02, 0.04, 0.0001, n=300), condition(0.02, 0.02, 0.0004, n=100)]
    score = Score.of(rows, timelines=8)
    assert Validation(tuple(rows)).rmse == pytest.approx(np.sqrt(1.25e-4))
    assert score.raw == pytest.approx(np.sqrt(3e-4))
    assert score.noise == pytest.approx(np.sqrt(1.75e-4))
    assert score.hidden == pytest.approx(np.sqrt(1.25e-4 + 1.645 * 1.75e-4 / 2))


def test_noise_alone_is_no_error_but_could_hide_one() -> None:
    score = Score.of([condition(0.02, 0.02, 0.0001)], timelines=1)
    assert (score.raw, score.error) == (0.0, 0.0)
    assert score.hidden == pytest.approx(np.sqrt(1.645 * 0.0001 * np.sqrt(2)))


def test_a_score_of_predictions_with_a_known_error_against_that_error() -> None:
    # 400 predictions, off by 1 point each, of observations with a noise of 0.5 points: the noise must come off.
    noise = np.random.default_rng(3).normal(0, 0.005, 400)
    score = Score.of([condition(0.05 + error, 0.06, 0.005**2) for error in noise], timelines=400)
    # The mean of squares of (1 + noise) points has a standard error of about 2 x 1 x 0.5 / 20 = 0.05 square points.
    assert abs(score.error**2 - 0.01**2) < 4 * 0.05e-4


def test_the_error_of_the_driven_model_by_hand() -> None:
    rows = [condition(0.02, 0.9, 0.1, n=300, driven=0.04), condition(0.02, 0.9, n=100, driven=0.02), condition(0.5, 0.9)]
    assert Validation(tuple(rows)).driven_rmse == pytest.approx(np.sqrt(3e-4))


def test_the_headline_is_clobber_rates_and_losses_in_races_and_the_coverage_is_of_all() -> None:
    rows = [
        condition(0.1, 0.1, figure=figure, inside=figure != "lock_wait.p50")
        for figure in ("clobber_rate", "clobber_rate.label", "lost_write_rate", "lost.label, 0 to 5 ms", "lock_wait.p50")
    ]
    validation = Validation(tuple(rows))
    assert [row.figure for row in validation.conditions] == ["clobber_rate", "lost.label, 0 to 5 ms"]
    assert validation.coverage == 0.8
    document = validation_json(validation)
    assert [row["figure"] for row in document["conditions"]] == ["clobber_rate", "lost.label, 0 to 5 ms"]
    assert [row["figure"] for row in document["figures"]] == ["clobber_rate.label", "lost_write_rate", "lock_wait.p50"]


def test_json_has_the_attributes_of_each_condition_and_null_for_what_is_not_known() -> None:
    row = condition(0.02, 0.05, 0.0001, driven=0.03)
    document = validation_json(Validation((row, replace(row, driven=None))))
    assert document["conditions"][0] == {
        "source": "s, odd half", "rule": "r", "figure": "clobber_rate", "observed": 0.02, "predicted": 0.05, "low": 0.0,
        "high": 0.1, "inside": True, "n": 1000, "driven": 0.03,
    }  # fmt: skip
    assert document["conditions"][1]["driven"] is None
    assert document["rmse"] == pytest.approx(np.sqrt(0.0009 - 0.0001))
    nothing = validation_json(Validation(()))
    assert nothing == {"conditions": [], "figures": [], "rmse": None, "coverage": None, "driven_rmse": None}
    json.dumps(document, allow_nan=False)


def test_the_frame_has_the_attributes_of_each_condition() -> None:
    frame = conditions_frame([condition(0.02, 0.05, driven=0.03), condition(0.04, 0.06)])
    assert frame["observed"].tolist() == [0.02, 0.04]
    assert frame["driven"].isna().tolist() == [False, True]


def test_the_frame_of_a_validation_by_hand_sums_against_its_json() -> None:
    rows = (
        condition(0.02, 0.05, 0.0001, n=300, driven=0.03),
        condition(0.04, 0.02, 0.0001, n=100, inside=False),
        condition(0.1, 0.3, figure="lock_wait.p50", inside=False),
        condition(0.5, 0.4, figure="lost.label, 0 to 5 ms", n=600),
    )
    validation = Validation(rows)
    frame, document = validation.to_frame(), validation_json(validation)
    headline = frame[frame["headline"]]
    assert frame["headline"].tolist() == [True, True, False, True]
    for name, part in (("conditions", headline), ("figures", frame[~frame["headline"]])):
        assert [row["predicted"] for row in document[name]] == part["predicted"].tolist()
        assert sum(row["n"] for row in document[name]) == part["n"].sum()
    squares = (headline["predicted"] - headline["observed"]) ** 2 - headline["variance"]
    assert document["rmse"] == pytest.approx(math.sqrt((squares * headline["n"]).sum() / headline["n"].sum()))
    assert document["driven_rmse"] == pytest.approx(0.01)
    assert document["coverage"] == frame["inside"].mean() == 0.5


@pytest.mark.parametrize(
    ("error", "variance", "inside", "says", "not_says"),
    [
        (0.03, 1e-8, 10, "That is more than the 0.20 pp aimed at.", "fewer"),
        (0.0, 1e-4, 10, "not that there is none: an error of up to 1.53 pp could hide in it.", "more than"),
        (0.0, 1e-8, 9, "With a noise of 0.01 pp, an error above 0.02 pp would have shown.", "fewer"),
        (0.0, 1e-8, 8, "80.0 % of 10 figures are inside their 95 % interval, fewer than the 90.0 % aimed at.", "more than"),
    ],
)
def test_what_a_score_says(error: float, variance: float, inside: int, says: str, not_says: str) -> None:
    rows = [condition(0.05, 0.05 + error, variance, inside=number < inside) for number in range(10)]
    sentence = Score.of(rows, timelines=1).sentence("testbed")
    assert sentence.startswith(f"**Testbed**: the predicted rates are off by {pp(error)} once")
    assert says in sentence
    assert not_says not in sentence


@pytest.mark.parametrize(("error", "misses"), [(0.5 * GOAL_RMSE, False), (2 * GOAL_RMSE, True)])
def test_a_score_that_misses_the_goal_says_so(error: float, misses: bool) -> None:
    sentence = Score.of([condition(0.05, 0.05 + error)], timelines=1).sentence("x")
    assert ("aimed at" in sentence) == misses
    assert GOAL_COVERAGE < 1


def test_a_score_without_a_rate_is_of_coverage_only() -> None:
    score = Score.of([condition(0.1, 0.1, figure="lock_wait.p50"), condition(0.1, 0.1, figure="x", inside=False)], timelines=2)
    assert math.isnan(score.error)
    assert "no clobber rate to compare; 50.0 % of 2 figures are inside" in score.sentence("x")
    assert Score.of([], timelines=2).figures == 0
    assert math.isnan(Validation(()).rmse)
    assert math.isnan(Validation(()).driven_rmse)
    assert math.isnan(Validation(()).coverage)
