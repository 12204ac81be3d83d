"""The draws: independence of the streams, and rates, popularity and request shapes against theory."""

import dataclasses

import numpy as np
import pytest
from generators import SEEDS, workloads
from hypothesis import given, settings
from schedules import CASE, FIELDS, REQUEST

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.files import validated
from simlib.workload.distributions import Constant, Empirical, Exponential, Gamma, Lognormal
from simlib.workload.streams import Streams
from simlib.workload.traffic import arrivals, beginning, draw, draw_all
from simlib.workload.workload import Flow, load_workload

SETS = {
    "times.handler.prepare": "{dist: gamma, mean: 0.5, shape: 2}",
    "times.handler.prepare.sigma": "1.5",
    "times.run_end.after": "100",
    "times.patch.hold": "{dist: exponential, mean: 0.02}",
    "traffic.patch.rate": "1",
    "traffic.inbound.arrivals": "{kind: bursty, busy: 3, idle: 3}",
    "traffic.turn.steps.handler.1.ask": "[channel, to, accountId]",
    "traffic.turn.steps.handler.0.weight": "60",
    "sessions.popularity": "uniform",
    "sessions.initial": "[lastChannel, lastTo, channel, label, space]",
    "values.peer": "21",
    "store.gateways": "2",
}
# What an override may change: flows whose arrivals, and (flow, transaction column or request key) whose values.
MAY_CHANGE = {
    "times.handler.prepare": ("handler", "prepare"),
    "times.handler.prepare.sigma": ("handler", "prepare"),
    "times.run_end.after": ("run_end", "after"),
    "times.patch.hold": ("patch", "hold"),
}


def columns(traffic, kind):
    """Every draw of one kind of flow: name -> array, transactions and requests by write site."""
    flows = np.flatnonzero(traffic.kind == traffic.kinds.index(kind))
    of_flow = np.repeat(np.arange(traffic.kind.size), np.diff(traffic.first))
    found = {name: getattr(traffic, name)[flows] for name in ("arrive", "session", "gateway")}
    for site in np.unique(traffic.site[np.isin(of_flow, flows)]):
        rows = np.isin(of_flow, flows) & (traffic.site == site)
        for name in ("after", "prepare", "compute", "hold"):
            found[CASE.sites[site], name] = getattr(traffic, name)[rows]
        for number, key in enumerate(REQUEST):
            found[CASE.sites[site], key] = traffic.request[rows, number]
    return found


def changed(one, other):
    """Which draws differ, by kind of flow; a longer draw that begins with the shorter one is no difference."""
    result = set()
    for kind in one.kinds:
        mine, theirs = columns(one, kind), columns(other, kind)
        for name in mine:
            shorter = min(mine[name].size, theirs[name].size)
            if not np.array_equal(mine[name][:shorter], theirs[name][:shorter]):
                result.add((kind, name))
    return result


@pytest.mark.parametrize("key", SETS)
def test_changing_one_distribution_leaves_every_other_draw_as_it_was(key):
    one = draw(load_workload("busy-team", ["duration=120"]), CASE, 7, 3)
    other = draw(load_workload("busy-team", ["duration=120", f"{key}={SETS[key]}"]), CASE, 7, 3)
    differ = changed(one, other)
    allowed = {
        "traffic.patch.rate": {("patch", "arrive")},
        "traffic.inbound.arrivals": {("inbound", "arrive")},
        "traffic.turn.steps.handler.1.ask": {("turn", ("handler", key)) for key in ("threadId", "accountId")},
        "traffic.turn.steps.handler.0.weight": {("turn", ("handler", key)) for key in REQUEST},
        "sessions.popularity": {(kind, "session") for kind in one.kinds},
        "sessions.initial": set(),
        "values.peer": {(kind, (site, "to")) for kind in one.kinds for site in ("handler", "inbound")},
        "store.gateways": {(kind, "gateway") for kind in one.kinds},
    }.get(key) or {(kind, MAY_CHANGE[key]) for kind in one.kinds if key in MAY_CHANGE}
    assert differ <= allowed
    assert differ or key == "sessions.initial"


def test_another_flow_leaves_every_draw_of_the_others_as_it_was():
    workload = load_workload("busy-team", ["duration=120"])
    more = {"more": Flow(rate=3, steps={"patch": []}), **workload.traffic}
    one, other = (draw(w, CASE, 7, 3) for w in (workload, workload.model_copy(update={"traffic": more})))
    assert changed(one, other) == set()
    assert np.array_equal(one.initial, other.initial)


