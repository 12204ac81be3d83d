"""A result against arithmetic in plain Python on totals written by hand; its price and its clobbers a day against theory."""

import json
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from schedules import CASE, FIELDS, SITES

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.intervals import Difference, Mean, Rate
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.totals import fold, total
from simlib.replay.counts import Cost, Tally
from simlib.replay.efforts import Effort
from simlib.replay.histograms import EDGES
from simlib.replay.judging import KINDS
from simlib.workload.workload import load_workload

NAMES = ("before-19328", "after-19328", "all-sites")  # the first two share their timeline
REPLICATES, DURATION = 4, 50.0
THOUSANDS = np.array([1000.0, 1000.0, 1000.0, 1000.0])
CONDITIONAL = {
    "after-19328": Rate(np.array([0.5, 0.25, 0.125, 0.25]), THOUSANDS),
    "all-sites": Rate(np.array([0.25, 0.25, 0.0625, 0.0625]), THOUSANDS),
}


def histogram(counts: Mapping[int, int]) -> np.ndarray:
    """Counts by the number of their bin."""
    return np.array([counts.get(number, 0) for number in range(len(EDGES) - 1)])


def one_tally(random: np.random.Generator) -> Tally:
    """A tally in which no two numbers are the same by rule."""

    def few(*shape: int) -> Any:
        return random.integers(1, 60, shape)

    return Tally(
        units=int(few() + 900), clobbered_units=int(few()), racing_units=int(few()), writes=int(few() + 700), lost=int(few()),
        clobbers=few(len(SITES), len(FIELDS), len(KINDS), 2), transactions=few(len(SITES)) + 800, clobbering=few(len(SITES)),
        noticed=np.column_stack([few(len(CASE.noticed)), few(len(CASE.noticed)) + 600]),
        stood=histogram({400: 1, 420: 3}), standing=1, false_conflicts=int(few()),
    )  # fmt: skip


def one_cost(random: np.random.Generator) -> Cost:
    ended = int(random.integers(1000, 2000))
    return Cost(
        ended=ended, timeouts=int(random.integers(1, 90)), span=float(random.integers(50, 60)),
        waited=ended * 0.25, held=ended * 0.0078125,
        waits=histogram({0: 40, 300: 50, 310: 8, 320: 2}), holds=histogram({200: 60, 210: 30, 220: 10}),
    )  # fmt: skip


def one_effort(random: np.random.Generator) -> Effort:
    few = random.integers(1, 60, 9).tolist()
    few[0], few[2], few[8] = few[0] + 900, few[2] + 800, few[8] + 500
    return Effort(histogram({250: 90, 260: 8, 270: 2}), *few)


RANDOM = np.random.default_rng(5)
TALLIES = {name: [one_tally(RANDOM) for _ in range(REPLICATES)] for name in NAMES}
SHARED = [one_cost(RANDOM) for _ in range(REPLICATES)]
COSTS = dict.fromkeys(NAMES, SHARED) | {"all-sites": [one_cost(RANDOM) for _ in range(REPLICATES)]}
EFFORTS = {name: [one_effort(RANDOM) for _ in range(REPLICATES)] for name in NAMES}
COUNTED = {
    name: [SimpleNamespace(**vars(one), **vars(rest)) for one, rest in zip(TALLIES[name], EFFORTS[name], strict=True)]
    for name in NAMES
}


def result_of(
    tallies: Mapping[str, list[Tally]] = TALLIES, costs: Mapping[str, list[Cost]] = COSTS, conditional: Mapping[str, Rate] = {}
) -> Result:
    parts = [total(*([of[name][r] for name in NAMES] for of in (tallies, costs, EFFORTS))) for r in range(REPLICATES)]
    return Result(
        workload=load_workload("quiet", [f"duration={DURATION}"]), case=CASE, seed=7, engine="compiled", checked=123,
        strategies=NAMES, baseline="after-19328", totals=fold(iter(parts), REPLICATES), conditional=conditional,
    )  # fmt: skip


def rate_of(name: str, events: Callable[[Any], float], exposures: Callable[[Any], float]) -> Rate:
    """The rate as its definition says: its bound for zero is widened by the baseline's clustering."""

    def columns(of: str) -> list[np.ndarray]:
        return [np.array([count(one) for one in COUNTED[of]], dtype=float) for count in (events, exposures)]

    return Rate(*columns(name), Rate(*columns("after-19328")).design_effect)


