"""Whose times stand for what a source does not tell, against what is promised: asked for, and said in every output."""

import pytest
import yaml

from simlib.calibrate.evidence import write_workload
from simlib.calibrate.source import calibrate
from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.workload.workload import load_workload

CASE = """
case: cart
title: a cart that is stored whole
baseline: whole
fields: {one: {domain: d}, two: {domain: d}}
sites: {add: {role: unit, snapshot: own}}
reference: {add: {"*": {value: request.*, when: requested}}}
strategies: {whole: {title: t, sites: {add: {"*": "request.* ?? stale.*"}}}}
"""
OWN = """
workload: own
about: the same program
case: cart.yaml
duration: 10
sessions: {count: 2}
values: {d: 3}
traffic: {add: {rate: 1, steps: {add: [{ask: [one]}]}}}
times: {add: {prepare: 0.25, hold: 0.5}}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "cart.yaml").write_text(CASE)
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "trace.csv").write_text("time,kind,session,fields\n" + "".join(f"{n},add,s,one=x\n" for n in range(9)))
    (tmp_path / "deep").mkdir()
    return tmp_path


def calibrated(place, times_from):
    """What `calibrate` writes into another folder than the case's, read back from there."""
    case, out = load_case(str(place / "cart.yaml")), place / "deep" / "out.yaml"
    write_workload(calibrate(str(place / "trace.csv"), case, case_name="../cart.yaml", times_from=times_from), out)
    return load_workload(str(out)), case


def test_without_times_they_are_asked_for(place, refused):
    message = refused(calibrate, str(place / "trace.csv"), load_case(str(place / "cart.yaml")))
    assert message.endswith("say whose times to take: --times-from WORKLOAD")


def test_times_of_the_same_program_are_taken_without_a_warning(place):
    workload, case = calibrated(place, str(place / "own.yaml"))
    assert (workload.times["add"].prepare.value, workload.times["add"].hold.value) == (0.25, 0.5)
    assert workload.warning() == ""
    assert "times_from" not in yaml.safe_load((place / "deep" / "out.yaml").read_text())
    assert load_case(workload.case).name == case.name


def test_times_of_another_program_are_said_in_the_workload_and_in_the_result(place):
    workload, case = calibrated(place, "quiet")
    assert "quiet (case openclaw-70575), another program" in workload.warning()
    result = run(workload.model_copy(update={"duration": 5.0}), case, replicates=2)
    assert result.to_json()["times_from"] == "quiet (case openclaw-70575)"


def test_a_source_that_tells_its_times_takes_none(refused):
    source = "store-2026.4.22-after-19328"
    assert "tells its own times" in refused(lambda: calibrate(source, load_case("openclaw-70575"), times_from="quiet"))