def test_an_arrival_for_all_sessions_is_a_flow_for_each_in_order_at_one_process_and_moves_no_other_draw():
    sets = ["duration=120", "traffic.patch.rate=0.5", "traffic.patch.arrivals=periodic", "sessions.count=5", "store.gateways=3"]
    one, all_of_them = (
        draw(load_workload("busy-team", [*sets, *more]), CASE, 7, 3) for more in ([], ["traffic.patch.sessions=all"])
    )
    ticks, flows = (
        {
            name: getattr(traffic, name)[traffic.kind == traffic.kinds.index("patch")]
            for name in ("arrive", "session", "gateway")
        }
        for traffic in (one, all_of_them)
    )
    assert 59 <= ticks["arrive"].size <= 61
    for name in ("arrive", "gateway"):
        assert np.array_equal(flows[name], np.repeat(ticks[name], 5))
    assert np.array_equal(flows["session"], np.tile(np.arange(5), ticks["arrive"].size))
    assert {kind for kind, _ in changed(one, all_of_them)} == {"patch"}
    models = columns(all_of_them, "patch")["patch", "modelOverride"][:50].reshape(10, 5)
    assert (models != models[:, :1]).any()  # each has a request of its own


@pytest.mark.parametrize("sessions", ["every", "[0, 1]", "3"])
def test_an_arrival_is_for_one_session_or_for_all_and_nothing_else(sessions, refused):
    message = refused(load_workload, "busy-team", [f"traffic.patch.sessions={sessions}"])
    assert "traffic.patch.sessions" in message
    assert "'one'" in message
    assert "'all'" in message


def test_arrivals_for_all_sessions_count_as_so_many_flows_where_a_workload_is_too_large(refused):
    sets = ["sessions.count=1000000", "traffic.patch.rate=1"]
    assert load_workload("busy-team", sets).expected_transactions() < 10_000
    assert "are some 6e+08 transactions" in refused(load_workload, "busy-team", [*sets, "traffic.patch.sessions=all"])


def test_another_initial_field_leaves_the_initial_values_of_the_others_as_they_were():
    one = draw(load_workload("busy-team"), CASE, 7, 3).initial
    other = draw(
        load_workload("busy-team", ["sessions.initial=[space, lastChannel, lastTo, channel, label]"]), CASE, 7, 3
    ).initial
    rest = np.array([field != "space" for field in FIELDS])
    assert np.array_equal(one[:, rest], other[:, rest])
    assert (one[:, ~rest] == UNDEFINED).all()
    assert (other[:, ~rest] > UNDEFINED).all()


def test_more_sessions_or_a_longer_duration_extend_the_draws():
    one = draw(load_workload("handler-only", ["duration=20"]), CASE, 7, 3)
    longer = draw(load_workload("handler-only", ["duration=40"]), CASE, 7, 3)
    assert changed(one, longer) == set()
    assert longer.arrive.size > one.arrive.size


@pytest.mark.parametrize("name", ["busy-team", "multi-process", "channel-hop"])
def test_drawn_together_replicates_are_what_each_is_when_drawn_alone(name):
    workload = load_workload(name, ["duration=60"])
    for replicate, traffic in zip([4, 0, 9], draw_all(workload, CASE, 7, [4, 0, 9]), strict=True):
        alone = draw(workload, CASE, 7, replicate)
        for name in {field.name for field in dataclasses.fields(alone)} - {"streams"}:
            assert np.array_equal(getattr(traffic, name), getattr(alone, name)), name
        later = [one.streams.uniform("turn.handler.prepare#2", 3) for one in (traffic, alone) if one.streams]
        assert np.array_equal(*later)


def test_the_beginning_of_a_traffic_is_its_first_whole_flows():
    traffic = draw(load_workload("busy-team", ["duration=60"]), CASE, 7, 0)
    for transactions in (0, 1, 50, int(traffic.first[-1]), 10**6):
        part = beginning(traffic, transactions)
        flows, rows = part.kind.size, part.site.size
        assert rows == traffic.first[flows] <= transactions
        assert flows == traffic.kind.size or traffic.first[flows + 1] > transactions
        for name in ("arrive", "session"):
            assert np.array_equal(getattr(part, name), getattr(traffic, name)[:flows])
        for name in ("site", "hold", "request"):
            assert np.array_equal(getattr(part, name), getattr(traffic, name)[:rows])
        assert np.array_equal(part.initial, traffic.initial)