def counted(name: str) -> dict[str, Rate]:
    """Every rate that is counted, by the name of its column."""
    rates = {
        "clobber_rate": rate_of(name, lambda one: one.clobbered_units, lambda one: one.units),
        "racing_clobber_rate": rate_of(name, lambda one: one.racing_units, lambda one: one.units),
        "lost_write_rate": rate_of(name, lambda one: one.lost, lambda one: one.writes),
        "any_loss": rate_of(name, lambda one: sum(one.clobbering.tolist()), lambda one: sum(one.transactions.tolist())),
        "conflict_rate": rate_of(name, lambda one: one.conflicts, lambda one: one.guarded),
        "false_conflict_rate": rate_of(name, lambda one: one.false_conflicts, lambda one: one.guarded),
        "failed_rate": rate_of(name, lambda one: one.units_failed, lambda one: one.units_begun),
    }
    for number, noticed in enumerate(CASE.noticed):
        rates[f"noticed.{noticed.name}"] = rate_of(
            name, lambda one, n=number: one.noticed[n, 0], lambda one, n=number: one.noticed[n, 1]
        )
    return rates


def same(found: Mean, expected: Mean) -> bool:
    return (found.estimate, found.interval()) == (expected.estimate, expected.interval())


def columns_of(name: str, estimate: Mean | Difference) -> dict[str, float]:
    low, high = estimate.interval()  # type: ignore[misc] # of these numbers there is one
    return {name: estimate.estimate, f"{name}_low": low, f"{name}_high": high}


def between(bin_number: int, share: float) -> float:
    """A time inside a bin."""
    return float(EDGES[bin_number] + share * (EDGES[bin_number + 1] - EDGES[bin_number]))


PRICE = {
    # Of 400 waits 160 are zero, 200 in bin 300, 32 in 310, 8 in 320; of 400 holds 240 in bin 200, 120 in 210, 40 in 220.
    "wait_p50": between(300, (200 - 160) / 200),
    "wait_p95": between(310, (380 - 360) / 32),
    "wait_p99": between(320, (396 - 392) / 8),
    "hold_p50": between(200, 200 / 240),
    "hold_p95": between(220, (380 - 360) / 40),
    "hold_p99": between(220, (396 - 360) / 40),
}


def price_of(name: str) -> dict[str, float]:
    costs = COSTS[name]
    ended, timeouts = (sum(getattr(one, what) for one in costs) for what in ("ended", "timeouts"))
    return PRICE | {
        "wait_mean": 0.25,
        "hold_mean": ended * 0.0078125 / (ended - timeouts),
        "utilisation": ended * 0.0078125 / sum(one.span for one in costs),
        "timeouts": timeouts,
    }


# Of 400 latencies 360 are in bin 250, 32 in 260, 8 in 270.
LATENCY = {"p50": between(250, 200 / 360), "p95": between(260, (380 - 360) / 32), "p99": between(270, (396 - 392) / 8)}


def effort_of(name: str) -> dict[str, Any]:
    retries, begun, skipped, middle, end, late = (
        sum(getattr(one, what) for one in EFFORTS[name])
        for what in ("retries", "units_begun", "skipped", "open_middle", "open_end", "began_late")
    )
    assert end - middle < 0.02 * late + 3 * math.sqrt(end + middle)  # so it is stable
    return {
        "retries_per_unit": retries / begun, "skipped": skipped, "stable": True,
        **{f"latency_{which}_s": value for which, value in LATENCY.items()},
    }  # fmt: skip


