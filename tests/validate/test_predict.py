"""Predictions against the model that made the history, against real stores, and figure by figure against hand computation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.model.history import History, Values, write_parquet
from simlib.model.simpy_model import simulate
from simlib.replay.recording import find_recording, read_recording, shipped_recordings
from simlib.replay.replay import replay_strategy
from simlib.replay.time_slices import glued
from simlib.validate.predict import GROUPS, LEVEL, REPLICATES, Half, Shown, _recoded, compare, halves, predict, replicate_of
from simlib.validate.scores import Condition, Validation
from simlib.validate.validate import validate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")


def test_the_models_own_history_comes_out_again_when_it_is_given_its_arrivals_and_times() -> None:
    workload = load_workload("handler-only", ["duration=40", "store.release=0.0005", "traffic.turn.rate=60"])
    history = simulate(workload, CASE, draw(workload, CASE, 11, 0))
    for half in halves(history, CASE, "model"):
        assert half.driven.counts == half.observed.counts
        assert np.allclose(np.sort(half.driven.waits), np.sort(half.observed.waits), atol=1e-9)


def test_mechanics_on_a_real_stores_own_arrivals_and_times() -> None:
    recording = read_recording(find_recording("store-2026.4.22-after-19328-long"), CASE)
    figures = predict(recording.history, CASE, "x", replicates=3, rule=recording.rule)
    assert Validation(tuple(figures)).driven_rmse <= 0.002


@pytest.mark.parametrize("rows", [0, 30])
def test_too_little_is_refused(rows: int, tmp_path: Path) -> None:
    workload = load_workload("handler-only", ["duration=30"])
    history = glued(simulate(workload, CASE, draw(workload, CASE, 3, 0)), np.arange(30))
    columns = ("flow", "kind", "site", "session", "gateway", "read", "queued", "lock", "end", "ok", "snapshot", "request")
    history = replace(history, **{name: getattr(history, name)[:rows] for name in columns})
    write_parquet(history, tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"x: {rows} commits; each half needs at least 20"):
        validate([str(tmp_path / "x.parquet")], CASE)


# ---- halves ------------------------------------------------------------------------------------------------------------------


def run_of(seed: int, *overrides: str) -> History:
    workload = load_workload("handler-only", ["duration=40", *overrides])
    return simulate(workload, CASE, draw(workload, CASE, seed, 0))


@pytest.fixture(scope="module")
def both() -> list[Half]:
    return halves(run_of(3, "sessions.initial=[label]"), CASE, "model")


def test_two_halves_share_all_rows_and_predict_each_other(both: list[Half]) -> None:
    history = run_of(3, "sessions.initial=[label]")
    odd, even = both
    assert (odd.name, even.name) == ("model, odd half", "model, even half")
    turns = sum(half.observed.counts[odd.rule, "clobber_rate"][1] for half in both)
    assert turns == (history.site == CASE.sites.index("handler")).sum()
    assert sum(half.observed.waits.size for half in both) == len(history)
    whole = np.sort(np.concatenate([half.observed.waits for half in both]))
    assert np.allclose(whole, np.sort(history.lock - history.queued))
    for half, other in ((odd, even), (even, odd)):
        assert half.rule == CASE.baseline
        assert half.others.arrive.size == other.observed.waits.size
        assert half.duration == pytest.approx(20, rel=0.1)  # half of the time
        assert {one.name for one in half.strategies} == {
            name for name, one in CASE.strategies.items() if one.in_lock == CASE.strategy(CASE.baseline).in_lock
        }


def test_the_groups_of_a_half_add_up_to_it_and_are_of_equal_size(both: list[Half]) -> None:
    for half in both:
        assert len(half.groups) == GROUPS
        for key, count in half.observed.counts.items():
            # A victim and its clobber may be in different groups, so a lost write may be of none of them.
            if "lost" not in key[1]:
                assert np.sum([group[key] for group in half.groups], axis=0) == pytest.approx(count)


def test_entries_stand_as_the_replay_left_them_when_the_half_begins(both: list[Half]) -> None:
    history = run_of(3, "sessions.initial=[label]")
    first, second = 0, len(history) // 40 + 1  # the first piece is of the odd half, the second of the even one
    for half, row in zip(both, (first, second), strict=True):
        for strategy, entries in zip(half.strategies, half.entries, strict=True):
            expected = history.initial.copy()
            outcomes = replay_strategy(CASE, strategy, history)
            for earlier in range(row):
                expected[history.session[earlier]] = outcomes.entries[earlier]
            assert np.array_equal(entries, expected)


@pytest.mark.parametrize("sessions", [1, 3])
def test_entries_are_carried_over_by_the_names_of_their_values(sessions: int) -> None:
    fields = {name: CASE.fields.index(name) for name in ("channel", "thinkingLevel", "sendPolicy", "label")}
    names = {"channel": ("web", "slack"), "level": ("low", "high"), "policy": ("deny",), "label": ("a", "b")}
    history = replace(run_of(3), values=Values(names))
    codes = {"channel": [2, 0], "thinkingLevel": [1, 2], "sendPolicy": [1, 1], "label": [2, 1]}
    entries = np.zeros((2, len(CASE.fields)), dtype=np.int32)
    for name, column in codes.items():
        entries[:, fields[name]] = column
    values = {"channel": ["irc", "web", "slack"], "level": ["high", "low"], "policy": ["allow"], "label": "many"}
    workload = load_workload("handler-only", [f"sessions.count={sessions}"]).model_copy(update={"values": values})
    found = _recoded(entries, history, workload, CASE)
    assert found.shape == (max(2, sessions), len(CASE.fields))
    assert found[:2, fields["channel"]].tolist() == [3, 0]  # slack; what is undefined stays so
    assert found[:2, fields["thinkingLevel"]].tolist() == [2, 1]
    assert found[:2, fields["sendPolicy"]].tolist() == [1, 1]  # a name that the workload has not
    assert found[:2, fields["label"]].tolist() == [2, 1]  # no name comes twice
    assert not found[2:].any()
    assert np.count_nonzero(found) == 7


def test_a_half_needs_twenty_commits() -> None:
    history = run_of(3)

    def first(rows: int) -> History:
        return glued(history, np.arange(rows))

    assert len(halves(first(40), CASE, "x")) == 2
    with pytest.raises(InputError, match=r"^x: 39 commits; each half needs at least 20$"):
        halves(first(39), CASE, "x")


def test_a_replicate_is_as_long_as_its_half_and_the_same_for_the_same_seed(both: list[Half]) -> None:
    half = both[0]
    one, again, other = (replicate_of(half, 1, number) for number in (0, 0, 1))
    assert one.counts == again.counts
    assert np.array_equal(one.waits, again.waits)
    assert not np.array_equal(one.waits, other.waits)
    assert one.waits.size == pytest.approx(half.observed.waits.size, abs=6 * np.sqrt(half.observed.waits.size))


def test_there_are_as_many_replicates_as_the_interval_of_their_extremes_needs() -> None:
    # One more value of the same kind is the least or the greatest of all 40 once in twenty times.
    assert pytest.approx(LEVEL) == 1 - 2 / (REPLICATES + 1)


# ---- figure by figure --------------------------------------------------------------------------------------------------------

FIGURE = ("r", "clobber_rate")


def compared(
    half: Half, observed: tuple[int, int], runs: list[tuple[int, int]], groups: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    driven: tuple[int, int] = (0, 0), figure: tuple[str, str] = FIGURE,
) -> Condition | None:  # fmt: skip
    """What is said of one figure that was observed and predicted so."""

    def shown(count: tuple[int, int]) -> Shown:
        return Shown({figure: count}, np.zeros(1))

    tiny = replace(
        half, name="h", observed=shown(observed), driven=shown(driven), groups=tuple({figure: count} for count in groups)
    )
    return next((row for row in compare(tiny, [shown(run) for run in runs]) if row.figure == figure[1]), None)


def test_a_rate_by_hand(both: list[Half]) -> None:
    found = compared(both[0], (6, 40), [(4, 50), (8, 50), (3, 100)], driven=(5, 20))
    assert found
    assert (found.source, found.rule, found.figure, found.n) == ("h", "r", "clobber_rate", 40)
    assert (found.observed, found.predicted, found.driven) == pytest.approx((0.15, 0.075, 0.25))


def test_a_figure_that_neither_shows_is_left_out_but_not_the_clobber_rate(both: list[Half]) -> None:
    field = ("r", "clobber_rate.label")
    assert compared(both[0], (0, 40), [(0, 40), (0, 40)], figure=field) is None
    assert compared(both[0], (0, 40), [(0, 40), (1, 40)], figure=field) is not None
    assert compared(both[0], (1, 40), [(0, 40), (0, 40)], figure=field) is not None
    assert compared(both[0], (0, 0), [(1, 40), (1, 40)]) is None
    never = compared(both[0], (0, 40), [(0, 40), (0, 40)])
    assert never
    assert never.driven is None
    assert (never.predicted, never.low, never.inside) == (0.0, 0.0, True)


def test_what_is_left_out_hides_nothing_that_comes_after_it(both: list[Half]) -> None:
    counts = {("r", "clobber_rate.label"): (0, 40), ("r", "clobber_rate"): (1, 40), ("r", "lost_write_rate"): (0, 0)}
    shown = Shown({**counts, ("r", "clobber_rate.channel"): (2, 40)}, np.zeros(1))
    groups = (dict.fromkeys(shown.counts, (0, 0)),) * 2
    rows = compare(replace(both[0], observed=shown, driven=shown, groups=groups), [shown, shown])
    assert [row.figure for row in rows if row.rule == "r"] == ["clobber_rate", "clobber_rate.channel"]


def test_the_sampling_variance_against_that_of_a_binomial_count(both: list[Half]) -> None:
    rng = np.random.default_rng(4)
    trials = rng.integers(5, 15, 4000)
    hits = rng.binomial(trials, 0.3)
    found = compared(both[0], (1, 2), [(1, 2), (2, 3)], list(zip(hits.tolist(), trials.tolist(), strict=True)))
    assert found
    # An estimated variance of 4000 groups has a relative standard error of about sqrt(2 / 4000).
    assert found.variance == pytest.approx(0.3 * 0.7 / trials.sum(), rel=4 * np.sqrt(2 / 4000))


def test_the_sampling_variance_of_groups_that_differ_by_hand(both: list[Half]) -> None:
    # Rate 2 / 8; residuals 1 - 0.5, 0 - 1, 1 - 0.5, the mean 0: variance 0.75, times 3 groups over 64.
    found = compared(both[0], (2, 8), [(1, 8), (2, 8)], [(1, 2), (0, 4), (1, 2)])
    assert found
    assert found.variance == pytest.approx(0.75 * 3 / 64)
    nothing = compared(both[0], (2, 8), [(1, 8), (2, 8)], [(0, 0), (0, 0)])
    assert nothing
    assert nothing.variance == 0.0


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_interval_of_a_rate_against_poisson_counts_whose_mean_varies(spread: float, both: list[Half]) -> None:
    # Replicates of mean 20 and of a deviation 20 x spread beyond Poisson's; the observation is one more, of the same kind.
    rng = np.random.default_rng(5)
    hits = rng.poisson(rng.gamma(1 / spread**2, 20 * spread**2, 400) if spread else np.full(400, 20.0))
    found = compared(both[0], (20, 1000), [(int(hit), 1000) for hit in hits])
    assert found
    mean, variance = hits.mean(), max(hits.var(ddof=1), hits.mean()) * (1 + 1 / 400)
    more = rng.poisson(rng.gamma(mean**2 / (variance - mean), (variance - mean) / mean, 1_000_000))
    below, above = (more < 1000 * found.low).mean(), (more > 1000 * found.high).mean()
    # The tails are 2.5 % or, counts being whole, less, but one step further in they would be more.
    for tail, wider in ((below, (more <= 1000 * found.low).mean()), (above, (more >= 1000 * found.high).mean())):
        assert tail <= (1 - LEVEL) / 2 + 6e-4 < wider + 12e-4
    assert found.inside
    for count in (1000 * found.low - 1, 1000 * found.high + 1):
        outside = compared(both[0], (round(count), 1000), [(int(hit), 1000) for hit in hits])
        assert outside
        assert not outside.inside


def test_few_replicates_widen_the_interval_as_their_mean_is_not_known(both: list[Half]) -> None:
    def width(replicates: int) -> float:
        found = compared(both[0], (100, 1000), [(80, 1000), (120, 1000)] * (replicates // 2))
        assert found
        return found.high - found.low

    variance = [800 / (1 - 1 / n) * (1 + 1 / n) for n in (2, 200)]  # of one more count: 2400 and 812
    assert width(2) / width(200) == pytest.approx(np.sqrt(variance[0] / variance[1]), rel=0.05)


def test_the_interval_where_nothing_was_ever_predicted_is_that_of_half_a_count_in_all(both: list[Half]) -> None:
    # A mean of 0.5 / 10 counts: none has a probability of 95.1 %, one or none of 99.9 %.
    found = compared(both[0], (0, 100), [(0, 100)] * 10)
    assert found
    assert (found.low, found.high) == (0.0, 0.01)
    more = compared(both[0], (0, 100), [(0, 100)] * 20)  # half of that: none has a probability of 97.6 %
    assert more
    assert (more.low, more.high) == (0.0, 0.0)


def test_quantiles_of_the_wait_by_hand(both: list[Half]) -> None:
    def shown(*waits: float) -> Shown:
        return Shown({}, np.array(waits))

    half = replace(both[0], name="h", observed=shown(1.0, 2.0, 3.0), driven=shown(2.5), groups=())
    rows = compare(half, [shown(1.0), shown(1.8), shown(2.2)])
    assert [row.figure for row in rows] == ["lock_wait.p50", "lock_wait.p95", "lock_wait.p99"]
    assert [row.observed for row in rows] == pytest.approx([2.0, 2.9, 2.98])
    assert [row.inside for row in rows] == [True, False, False]
    for row in rows:
        assert (row.rule, row.n, row.variance, row.driven) == (half.rule, 3, 0.0, 2.5)
        assert (row.low, row.predicted, row.high) == (1.0, 1.8, 2.2)
    for edge in (1.0, 2.2):  # the ends belong to it
        assert compare(replace(half, observed=shown(edge)), [shown(1.0), shown(1.8), shown(2.2)])[0].inside


# ---- against what was observed -----------------------------------------------------------------------------------------------


def test_the_median_wait_in_a_real_store_is_predicted_from_its_other_half() -> None:
    recording = read_recording(find_recording("store-2026.4.22-before-19328"), CASE)
    figures = predict(recording.history, CASE, "x", replicates=12, rule=recording.rule)
    median = next(figure for figure in figures if figure.figure == "lock_wait.p50")
    assert median.predicted == pytest.approx(median.observed, rel=0.2)


@pytest.mark.parametrize("gateways", [1, 2])
def test_the_interval_covers_the_models_own_histories_as_often_as_it_says(gateways: int) -> None:
    rows = [
        row
        for seed in range(6)
        for row in predict(run_of(seed, f"store.gateways={gateways}"), CASE, "model", replicates=12)
        if row.figure == "stale_snapshots"
    ]
    # 12 halves, each inside with a probability of 95 %: fewer than 9 once in 450 times.
    assert sum(row.inside for row in rows) >= 9
    widths = [row.high - row.low for row in rows]
    assert max(widths) < 0.3  # and not by covering everything
    if gateways == 2:
        assert Validation(tuple(predict(run_of(3, "store.gateways=2"), CASE, "model", replicates=3))).driven_rmse <= 0.002


def test_the_same_seed_gives_the_same_figures_and_another_one_other_replicates() -> None:
    history = run_of(3)
    one, other = (predict(history, CASE, "x", replicates=3, seed=seed) for seed in (1, 2))
    assert one == predict(history, CASE, "x", replicates=3)  # 1 is the usual one
    assert [row.observed for row in one if row.figure == "clobber_rate"] == [
        row.observed for row in other if row.figure == "clobber_rate"
    ]
    assert one != other


@pytest.mark.slow
def test_the_goals_on_all_shipped_recordings() -> None:
    validation = validate(shipped_recordings(), CASE)
    assert validation.rmse <= 0.002
    assert validation.driven_rmse <= 0.002
    assert validation.coverage >= 0.9
    waits = [figure for figure in validation.figures if figure.figure == "lock_wait.p50"]
    far = [figure.source for figure in waits if abs(figure.predicted / figure.observed - 1) > 0.2]
    assert not far


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["traffic.turn.rate=50"], ["sessions.count=3"], ["store.gateways=2", "traffic.turn.rate=8"]]
)
def test_the_interval_holds_what_it_should_when_the_model_itself_was_observed(overrides: list[str]) -> None:
    workload = load_workload("handler-only", ["duration=40", *overrides])
    history = simulate(workload, CASE, draw(workload, CASE, 11, 0))
    assert np.mean([figure.inside for figure in predict(history, CASE, "model")]) >= 0.9


def gapped(seconds: float) -> History:
    """Sixty seconds of traffic with that much silence in the middle."""
    workload = load_workload("handler-only", ["duration=60"])
    history = simulate(workload, CASE, draw(workload, CASE, 1, 0))
    late = np.where(history.read > 30, seconds, 0.0)
    late = np.where(np.maximum.accumulate(late) > 0, seconds, 0.0)
    return replace(history, **{name: getattr(history, name) + late for name in ("read", "queued", "lock", "end")})


@pytest.mark.parametrize("seconds", [3600.0, 1e9])
def test_a_history_with_a_huge_gap_is_refused(seconds: float, refused: Callable[..., str]) -> None:
    line = refused(predict, gapped(seconds), CASE, "night", 2)
    assert "night: something arrives in 2 of 20 equal parts" in line
    assert "allowed: 8 or more; nothing arrives for " in line


def test_a_short_pause_is_no_silence() -> None:
    assert predict(gapped(10.0), CASE, "lunch", 2)
