"""Loads: served times by hand, the cliff against theory, and every recorded phase against its prediction."""

import json
from dataclasses import replace

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.shipped import DATA
from simlib.validate.loads import Phase, predict_phase, read_phases
from simlib.validate.validate import validate

CASE = load_case("openclaw-cures")
PATHS = sorted((DATA / "recordings").glob("gateway-conflict-*.json"))
PHASES = [phase for path in PATHS for phase in read_phases(path, CASE)]


def test_served_times_against_a_queue_written_by_hand():
    # The second waits for the first; the third comes to an idle writer.
    phase = Phase("x", "y", 1.0, 9.0, np.array([]), np.array([]), np.array([0.0, 1.0, 8.0]), np.array([3.0, 5.0, 8.5]))
    assert phase.served.tolist() == [3.0, 2.0, 0.5]


def test_the_recordings_against_what_the_design_says_of_them():
    failed = {(phase.source, phase.rate): (int(phase.failed.sum()), phase.units.size) for phase in PHASES}
    assert len(failed) == 18
    skills_off = [failed["gateway-conflict-2026.6.11" + more, rate] for more, rate in (("", 0), ("", 1), ("", 5))]
    skills_off += [failed["gateway-conflict-2026.6.11-more-rates", rate] for rate in (10, 15)]
    assert (sum(n for n, _ in skills_off), sum(of for _, of in skills_off)) == (0, 212)
    assert failed["gateway-conflict-2026.6.11", 20] == (18, 18)
    assert sum(failed["gateway-conflict-2026.6.11-default-skills", rate][0] for rate in (0, 5)) == 40


@pytest.mark.parametrize(
    "phase", PHASES, ids=[f"{phase.source.removeprefix('gateway-conflict-')}-{phase.rate:g}" for phase in PHASES]
)
def test_predicted_failures_and_waits_against_every_recorded_phase(phase):
    found = predict_phase(phase, CASE, replicates=5)
    load = phase.rate * phase.served.mean() if phase.sent.size else 0.0
    if 0.95 < load < 1.05:  # at the edge of the cliff: some fail before the queue has grown, most after
        assert found.failed.mean() > 0.4
        return
    # Of the recorded units with other bytes the first was no session's first, as the model's is.
    assert abs(found.failed.mean() - phase.failed.mean()) <= 1.001 / phase.units.size
    if load and load < 0.9:  # the median wait is then the time of one write, whose spread the model leaves out
        assert phase.waited / 2 < found.waited.mean() < 2 * phase.waited


def test_the_cliff_against_a_writer_that_can_serve_so_many_and_no_more():
    """Every write takes 45 ms, so the writer is full at 22 a second; an exponential law would rise from the first write on."""
    units, sent = np.arange(0.03, 40, 1.01), np.arange(0, 40, 0.1)
    source, rule = "gateway-conflict-2026.6.11", "bytes-retry-once"
    steady = Phase(source, rule, 10.0, 40.0, units, np.zeros(units.size, dtype=bool), sent, sent + 0.045)
    failed = {rate: predict_phase(replace(steady, rate=rate), CASE, replicates=3).failed.mean() for rate in (5, 15, 19, 25, 40)}
    assert max(failed[rate] for rate in (5, 15, 19)) < 0.03
    assert min(failed[rate] for rate in (25, 40)) > 0.9


def test_a_recording_is_told_from_others_and_its_phases_are_figures_of_a_validation():
    found = validate(["gateway-conflict-2026.6.11-default-skills"], CASE, replicates=2)
    assert [figure.figure for figure in found.figures] == ["failed, 0 a second", "failed, 5 a second", "wait_p50_s, 5 a second"]
    assert [condition.observed for condition in found.conditions] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("other", {}, "does not say what it shows; did you mean"),
        ("gateway-conflict-2026.7.1", [], "not a recording of loads"),
        ("gateway-conflict-2026.7.1", {"rates": [{"summary": {}}]}, "not a recording of loads: KeyError('turns')"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(name, data, says, tmp_path, refused):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(data))
    assert says.split(";")[0] in refused(read_phases, path, CASE)
