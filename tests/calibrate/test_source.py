import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from simlib.calibrate.arrivals import fit_arrivals, fit_popularity
from simlib.calibrate.evidence import empirical, write_workload
from simlib.calibrate.from_history import calibrate_history
from simlib.calibrate.from_log import calibrate_log
from simlib.calibrate.from_trace import calibrate_trace
from simlib.calibrate.source import calibrate
from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.common.shipped import DATA
from simlib.model.simpy_model import simulate
from simlib.replay.recording import shipped_recordings
from simlib.workload.distributions import Empirical
from simlib.workload.traffic import Streams, arrivals, draw
from simlib.workload.workload import Bursty, Flow, load_workload

CASE = load_case("openclaw-70575")
LOG = DATA / "recordings" / "gateway-log-2026.4.22.jsonl.gz"
TRUTH = json.loads((DATA / "recordings" / "gateway-log-2026.4.22.truth.json").read_text())


def log_lines() -> list[str]:
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def test_empirical_distribution_against_the_sample_it_is_made_from() -> None:
    sample = np.random.default_rng(1).lognormal(0.0, 1.0, 20_000)
    drawn = Empirical.model_validate(empirical(sample)).quantile((np.arange(100_000) + 0.5) / 100_000)
    error = sample.std() / np.sqrt(sample.size)
    assert abs(drawn.mean() - sample.mean()) < 2 * error  # the median of 20,000 is not the question, its grid of 200 is
    assert np.quantile(drawn, [0.1, 0.5, 0.9, 0.99]) == pytest.approx(np.quantile(sample, [0.1, 0.5, 0.9, 0.99]), rel=0.02)


def test_a_calibration_of_the_model_gives_back_the_workload_that_was_run() -> None:
    truth = load_workload("handler-only", ["duration=200", "sessions.popularity=zipf"])
    history = simulate(truth, CASE, draw(truth, CASE, 3, 0))
    found = calibrate_history(history, CASE, "a run of the model").workload
    for name, flow in truth.traffic.items():
        assert abs(found.traffic[name].rate - flow.rate) < 4 * np.sqrt(flow.rate / 200)
    assert found.sessions.count == 10
    assert found.sessions.exponent == pytest.approx(1.0, abs=0.05)
    uniform = np.linspace(0.0005, 0.9995, 1000)
    for site in ("handler", "patch"):
        expected, got = truth.times[site].hold.quantile(uniform), found.times[site].hold.quantile(uniform)
        assert abs(got.mean() - expected.mean()) < 4 * expected.std() / np.sqrt(15 * 200)
    assert {len(found.traffic[kind].steps) for kind in found.traffic} == {1}


def test_a_time_out_is_found_again_to_within_a_poll() -> None:
    settings = ["duration=60", "store.gateways=2", "store.lock_timeout=0.05", "times.handler.hold=0.025"]
    workload = load_workload("handler-only", settings)
    history = simulate(workload, CASE, draw(workload, CASE, 3, 0))
    assert not history.ok.all()
    found = calibrate_history(history, CASE, "model")
    assert 0.05 <= found.workload.store.lock_timeout <= 0.05 + 2 * workload.store.lock_poll
    assert any("time-out" in line for line in found.assumed)


@pytest.mark.parametrize("name", [*shipped_recordings(), LOG.name])
def test_a_written_workload_is_read_back_equal(name: str, tmp_path: Path) -> None:
    calibration = calibrate(str(DATA / "recordings" / LOG.name) if name == LOG.name else name, CASE)
    write_workload(calibration, tmp_path / "w.yaml")
    assert load_workload(str(tmp_path / "w.yaml")) == calibration.workload
    assert "# - " in calibration.text()  # it says what it assumed
    assert simulate(calibration.workload, CASE, draw(calibration.workload, CASE, 1, 0)).ok.all()


def test_burstiness_against_the_on_off_source_that_drew_it() -> None:
    flow = Flow(rate=2.0, arrivals=Bursty(kind="bursty", busy=20, idle=80), steps={"patch": []})
    fits = [fit_arrivals(arrivals(flow, 20_000, "x", Streams(seed, 0)), 20_000) for seed in range(5)]
    assert all(fit.bursty for fit in fits)
    for name, expected in (("rate", 2.0), ("busy", 20.0), ("idle", 80.0)):
        values = np.array([getattr(fit, name) for fit in fits])
        assert abs(values.mean() - expected) < 5 * values.std(ddof=1) / np.sqrt(values.size)


def test_poisson_arrivals_and_equal_popularity_are_recognised() -> None:
    flow = Flow(rate=2.0, steps={"patch": []})
    assert not any(fit_arrivals(arrivals(flow, 2000, "x", Streams(seed, 0)), 2000).bursty for seed in range(10))
    assert fit_popularity(np.sort(np.random.default_rng(1).multinomial(2000, [0.1] * 10))[::-1]).exponent == 0


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


ROWS = [(0.5 * number, "turn" if number % 3 else "patch", f"s{number % 4}", {"label": f"L{number}"}) for number in range(60)]


def test_a_csv_trace_and_the_same_one_as_json_lines_give_one_workload(tmp_path: Path) -> None:
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    table.write_text("time,kind,session,fields\n" + "".join(f"{t},{k},{s},label={f['label']}\n" for t, k, s, f in ROWS))
    lines.write_text("".join(json.dumps({"time": t, "kind": k, "session": s, "fields": f}) + "\n" for t, k, s, f in ROWS))
    one, other = calibrate(str(table), CASE).workload, calibrate(str(lines), CASE).workload
    assert one.model_copy(update={"about": ""}) == other.model_copy(update={"about": ""})
    assert list(one.traffic["turn"].steps) == ["handler", "run_start", "run_end"]
    assert one.traffic["patch"].steps["patch"][0].ask == ["label"]
    assert one.traffic["patch"].rate == pytest.approx(20 / 29.5, rel=1e-4)
    assert one.values["label"] == "many"
    assert one.sessions.count == 4


def test_broken_lines_of_a_trace_are_reported_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "time,kind,session,fields\n0,patch,a,label=x\nsoon,patch,a,\n1,nonsense,a,\n2,patch,a,colour=red\n3,patch\n"
        "2026-11-22T08:20:00Z,patch,b,\n4,turn,b,label=\n"
    )
    assert "Broken lines, not used: 4 (line 3-6)." in calibrate_trace(path, CASE).text()


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no line has a time"), ("hello\n", "begins with a line"), ("time,kind\nx,y\n", "no line has a time")],
)
def test_what_is_no_trace_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        calibrate_trace(path, CASE)


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
    assert Counter(peaks)