def test_no_two_quantities_share_their_draws():
    any_time = "{dist: exponential, mean: 1}"
    overrides = [
        f"times.{site}={{after: {any_time}, prepare: {any_time}, compute: {any_time}, hold: {any_time}}}" for site in CASE.sites
    ]
    traffic = draw(
        load_workload("busy-team", ["duration=4000", "store.gateways=5", "values.channel=9", *overrides]), CASE, 7, 0
    )
    turn = columns(traffic, "turn")
    size = turn["session"].size
    gaps = np.diff(turn.pop("arrive"), prepend=0.0)
    drawn = {"gaps": gaps} | {name: column for name, column in turn.items() if column.std() > 0 and column.min() >= 0}
    assert len(drawn) == 3 + 3 * 4 - 1  # gaps, session, gateway; a first step has no `after`
    correlation = np.corrcoef(np.stack(list(drawn.values()))) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 5 / np.sqrt(size)


# ---- against theory --------------------------------------------------------------------------------------------------------

ARRIVALS = {
    "poisson": "poisson",
    "bursty": {"kind": "bursty", "busy": 4, "idle": 6},
    "mostly idle": {"kind": "bursty", "busy": 1, "idle": 19},
    "periodic": "periodic",
    "jittered": {"kind": "periodic", "jitter": 0.7},
    "a full period": {"kind": "diurnal", "period": 50, "amplitude": 1},
    "three periods": {"kind": "diurnal", "period": 50 / 3, "amplitude": 0.5},
}


def counts(arrivals_, rate, duration, replicates, window=None):
    flow = validated(Flow, {"rate": rate, "arrivals": arrivals_, "steps": {"patch": []}}, "flow")
    low, high = window or (0, duration)
    times = arrivals(flow, duration, "f", Streams(11, *range(replicates)))
    assert all((np.diff(t) >= 0).all() and (t >= 0).all() and (t < duration).all() for t in times)
    return np.array([np.count_nonzero((t >= low) & (t < high)) for t in times])


def assert_mean(sample, expected):
    """Within five standard errors of the sample's mean."""
    assert abs(sample.mean() - expected) <= 5 * sample.std(ddof=1) / np.sqrt(sample.size) + 1e-9


@pytest.mark.parametrize("kind", ARRIVALS)
def test_the_long_run_rate_is_the_one_asked_for(kind):
    assert_mean(counts(ARRIVALS[kind], 1.7, 50, 200), 1.7 * 50)


@pytest.mark.parametrize("kind", ["poisson", "bursty", "mostly idle", "jittered"])
@pytest.mark.parametrize("window", [(0, 5), (45, 50)])
def test_arrivals_are_stationary_from_start_to_end(kind, window):
    assert_mean(counts(ARRIVALS[kind], 1.7, 50, 600, window), 1.7 * 5)


def test_diurnal_arrivals_swing_as_the_integral_of_the_rate_says():
    pattern = {"kind": "diurnal", "period": 50, "amplitude": 0.8}
    half = 1.7 * (25 + 0.8 * 50 / np.pi)
    assert_mean(counts(pattern, 1.7, 50, 150, (0, 25)), half)
    assert_mean(counts(pattern, 1.7, 50, 150, (25, 50)), 1.7 * 50 - half)


def test_poisson_counts_have_the_variance_of_poisson_counts_and_bursty_ones_more():
    size, mean = 1000, 1.7 * 50
    steady, bursty = (counts(ARRIVALS[kind], 1.7, 50, size).var(ddof=1) / mean for kind in ("poisson", "bursty"))
    error = np.sqrt(2 / (size - 1))  # of a variance ratio, nearly normal at this mean
    assert abs(steady - 1) < 5 * error
    assert bursty > 1 + 5 * error


def test_periodic_arrivals_are_one_period_apart_and_recorded_ones_where_they_were():
    flow = Flow.model_validate({"rate": 4, "arrivals": "periodic", "steps": {"patch": []}})
    assert np.allclose(np.diff(*arrivals(flow, 30, "f", Streams(0, 0))), 0.25)
    flow = Flow.model_validate({"rate": 0, "arrivals": {"kind": "recorded", "times": [3, 1, 9, 2.5]}, "steps": {"patch": []}})
    assert [times.tolist() for times in arrivals(flow, 5, "f", Streams(0, 0, 1))] == [[1, 2.5, 3]] * 2


def test_a_rate_of_zero_gives_no_arrivals():
    for pattern in ARRIVALS.values():
        assert counts(pattern, 0, 50, 2).tolist() == [0, 0]


@pytest.mark.parametrize("popularity", ["uniform", "zipf"])
def test_session_popularity_against_the_law(popularity):
    overrides = [f"sessions.popularity={popularity}", "sessions.exponent=0.8", "sessions.count=7"]
    session = np.concatenate([draw(load_workload("handler-only", overrides), CASE, 5, r).session for r in range(4)])
    weights = np.arange(1, 8) ** (-0.8 if popularity == "zipf" else 0.0)
    share = weights / weights.sum()
    seen = np.bincount(session, minlength=7) / session.size
    assert (np.abs(seen - share) < 5 * np.sqrt(share * (1 - share) / session.size)).all()