def test_the_frame_of_hand_written_totals_column_by_column() -> None:
    result = result_of(conditional=CONDITIONAL)
    frame = result.to_frame()
    assert frame.attrs == {
        "workload": "quiet", "case": CASE.name, "seed": 7, "replicates": REPLICATES, "baseline": "after-19328"
    }  # fmt: skip
    assert frame["strategy"].tolist() == list(NAMES)
    for name, row in zip(NAMES, frame.to_dict("records"), strict=True):
        mine, conditional = counted(name), CONDITIONAL.get(name)
        best = conditional or mine["clobber_rate"]
        clobbers = sum(one.clobbers for one in TALLIES[name])
        expected: dict[str, Any] = {
            "units": sum(one.units for one in TALLIES[name]),
            "clobbered_units": sum(one.clobbered_units for one in TALLIES[name]),
            "clobbered_units_per_day": best.totals.sum() / (4 * 50) * 24 * 60 * 60,
            "not_racing": clobbers[..., 0].sum(),
            "racing": clobbers[..., 1].sum(),
            "variance_ratio": math.nan,
            **{f"difference_from_baseline{end}": math.nan for end in ("", "_low", "_high")},
            **{f"conditional_clobber_rate{end}": math.nan for end in ("", "_low", "_high")},
            **columns_of("best_rate", best),
            **{key + "_s" * (key[:4] in ("wait", "hold")): value for key, value in price_of(name).items()},
            **effort_of(name),
        }
        for what, rate in mine.items():
            expected |= columns_of(what, rate)
        if conditional:
            expected |= columns_of("conditional_clobber_rate", conditional)
        if name != "after-19328":  # by conditional Monte Carlo where the baseline has it as well, and else by counting
            baseline = counted("after-19328")["clobber_rate"] if name == "before-19328" else CONDITIONAL["after-19328"]
            difference = Difference(best, baseline)
            expected |= columns_of("difference_from_baseline", difference) | {"variance_ratio": difference.variance_ratio}
        assert row.pop("strategy") == name
        assert row == pytest.approx(expected, nan_ok=True, rel=1e-12), name


def test_the_json_of_hand_written_totals_against_the_frame_and_the_tables() -> None:
    result = result_of(conditional={"all-sites": CONDITIONAL["all-sites"]})
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    strategies, cost = data.pop("strategies"), data.pop("cost")
    assert data == {
        "workload": "quiet", "case": CASE.name, "engine": "compiled", "engines_agree_on": 123, "seed": 7, "replicates": 4,
        "transactions": sum(one.ended for one in [*COSTS["after-19328"], *COSTS["all-sites"]]), "baseline": "after-19328",
    }  # fmt: skip
    for row in result.to_frame().to_dict("records"):
        name = row["strategy"]

        def three(column: str, row: dict[str, Any] = row) -> dict[str, float]:
            return {"estimate": row[column], "low": row[f"{column}_low"], "high": row[f"{column}_high"]}

        clobbers = sum(one.clobbers for one in TALLIES[name])
        baseline = name == "after-19328"
        assert strategies[name] == {
            **{what: three(what) for what in ("clobber_rate", "lost_write_rate", "racing_clobber_rate")},
            "conditional_clobber_rate": three("conditional_clobber_rate") if name == "all-sites" else None,
            "difference_from_baseline": None if baseline else three("difference_from_baseline"),
            "variance_ratio": None if baseline else row["variance_ratio"],
            "noticed": {noticed.name: three(f"noticed.{noticed.name}") for noticed in CASE.noticed},
            "clobbered_turns_per_day": row["clobbered_units_per_day"],
            "by_field": {
                field: dict(zip(KINDS, clobbers[:, number].sum(axis=(0, 2)).tolist(), strict=True))
                for number, field in enumerate(FIELDS)
            },
            "by_site": {site: int(clobbers[number].sum()) for number, site in enumerate(SITES)},
            "racing": row["racing"],
            "not_racing": row["not_racing"],
            **{what: three(what) for what in ("conflict_rate", "false_conflict_rate", "failed_rate")},
            "retries_per_unit": row["retries_per_unit"],
            "latency": pytest.approx(LATENCY),
            "stable": True,
            "throughput_limit": None,
        }
        assert cost[name] == pytest.approx(price_of(name), rel=1e-12)


def test_the_rate_at_a_site_and_of_what_is_noticed_against_their_counts() -> None:
    result = result_of()
    for name in NAMES:
        for number, site in enumerate(SITES):
            expected = rate_of(name, lambda one, n=number: one.clobbering[n], lambda one, n=number: one.transactions[n])
            assert same(result.site_rate(name, site), expected)
        for noticed in CASE.noticed:
            assert same(result.noticed_rate(name, noticed), counted(name)[f"noticed.{noticed.name}"])


def test_a_difference_is_by_an_estimator_that_both_have_and_the_baseline_has_none() -> None:
    both, one = result_of(conditional=CONDITIONAL), result_of(conditional={"all-sites": CONDITIONAL["all-sites"]})
    assert both.difference("after-19328") is one.difference("after-19328") is None
    assert vars(both.difference("all-sites")) == {"rate": CONDITIONAL["all-sites"], "baseline": CONDITIONAL["after-19328"]}
    by_counting = one.difference("all-sites")
    assert by_counting is not None
    assert same(by_counting.rate, counted("all-sites")["clobber_rate"])
    assert same(by_counting.baseline, counted("after-19328")["clobber_rate"])


