"""Resampled replicates: every flow against the one of the source that it was, and blocks against their definition."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from schedules import CASE
from scipy import stats
from timelines import Row, timeline

from simlib.calibrate.evidence import Step
from simlib.common.errors import InputError
from simlib.model.compiled_model import simulate
from simlib.model.history import History
from simlib.validate.resample import BLOCKS, Part, drawn_rows, make_part, repeated, resampled

TURN, INBOUND = ("handler", "run_start", "run_end"), ("inbound",)
FLOWS, CUT = 60, (3, 27)
FREE = 0.001


def source(two_gateways: bool = False) -> History:
    """A flow a second, turns among inbound writes. Nobody waits for the lock, each row has times of its own, two turns are cut.

    A turn goes on while the next write is under way, so the rows of the flows are mixed.
    """
    rows: list[Row] = []
    for flow in range(FLOWS):
        turn = flow % 3 == 0
        read = 100.0 + flow + 0.1 * (flow % 3)
        for step, site in enumerate(TURN[: 2 if flow in CUT else 3] if turn else INBOUND):
            mark = 1e-5 * (1 + len(rows))  # of this row alone
            read += (0.75 + mark) if step else 0.0
            queued = read + 0.01 + 2 * mark
            lock = queued + FREE + mark
            end = lock + 0.02 + 3 * mark
            asks: dict[str, str | None] = {"label": f"L{flow % 5}"} if step == 0 and flow % 2 else {}
            rows.append(
                Row(site, read, lock, end, queued=queued, session=flow % 4, flow=flow, snapshot=-1, request=asks,
                    kind="turn" if turn else "inbound", gateway=flow % 2 if two_gateways else 0)
            )  # fmt: skip
            read = end
    return timeline(*sorted(rows, key=lambda row: row.end), sessions=6)


@pytest.fixture(scope="module")
def part() -> Part:
    return make_part(source(), CASE, "x")


def flow_of_hold(part: Part) -> dict[float, int]:
    """The hold of each flow's first row -> the flow."""
    hold = part.locking.hold_in(part.history)[part.rows]
    return {float(seconds): flow for flow, seconds in enumerate(hold[part.first[:-1]])}


# ---- a part ------------------------------------------------------------------------------------------------------------------


def test_a_part_lists_its_rows_flow_by_flow(part: Part) -> None:
    history = part.history
    assert sorted(part.rows.tolist()) == list(range(len(history)))
    assert part.first[0] == 0
    assert part.first[-1] == len(history)
    assert part.first.size == FLOWS + 1
    for flow in range(FLOWS):
        rows = part.rows[part.first[flow] : part.first[flow + 1]]
        assert set(history.flow[rows].tolist()) == {flow}
        assert (np.diff(history.read[rows]) > 0).all()
    assert part.arrive == pytest.approx([flow + 0.1 * (flow % 3) for flow in range(FLOWS)])
    # Kinds are numbered among those that are there: no flow is a patch.
    assert list(part.evidence.steps) == ["turn", "inbound"]
    assert part.kind.tolist() == [int(flow % 3 > 0) for flow in range(FLOWS)]
    assert part.stand_ins[0].tolist() == [flow for flow in range(0, FLOWS, 3) if flow not in CUT]
    assert part.stand_ins[1].tolist() == [flow for flow in range(FLOWS) if flow % 3]


def test_a_part_without_a_complete_flow_of_some_kind_is_refused() -> None:
    # A turn that wrote twice at one site has another number of steps than it has sites.
    history = source()
    whole = np.isin(history.flow, [0]) & (history.site != CASE.sites.index("run_start"))
    site = np.where(whole, CASE.sites.index("handler"), history.site)
    kept = (history.flow % 3 > 0) | whole
    columns = ("flow", "kind", "session", "gateway", "read", "queued", "lock", "end", "ok", "snapshot", "request")
    broken = replace(history, site=site[kept], **{name: getattr(history, name)[kept] for name in columns})
    with pytest.raises(InputError, match=r"^x: no complete flow of kind 'turn' in one half; the source is too short$"):
        make_part(broken, CASE, "x")


# ---- a replicate -------------------------------------------------------------------------------------------------------------


def test_each_flow_of_a_replicate_is_a_whole_one_of_the_source(part: Part) -> None:
    workload, traffic, acquire = resampled(part, CASE, 50.0, seed=1, replicate=0)
    history, flows = part.history, flow_of_hold(part)
    assert workload.duration == 50.0
    assert list(workload.traffic) == ["turn", "inbound"]
    for number in range(traffic.arrive.size):
        drawn = slice(traffic.first[number], traffic.first[number + 1])
        flow = flows[float(traffic.hold[drawn][0])]
        rows = part.rows[part.first[flow] : part.first[flow + 1]]
        assert traffic.kind[number] == part.kind[flow]
        assert flow not in CUT
        assert np.array_equal(traffic.site[drawn], history.site[rows])
        assert traffic.hold[drawn] == pytest.approx((history.end - history.queued)[rows])  # lock to commit, and taking it
        assert traffic.prepare[drawn] == pytest.approx((history.queued - history.read)[rows])
        assert acquire[drawn] == pytest.approx((history.lock - history.queued)[rows])
        assert traffic.after[drawn] == pytest.approx([0.0, *(history.read[rows[1:]] - history.end[rows[:-1]])])