def test_request_shapes_come_with_their_weights_and_values_uniformly_from_their_domains():
    traffic = draw(load_workload("handler-only", ["duration=400"]), CASE, 5, 0)
    rows = traffic.request[traffic.site == CASE.sites.index("patch")]
    named = rows != ABSENT
    model, channel, last = (REQUEST.index(key) for key in ("modelOverride", "channel", "lastChannel"))
    total = 14 + 6 + 9 + 9 + 3 + 7 + 3 + 2 + 7 + 1
    for mask, weight in [
        (rows[:, model] > 0, 14),
        (rows[:, model] == UNDEFINED, 6),
        (named[:, last] & ~named[:, channel], 9),
        (rows[:, channel] > 0, 9),
        (rows[:, channel] == UNDEFINED, 3),
    ]:
        share = weight / total
        assert abs(mask.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(rows))
    values = rows[rows[:, model] > 0, model]
    assert set(values) == {1, 2, 3, 4, 5}
    assert (np.abs(np.bincount(values)[1:] / values.size - 0.2) < 5 * np.sqrt(0.2 * 0.8 / values.size)).all()
    labels = rows[:, REQUEST.index("label")]
    assert np.unique(labels[labels > 0]).size == np.count_nonzero(labels > 0)


@pytest.mark.parametrize(
    ("distribution", "mean", "variance"),
    [
        (Constant(value=0.3), 0.3, 0.0),
        (Exponential(dist="exponential", mean=0.3), 0.3, 0.09),
        (Lognormal(dist="lognormal", median=0.3, sigma=0.5), 0.3 * np.exp(0.125), 0.09 * np.exp(0.25) * (np.exp(0.25) - 1)),
        (Gamma(dist="gamma", mean=0.3, shape=3), 0.3, 0.03),
        (Empirical(dist="empirical", values=[0.0, 0.6]), 0.3, 0.03),
    ],
)
def test_a_distribution_has_the_mean_and_the_variance_of_its_law(distribution, mean, variance):
    sample = distribution.quantile(Streams(3, 0).uniform("x", 40_000))
    assert_mean(sample, mean)
    assert_mean((sample - mean) ** 2, variance)
    assert (np.diff(distribution.quantile(np.linspace(0.001, 0.999, 50))) >= 0).all()


@settings(max_examples=40)
@given(workload=workloads(), seed=SEEDS)
def test_the_arrays_of_any_workload_fit_together(workload, seed):
    traffic = draw(workload, CASE, seed, 1)
    flows, transactions = traffic.kind.size, traffic.site.size
    assert traffic.first[0] == 0
    assert traffic.first[-1] == transactions
    assert (np.diff(traffic.arrive) >= 0).all()
    for number, kind in enumerate(traffic.kinds):
        sites = [CASE.sites.index(site) for site in workload.traffic[kind].steps]
        for flow in np.flatnonzero(traffic.kind == number):
            assert traffic.site[traffic.first[flow] : traffic.first[flow + 1]].tolist() == sites
            allowed = workload.traffic[kind].gateways or range(workload.store.gateways)
            assert traffic.gateway[flow] in allowed
    for field in dataclasses.fields(traffic):
        column = getattr(traffic, field.name)
        if isinstance(column, np.ndarray):
            sizes = {"first": flows + 1, "initial": workload.sessions.count}
            size = sizes.get(field.name, flows if field.name in ("kind", "arrive", "session", "gateway") else transactions)
            assert len(column) == size
            assert (column >= (ABSENT if field.name == "request" else 0)).all()
    assert (traffic.session < workload.sessions.count).all()


def test_more_busy_periods_than_any_traffic_needs_are_refused(refused):
    flow = Flow.model_validate(
        {"rate": 1, "arrivals": {"kind": "bursty", "busy": 0.001, "idle": 0.001}, "steps": {"patch": []}}
    )
    line = refused(arrivals, flow, 1e6, "edits", Streams(1, 0))
    assert line == "traffic.edits.arrivals: periods of 0.001 and 0.001 s are some 1e+09 in 1e+06 s; allowed: 20,000,000"


def test_each_replicate_and_the_beginning_of_one_keep_the_streams_that_later_attempts_draw_from():
    workload = load_workload("busy-team", ["duration=60"])
    for replicate, traffic in enumerate(draw_all(workload, CASE, 7, [0, 1, 2])):
        for part in (traffic, beginning(traffic, 20)):
            assert part.streams is not None
            drawn = part.streams.uniform("turn.handler.hold#2", 5)
            assert (drawn == Streams(7, replicate).uniform("turn.handler.hold#2", 5)).all()
