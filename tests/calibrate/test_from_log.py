"""Calibrations of a process's log: against what its driver offered, and against logs written by hand."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from schedules import CASE

from simlib.calibrate.evidence import Calibration
from simlib.calibrate.from_log import _divided, calibrate_log
from simlib.calibrate.source import calibrate
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.workload.distributions import Distribution, Empirical
from simlib.workload.workload import load_workload

LOG = DATA / "recordings" / "gateway-log-2026.4.22.jsonl.gz"
TRUTH = json.loads((DATA / "recordings" / "gateway-log-2026.4.22.truth.json").read_text())


def log_lines() -> list[str]:
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def test_log_calibration_against_what_the_driver_offered() -> None:
    workload = calibrate_log(LOG, CASE).workload
    seconds = workload.duration
    for flow, method in (("failed-turn", "agent"), ("patch", "sessions.patch")):
        sent = TRUTH["sent"][method]
        assert workload.traffic[flow].rate == pytest.approx(sent / seconds, rel=1e-4)  # every request is found
        offered = TRUTH["offered_per_s"][method]
        assert abs(sent / TRUTH["seconds"] - offered) < 4 * np.sqrt(offered / TRUTH["seconds"])  # and that is Poisson
    assert workload.sessions.count <= TRUTH["sessions"]
    assert workload.sessions.exponent == pytest.approx(1.0, abs=0.3)  # its standard error is 0.11


def test_a_log_without_verbose_is_refused_with_the_reason(tmp_path: Path) -> None:
    kept = [line for line in log_lines() if "← req" not in line and ("res ✗" in line or "gateway/ws" not in line)]
    path = tmp_path / "quiet.jsonl"
    path.write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(InputError, match="--verbose"):
        calibrate_log(path, CASE)


def test_broken_lines_of_a_log_are_reported_by_their_numbers(tmp_path: Path) -> None:
    lines = log_lines()
    for number in (5, 6, 7, 200):
        lines.insert(number - 1, '{"half a line')
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    calibration = calibrate(str(path), CASE)
    assert "Broken lines, not used: 4 (line 5-7, 200)." in calibration.text()
    assert calibration.workload.traffic == calibrate_log(LOG, CASE).workload.traffic


def test_a_log_cut_off_within_its_compression_is_used_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(LOG.read_bytes()[:-4000])
    assert "Broken lines, not used: 1 (line " in calibrate_log(path, CASE).text()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lines_of_a_log(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for times in (2, 20):
        path = tmp_path / f"{times}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(times):
                file.write("\n".join(log_lines()) + "\n")
        tracemalloc.start()
        calibrate_log(path, CASE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.1 * (tmp_path / "20.jsonl").stat().st_size


# ---- by hand -----------------------------------------------------------------------------------------------------------------

USUAL = load_workload(str(CASE.sections.usual))
START = datetime(2026, 1, 1, tzinfo=UTC)
SUBSYSTEM = '{"subsystem":"gateway/ws"}'


def line(seconds: float, text: Any, subsystem: str = SUBSYSTEM) -> str:
    return json.dumps({"0": subsystem, "1": text, "time": (START + timedelta(seconds=seconds)).isoformat()})


def unit(number: int, at: float, took: int, ended: float | None, mark: str = "✓", session: str | None = "s0") -> list[str]:
    """A unit of work: accepted after `took` milliseconds, and ended so many seconds after that."""
    run, who = f"abcdefgh-0000-{number:04d}", f"conn=c id=u{number}"
    accepted = at + took / 1000
    lines = [line(at, f"← req agent {who}"), line(accepted, f"→ res ✓ agent {took}ms runId={run} {who}")]
    if session:
        lines.append(line(accepted, f"→ event agent seq=1 run=abcdefgh…{number:04d} agent=main session={session} stream=x"))
    if ended is not None:
        lines.append(line(accepted + ended, f"→ res {mark} agent runId={run} {who}"))
    return lines


def outside(number: int, at: float, took: int, mark: str = "✓") -> list[str]:
    who = f"conn=c id=p{number}"
    return [line(at, f"← req sessions.patch {who}"), line(at + took / 1000, f"→ res {mark} sessions.patch {took}ms {who}")]


WELL = [line for n in range(6) for line in unit(n, 10.0 * n, 60 + n, 5.0 + n, session=f"s{n % 3 // 2}")]
FAILED = [line for n in range(6, 9) for line in unit(n, 10.0 * n, 60 + n, [0.1, 0.2, 0.6][n - 6], "✗", session="s2")]
PATCHES = [line for n in range(5) for line in outside(n, 90.0 + n, [8, 9, 10, 11, 30][n])]
LAST = [line(100.0, "the end", "other")]


def calibrated(folder: Path, *lines: str) -> Calibration:
    path = folder / "x.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return calibrate_log(path, CASE)


def shows(distribution: Distribution, times: list[float]) -> bool:
    """Whether the distribution is made of these few times."""
    return isinstance(distribution, Empirical) and list(distribution.values) == pytest.approx(sorted(times), abs=1e-6)


def test_traffic_by_hand(tmp_path: Path) -> None:
    workload = calibrated(tmp_path, *WELL, *FAILED, *PATCHES, *LAST).workload
    assert workload.duration == 100.0
    assert {kind: flow.rate for kind, flow in workload.traffic.items()} == {"turn": 0.06, "failed-turn": 0.03, "patch": 0.05}
    assert {kind: list(flow.steps) for kind, flow in workload.traffic.items()} == {
        "turn": ["handler", "run_start", "run_end"], "failed-turn": ["handler", "run_start"], "patch": ["patch"],
    }  # fmt: skip
    # What requests ask for is as usual: of the accepting site and of the outside write.
    asked = {kind: [(s.ask, s.weight) for s in next(iter(flow.steps.values()))] for kind, flow in workload.traffic.items()}
    usual = {kind: [(s.ask, s.weight) for s in next(iter(USUAL.traffic[kind].steps.values()))] for kind in ("turn", "patch")}
    assert {kind: sorted(shapes) for kind, shapes in asked.items()} == {
        "turn": sorted(usual["turn"]), "failed-turn": sorted(usual["turn"]), "patch": sorted(usual["patch"]),
    }  # fmt: skip
    assert workload.sessions.count == 3
    assert workload.sessions.initial == USUAL.sessions.initial
    assert workload.values["model"] == USUAL.values["model"]


def test_times_by_hand(tmp_path: Path) -> None:
    times = calibrated(tmp_path, *WELL, *FAILED, *PATCHES).workload.times
    assert list(times) == ["handler", "run_start", "run_end", "patch"]
    for spans in times.values():  # as long as an outside write takes
        assert shows(spans.hold, [0.008, 0.009, 0.010, 0.011, 0.030])
    assert shows(times["handler"].prepare, [(60 + n) / 1000 - 0.010 for n in range(9)])  # beyond that
    assert shows(times["run_start"].prepare, [0.1, 0.2, 0.6])  # until a unit had failed
    assert shows(times["run_end"].after, [5.0 + n - 0.2 for n in range(6)])  # from when those that fail have written


def test_times_that_are_shorter_than_what_is_taken_off_are_none(tmp_path: Path) -> None:
    quick = [
        line for n in range(4) for line in unit(n, 10.0 * n, 5 + 5 * n, 0.15 + 0.1 * n)
    ]  # patches take 10 ms, failing 0.2 s
    times = calibrated(tmp_path, *quick, *FAILED, *PATCHES).workload.times
    assert shows(times["handler"].prepare, [0.0, 0.0, 0.005, 0.010, 0.056, 0.057, 0.058])
    assert shows(times["run_end"].after, [0.0, 0.05, 0.15, 0.25])


def test_what_a_log_does_not_show_is_as_usual(tmp_path: Path) -> None:
    only_units = calibrated(tmp_path, *WELL)
    times, usual = only_units.workload.times, USUAL.times
    assert list(only_units.workload.traffic) == ["turn"]
    assert list(times) == ["handler", "run_start", "run_end"]
    assert times["handler"].hold == times["run_end"].hold == usual["patch"].hold
    assert shows(times["handler"].prepare, [(60 + n) / 1000 for n in range(6)])
    assert times["run_start"].prepare == usual["run_start"].prepare
    assert shows(times["run_end"].after, [5.0 + n - 0.12 for n in range(6)])  # 0.12 is the median there
    assert only_units.assumed[:5] == (
        "What a request asks for (fields, values): as in busy-team; the log has methods only.",
        "Sessions of outside writes: as of the agent turns, which alone name theirs.",
        "Entries at the start: as in busy-team.",
        "When the agent turn writes after it was accepted: as in busy-team.",
        "Holding the lock: as in busy-team; no outside write was answered.",
    )
    both = calibrated(tmp_path, *WELL, *FAILED, *PATCHES)
    assert both.assumed[3:5] == (
        "A failed agent turn writes when it starts: just when it ends, as late as can be.",
        "Holding the lock: as long as an outside write takes from request to response, wait and all: too long if anything.",
    )


def test_what_was_read_is_said(tmp_path: Path) -> None:
    lines = [*WELL, *FAILED, *PATCHES, *unit(20, 95.0, 60, None), line(96.0, "← req health conn=c id=h1")]
    lines += [line(97.0 + n, f"← req m{min(n, 7)} conn=c id=l{n}") for n in range(9)]
    lines.insert(3, "not JSON")
    assert calibrated(tmp_path, *lines).head[1:4] == (
        f"{len(lines) - 1} lines read. Broken lines, not used: 1 (line 4).",
        "Agent turns that ended well: 6; that failed: 3; not yet ended: 1.",
        "Requests that do not matter here: m7 2, health 1, m0 1, m1 1, m2 1, m3 1, m4 1, m5 1.",  # the first eight
    )
    assert not any("do not matter" in text for text in calibrated(tmp_path, *WELL).head)


@pytest.mark.parametrize(
    "extra",
    [
        [line(50.0, "← req agent conn=c id=u99", '{"subsystem":"other"}')],  # another subsystem's
        [line(50.0, {"← req agent conn=c id=u99": 1})],  # no text
        [line(50.0, "→ res ✓ agent 50ms runId=abcdefgh-0000-0099 conn=c id=u99")],  # its request was before the log
        [line(50.0, "→ event chat run=abcdefgh…0001 session=s9")],  # of no unit of work
        [line(80.0, "→ event agent run=abcdefgh…0001 session=s9")],  # the first word counts
        [line(50.0, "→ res ✗ sessions.patch 900ms conn=c id=p99")],  # an outside write that failed held nothing
        [line(50.0, "→ res ✓ sessions.patch conn=c id=p99")],  # or one that does not say how long
        [line(50.0, "→ event agent run=abcdefgh…0099 session=s9")],  # its unit is not there
    ],
)
def test_lines_that_do_not_count_change_nothing(extra: list[str], tmp_path: Path) -> None:
    lines = [*WELL, *FAILED, *PATCHES, *LAST]
    assert calibrated(tmp_path, *lines, *extra).workload == calibrated(tmp_path, *lines).workload


def test_a_unit_that_was_refused_or_ended_without_being_accepted_tells_no_times(tmp_path: Path) -> None:
    refused = [line(50.0, "← req agent conn=c id=r1"), line(50.9, "→ res ✗ agent 900ms runId=x conn=c id=r1")]
    before, after = (calibrated(tmp_path, *WELL, *FAILED, *PATCHES, *more).workload for more in ([], refused))
    assert after.times == before.times
    assert sum(flow.rate for flow in after.traffic.values()) > sum(flow.rate for flow in before.traffic.values())


def test_what_is_no_log_of_requests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x.jsonl: not a log: no line is JSON with a time\. Broken lines, not used: 2"):
        calibrated(tmp_path, "hello", "[1]")
    with pytest.raises(InputError, match=r"x.jsonl: no request of agent or sessions.patch among 1 lines: without --verbose"):
        calibrated(tmp_path, *LAST)
    with pytest.raises(InputError, match=r"x\.jsonl: 1 responses and no request of agent or sessions\.patch among 2 lines: "):
        calibrated(tmp_path, *LAST, line(1.0, "→ res ✗ agent 7ms conn=c id=u1"))


def test_requests_are_divided_in_any_proportion_exactly_and_evenly() -> None:
    for well in range(40):
        for badly in range(1, 40):
            count = well + badly
            ended, failed = _divided(np.arange(float(count)), well, badly)
            assert (ended.size, failed.size) == (well, badly)
            before = np.searchsorted(ended, np.arange(count + 1))
            assert (np.abs(before - well / count * np.arange(count + 1)) < 1).all()
    of_none, rest = _divided(np.arange(3.0), 0, 0)
    assert (of_none.size, rest.size) == (0, 3)