def test_a_block_keeps_the_distances_of_its_arrivals_and_begins_anywhere_in_the_source(part: Part) -> None:
    flows, length = flow_of_hold(part), part.arrive.max() / BLOCKS
    starts: list[float] = []
    counts = []
    for replicate in range(60):
        _, traffic, _ = resampled(part, CASE, 10 * length, seed=1, replicate=replicate)
        counts.append(traffic.arrive.size)
        assert (np.diff(traffic.arrive) >= 0).all()
        assert traffic.arrive.min() >= 0
        assert traffic.arrive.max() < 10 * length
        block = (traffic.arrive / length).astype(int)
        flow = np.array([flows[float(traffic.hold[first])] for first in traffic.first[:-1]])
        began = part.arrive[flow] - (traffic.arrive - block * length)
        own = traffic.kind == 1  # an inbound write is never replaced; a turn may stand for one that was cut
        for number in range(10):
            here = began[(block == number) & own]
            if here.size:
                assert np.ptp(here) < 1e-9
                starts.append(float(here[0]))
    assert 0 <= min(starts) < 1
    assert max(starts) <= part.arrive.max() - length
    assert stats.kstest(np.array(starts) / (part.arrive.max() - length), "uniform").pvalue > 1e-3
    # A block of 3 s holds 2 to 4 of the source's flows.
    assert np.mean(counts) == pytest.approx(30, abs=4 * np.std(counts) / np.sqrt(60) + 0.5)


def test_a_cut_flow_is_replaced_by_any_complete_one_of_its_kind(part: Part) -> None:
    only = replace(part, stand_ins=(np.array([0, 6]), part.stand_ins[1]))  # as if every other turn had been cut
    flows = flow_of_hold(part)
    seen: Counter[int] = Counter()
    for replicate in range(10):
        _, traffic, _ = resampled(only, CASE, 60.0, seed=1, replicate=replicate)
        seen.update(flows[float(traffic.hold[first])] for first in traffic.first[:-1][traffic.kind == 0])
    assert set(seen) == {0, 6}
    assert abs(seen[0] - seen[6]) < 4 * np.sqrt(seen.total())


def test_a_replicate_is_cut_at_its_duration_within_a_block(part: Part) -> None:
    length = part.arrive.max() / BLOCKS
    sizes = []
    for replicate in range(40):
        _, traffic, _ = resampled(part, CASE, 2.5 * length, seed=1, replicate=replicate)
        assert traffic.arrive.max() < 2.5 * length
        sizes.append((traffic.arrive > 2 * length).any())
    assert any(sizes)  # half of the third block is there


@pytest.mark.parametrize("pace", [1.0, 0.1])
def test_a_replicate_is_filled_to_its_end_however_short_the_blocks(pace: float) -> None:
    history = source()
    columns = {name: pace * getattr(history, name) for name in ("read", "queued", "lock", "end")}
    part = make_part(replace(history, **columns), CASE, "x")
    length = part.arrive.max() / BLOCKS
    _, traffic, _ = resampled(part, CASE, 12 * length, seed=1, replicate=0)
    assert traffic.arrive.max() > 11 * length


def test_shapes_of_requests_are_redrawn_as_many_in_all(part: Part) -> None:
    shapes = Counter({(("label",), ()): 30, ((), ()): 10, ((), ("label",)): 1})
    steps = {"turn": [Step("handler", shapes), *part.evidence.steps["turn"][1:]], "inbound": part.evidence.steps["inbound"]}
    known = replace(part, evidence=replace(part.evidence, steps=steps))
    label, rare = [], []
    for replicate in range(200):
        workload = resampled(known, CASE, 20.0, seed=1, replicate=replicate)[0]
        weights = {(tuple(s.ask), tuple(s.clear)): s.weight for s in workload.traffic["turn"].steps["handler"]}
        assert sum(weights.values()) == 41
        assert all(weights.values())
        label.append(weights[("label",), ()])
        rare.append(weights.get(((), ("label",)), 0))
        assert workload.traffic["turn"].steps["run_start"] == []
    variance = 41 * (30 / 41) * (11 / 41)  # of a multinomial count; 200 of them tell it to within a tenth
    assert abs(np.mean(label) - 30) < 4 * np.sqrt(variance / 200)
    assert np.var(label, ddof=1) == pytest.approx(variance, rel=0.4)
    assert 0 in rare


# ---- the source as it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two_gateways", [False, True])
def test_the_source_repeated_by_the_model_is_the_source(two_gateways: bool) -> None:
    history = source(two_gateways)
    if two_gateways:  # and flows that are not numbered in the order of their arrival
        history = replace(history, flow=history.flow.max() - history.flow)
    part = make_part(history, CASE, "x")
    workload, traffic, acquire, rows = repeated(part, CASE)
    assert workload.sessions.count == 6  # of which four were ever used
    assert workload.store.gateways == 1 + two_gateways
    timeline = simulate(workload, CASE, traffic)
    row = rows[drawn_rows(timeline, traffic)]
    assert sorted(row.tolist()) == list(range(len(history)))
    for name in ("site", "session", "gateway"):
        assert np.array_equal(getattr(timeline, name), getattr(history, name)[row])
    assert np.array_equal(timeline.request, history.request[row])
    start = history.read.min()
    for name in ("read", "queued", "end"):
        assert getattr(timeline, name) + start == pytest.approx(getattr(history, name)[row])
    assert timeline.lock + start + acquire[drawn_rows(timeline, traffic)] == pytest.approx(history.lock[row])
    assert np.array_equal(traffic.initial, history.initial)
    assert not traffic.compute.any()
    # A run_end shows what its run_start had read.
    inherits = dict(zip(traffic.site.tolist(), traffic.inherits.tolist(), strict=True))
    assert {CASE.sites[site]: back for site, back in inherits.items()} == {
        "handler": 0, "run_start": 0, "run_end": 1, "inbound": 0,
    }  # fmt: skip
