"""Numbers as people read them: each function against a table of values and their texts, written by hand."""

import math

import numpy as np
import pytest

from simlib.estimate.intervals import Difference, Mean, Rate
from simlib.estimate.wording import listed, milliseconds, percent, points, rate_text, seconds, span

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (NAN, "n/a"),
        (0.0, "0 %"),
        (1.0, "100.0 %"),
        (0.3130, "31.3 %"),
        (0.0995, "9.95 %"),
        (0.01, "1.00 %"),
        (0.00996, "0.996 %"),  # three digits from 0.995 % on, so that 0.996 % and 1.00 % are as exact
        (0.00995, "0.995 %"),
        (0.0099, "0.99 %"),
        (0.001, "0.10 %"),
        (0.00052, "0.052 %"),
        (0.0000052, "0.00052 %"),
        (-0.25, "−25.0 %"),
        (-0.00052, "−0.052 %"),
    ],
)
def test_a_share_has_three_digits_from_one_per_cent_on_and_two_below(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("difference", "text"), [(0.02, "+2.00 pp"), (-0.02, "−2.00 pp"), (0.0, "0 pp"), (NAN, "n/a")])
def test_a_difference_says_its_sign_and_is_in_percentage_points(difference: float, text: str) -> None:
    assert points(difference) == text


def test_an_interval_says_its_unit_once() -> None:
    assert span(0.1, 0.25) == "10.0 to 25.0 %"
    assert span(-0.1, 0.25, points) == "−10.0 to +25.0 pp"
    assert span(0.001, 1.5, milliseconds) == "1.0 ms to 1,500 ms"


@pytest.mark.parametrize(
    ("value", "text"),
    [(NAN, "n/a"), (0, "0.0 ms"), (0.00123, "1.2 ms"), (0.0999, "99.9 ms"), (0.09995, "100 ms"), (12.3456, "12,346 ms")],
)
def test_milliseconds_have_a_decimal_below_a_hundred(value: float, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAN, "n/a"),
        (INF, "to the end"),
        (0.5, "500 ms"),
        (0.999, "999 ms"),
        (1.0, "1.0 s"),
        (99.94, "99.9 s"),
        (100, "2 min"),
        (600, "10 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (86400, "24.0 h"),
    ],
)
def test_a_time_is_in_the_unit_that_reads_best(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("names", "text"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_names_are_listed_as_one_says_them(names: str, text: str) -> None:
    assert "".join(listed(list(names))) == text


def test_one_name_is_itself() -> None:
    assert "".join(listed(["handler"])) == "handler"
    assert listed(["handler", "patch"]) == "handler and patch"


def rate(*counts: tuple[float, float]) -> Rate:
    return Rate(*np.array(counts, dtype=float).T)


def test_a_rate_is_said_with_its_interval_and_a_zero_with_its_bound() -> None:
    some, none, one = rate((10, 100), (20, 100)), rate((0, 100), (0, 200)), rate((1, 4))
    low, high = some.interval()  # type: ignore[misc]
    assert rate_text(some) == f"15.0 % ({percent(low)[:-2]} to {percent(high)})"
    assert rate_text(none) == "0 (at most 0.99 %)"  # 1 - 0.05^(1/300)
    assert rate_text(one) == "25.0 %"  # one replicate: no interval
    assert rate_text(rate((0, 0), (0, 0))) == "n/a"


def test_a_difference_is_said_with_its_interval_also_where_it_is_zero() -> None:
    none, one = rate((0, 100), (0, 200)), rate((1, 4))
    assert rate_text(Difference(none, none)) == "0 pp (−0.99 to +0.99 pp)"
    assert rate_text(Difference(one, rate((2, 4)))) == "−25.0 pp"


def test_a_mean_of_zero_with_an_interval_is_bounded_like_a_rate() -> None:
    assert rate_text(Mean(np.zeros(3), np.ones(3))) == "0 (at most 0 %)"