@pytest.mark.parametrize(
    ("ended", "standing", "median", "share"),
    [
        ({}, 0, math.nan, math.nan),
        ({}, 3, math.inf, 1.0),
        ({400: 4}, 0, between(400, 0.5), 0.0),
        ({400: 4}, 2, between(400, 3 / 4), 2 / 6),  # the third of six, counted from the shortest
        ({400: 2, 420: 2}, 4, between(420, 1.0), 0.5),  # exactly half stand: the longest of the others
        ({400: 2, 420: 2}, 5, math.inf, 5 / 9),
    ],
)
def test_wrong_values_that_stand_to_the_end_stand_longer_than_any_other(
    ended: dict[int, int], standing: int, median: float, share: float
) -> None:
    stood = {"stood": histogram(ended), "standing": standing}
    nothing = {"stood": histogram({}), "standing": 0}
    tallies = {
        name: [Tally(**vars(one) | (nothing if r or name != "all-sites" else stood)) for r, one in enumerate(TALLIES[name])]
        for name in NAMES
    }
    found = result_of(tallies).stood("all-sites")
    assert found == pytest.approx((median, share), nan_ok=True)


def test_a_strategy_is_clean_only_if_no_figure_of_loss_is_above_zero() -> None:
    """Also if all that is lost lies between sites that are part of no unit of work, and no write that was asked for is lost."""
    none = {"clobbered_units": 0, "lost": 0, "clobbering": np.zeros(len(SITES), dtype=np.int64)}
    patch = none["clobbering"] + (np.array(SITES) == "patch")

    def clean(**figures: Any) -> bool:
        tallies = {name: [Tally(**vars(one) | none | figures) for one in TALLIES[name]] for name in NAMES}
        return result_of(tallies).clean("all-sites")

    assert clean()
    assert not clean(clobbered_units=1)
    assert not clean(lost=1)
    assert not clean(clobbering=patch)
    assert not result_of(conditional=CONDITIONAL).clean("all-sites")


def test_a_timeline_of_no_length_has_no_utilisation() -> None:
    costs = {name: [Cost(**vars(one) | {"span": 0.0}) for one in COSTS[name]] for name in NAMES}
    assert math.isnan(result_of(costs=costs).price("all-sites")["utilisation"])


def test_an_estimate_without_an_interval_has_none_in_its_columns() -> None:
    one = Rate(np.array([1.0]), np.array([4.0]))
    found = estimate_columns("x", one)
    assert found == pytest.approx({"x": 0.25, "x_low": math.nan, "x_high": math.nan}, nan_ok=True)


@pytest.fixture(scope="module")
def busy() -> Result:
    fixed = [f"times.{site}.{part}" for site in ("handler", "patch", "inbound") for part in ("hold=0.01", "prepare=0.01")]
    model = load_workload("handler-only", ["duration=50", *fixed])
    return run(model, load_case(model.case), seed=1, replicates=4)


def test_the_price_against_the_utilisation_and_holds_that_the_workload_says(busy: Result) -> None:
    price = busy.price("after-19328")
    rate = sum(flow.rate for flow in busy.workload.traffic.values())
    # Each transaction holds the lock for 10 ms: the count is Poisson, so four of its standard errors.
    assert abs(price["utilisation"] - rate * 0.01) < 4 * 0.01 * math.sqrt(rate / (50 * 4))
    assert price["hold_mean"] == pytest.approx(0.01)
    assert price["hold_p50"] == pytest.approx(0.01, rel=0.05)  # a bin's width
    # Pollaczek and Khinchine for a constant hold: rho h / 2 (1 - rho).
    load = price["utilisation"]
    assert price["wait_mean"] == pytest.approx(load * 0.01 / (2 * (1 - load)), rel=0.1)
    assert price["timeouts"] == 0


def test_clobbers_a_day_are_the_share_of_the_units_of_a_day(busy: Result) -> None:
    units_a_day = busy.workload.traffic["turn"].rate * 24 * 3600
    for name in ("replace", "after-19328"):
        rate = busy.best_rate(name).estimate
        assert rate > 0.01
        # What was drawn is the workload's rate within four standard errors of 4000 units.
        assert busy.clobbered_units_per_day(name) == pytest.approx(rate * units_a_day, rel=4 / math.sqrt(4000))
