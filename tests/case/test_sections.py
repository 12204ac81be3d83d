"""A case without the sections that say how to read what a program leaves behind: it compiles, and refuses what needs them."""

from dataclasses import replace
from functools import partial

import pytest
from schedules import CASE

from simlib.calibrate.source import calibrate
from simlib.case.sections import Known, RecordingsModel, Sections
from simlib.common.shipped import DATA
from simlib.replay.recording import read_recording, shipped_recordings
from simlib.validate.races import read_trials

BARE = replace(CASE, sections=Sections())
RECORDINGS = DATA / "recordings"


@pytest.mark.parametrize(
    ("read", "section"),
    [
        (partial(read_recording, RECORDINGS / f"{shipped_recordings()[0]}.jsonl.gz"), "recordings"),
        (partial(calibrate, str(RECORDINGS / "gateway-log-2026.4.22.jsonl.gz")), "log"),
        (partial(read_trials, RECORDINGS / "gateway-2026.4.22.json"), "races"),
    ],
)
def test_a_case_without_the_section_refuses_what_needs_it_in_one_line(read, section, refused):
    line = refused(read, BARE)
    assert line.startswith(f"{RECORDINGS}/")
    assert f"has no section '{section}'" in line


def test_a_case_without_a_usual_workload_refuses_a_trace_in_one_line(tmp_path, refused):
    trace = tmp_path / "trace.csv"
    trace.write_text("time,kind\n0,patch\n1,patch\n")
    assert "names no workload that has them (`usual: NAME`)" in refused(calibrate, str(trace), BARE)


def test_references_against_those_of_a_section_written_by_hand():
    section = RecordingsModel.model_validate({"kinds": {"sale": {"flow": "checkout", "site": "cart"}}})
    known = Known(sites=["cart", "stock"], flows={"checkout": ["cart"]}, keys=[], strategies=[])
    assert list(section.references(known)) == [
        ("recordings.kinds.sale.flow", "checkout", ["checkout"]),
        ("recordings.kinds.sale.site", "cart", ["cart"]),
    ]
