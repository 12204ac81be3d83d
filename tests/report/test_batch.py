"""Batches, against what is promised: what is finished stays, what fails is a page that says why, and the others go on."""

import json
import os
import re
import signal
import subprocess
import sys

import nbformat
import pytest
from batches import batch_file
from processes import wait_until

from simlib.common.errors import RunError
from simlib.common.lock import locked
from simlib.report.batch import run_batch
from simlib.report.batch_file import load_batch
from simlib.report.batch_folder import read_history, read_records


def run(path, out, **options):
    lines = []
    batch, members = load_batch(path)
    records = run_batch(batch, members, out, jobs=2, say=lines.append, **options)
    return {record.member: record for record in records}, lines


def ran(folder):
    return sorted((folder / "ran").read_text().split()) if (folder / "ran").exists() else []


def test_members_that_fail_leave_a_page_with_the_error_and_the_others_go_on(tmp_path):
    members = "  good: {}\n  bad: {notebook: fails.ipynb}\n  dead: {notebook: dies.ipynb}\n"
    found, lines = run(batch_file(tmp_path, members), tmp_path / "out")
    assert {name: record.state for name, record in found.items()} == {"good": "done", "bad": "failed", "dead": "failed"}
    assert (found["good"].verdict, found["good"].rates["mine"].estimate) == ("fine", 0.25)
    page = (tmp_path / "out" / "bad.html").read_text()
    assert re.search("<strong>Failed.</strong> fails.ipynb: cell . failed: ValueError: &lt;script&gt;no", page)
    assert "<script>no" not in page
    assert page.index("Failed.") < page.index("so far")
    assert "the kernel ended before it was done" in (tmp_path / "out" / "dead.html").read_text()
    assert {path.name for path in (tmp_path / "out").glob("*.ipynb")} == {"bad.failed.ipynb", "dead.failed.ipynb"}
    assert nbformat.read(tmp_path / "out" / "bad.failed.ipynb", as_version=4).cells
    assert len(lines) == 3
    assert any(line.startswith("3/3 ") for line in lines)
    index = (tmp_path / "out" / "index.html").read_text()
    assert index.count("<tr>") == 4
    assert "3 reports, 2 failed" in index
    assert set(read_history(tmp_path / "out")) == {"good"}


@pytest.mark.slow
def test_a_second_run_makes_only_what_is_missing_changed_or_failed(tmp_path):
    members = "  one: {parameters: {mark: one}}\n  two: {parameters: {mark: two}}\n"
    members += "  gone: {parameters: {mark: gone}}\n  bad: {notebook: fails.ipynb, parameters: {mark: bad}}\n"
    run(batch_file(tmp_path, members), tmp_path / "out")
    (tmp_path / "ran").unlink()
    (tmp_path / "out" / "gone.json").write_text("{cut")
    found, lines = run(batch_file(tmp_path, members.replace("{mark: two}", "{mark: two, rate: 0.5}")), tmp_path / "out")
    assert ran(tmp_path) == ["bad", "gone", "two"]
    assert any("two: done in" in line and "(changed: parameters)" in line for line in lines)
    assert "1 of 4 reports are there already" in lines
    assert found["two"].rates["mine"].estimate == 0.5
    assert [point.rates["mine"].estimate for point in read_history(tmp_path / "out")["two"]] == [0.25, 0.5]
    index = (tmp_path / "out" / "index.html").read_text()
    assert "parameters changed: 25.0 % (22.5 to 27.5 %), then 50.0 % (45.0 to 55.0 %)" in index


@pytest.mark.slow
def test_force_makes_all_of_them(tmp_path):
    path = batch_file(tmp_path, "  one: {parameters: {mark: one}}\n")
    for again in (False, False, True):
        run(path, tmp_path / "out", again=again)
    assert ran(tmp_path) == ["one", "one"]


@pytest.mark.slow
def test_a_member_that_kills_its_worker_is_given_up_after_three_times(tmp_path):
    found, _ = run(batch_file(tmp_path, "  k: {notebook: kills.ipynb, parameters: {mark: k}}\n"), tmp_path / "out")
    assert found["k"].reason == "a worker process died: it was ended by SIGKILL (out of memory?), 3 times"
    assert ran(tmp_path) == ["k", "k", "k"]
    assert "3 times" in (tmp_path / "out" / "k.html").read_text()


@pytest.mark.slow
def test_a_hostile_name_decides_no_path_and_no_markup(tmp_path):
    name = "../../<img src=x onerror=alert(1)>\u202e"
    run(batch_file(tmp_path, f"  {json.dumps(name)}: {{parameters: {{verdict: '<b>x</b>'}}}}\n"), tmp_path / "out")
    made = {path.name for path in (tmp_path / "out").iterdir()} - {".lock", "index.html", "history.jsonl"}
    assert len(made) == 2
    assert not [path for path in tmp_path.parent.iterdir() if "img" in path.name]
    index = (tmp_path / "out" / "index.html").read_text()
    assert "<img" not in index
    assert "<b>" not in index
    assert "\u202e" not in index


def test_two_batches_in_one_folder_at_once_are_refused(tmp_path):
    path = batch_file(tmp_path, "  one: {}\n")
    with locked(tmp_path / "out", "batch"), pytest.raises(RunError, match="another batch is at work"):
        run(path, tmp_path / "out")


def command(path, out, *options):
    return [sys.executable, "-m", "simlib", "batch", path, "--out", str(out), "--jobs", "2", *options]


@pytest.mark.slow
def test_the_command_prints_json_and_exits_with_1_if_one_failed(tmp_path):
    path = batch_file(tmp_path, "  one: {}\n  bad: {notebook: fails.ipynb}\n")
    done = subprocess.run(command(path, tmp_path / "out", "--json"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert [(member["name"], member["state"]) for member in json.loads(done.stdout)["members"]] == [
        ("one", "done"),
        ("bad", "failed"),
    ]
    assert "1 of 2 reports failed" in done.stderr
    (tmp_path / "out" / "index.html").unlink()
    done = subprocess.run(command(path, tmp_path / "out", "--index-only"), capture_output=True, timeout=120, check=False)
    assert (done.returncode, (tmp_path / "out" / "index.html").is_file()) == (0, True)


@pytest.mark.slow
def test_an_interrupted_batch_keeps_what_is_finished(tmp_path):
    members = "  one: {}\n  two: {notebook: waits.ipynb}\n  three: {notebook: waits.ipynb}\n"
    path = batch_file(tmp_path, members)
    notebook = nbformat.read(tmp_path / "works.ipynb", as_version=4)
    notebook.cells[-1].source = "import threading; threading.Event().wait()"
    nbformat.write(notebook, tmp_path / "waits.ipynb")
    running = subprocess.Popen(command(path, tmp_path / "out"), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: (tmp_path / "out" / "one.json").exists(), "one is done")
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(30) == 130
    assert set(read_records(tmp_path / "out")) == {"one"}
    assert 'href="one.html"' in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.slow
def test_twelve_members_of_which_one_fails_and_one_kills_its_kernel(tmp_path):
    members = "  good: {matrix: {rate: [0.1, 0.2, 0.3, 0.4, 0.5], verdict: [a, b]}}\n"
    members += "  bad: {notebook: fails.ipynb}\n  dead: {notebook: dies.ipynb}\n"
    path = batch_file(tmp_path, members)
    done = subprocess.run(command(path, tmp_path / "out", "--json"), capture_output=True, text=True, timeout=300, check=False)
    states = [member["state"] for member in json.loads(done.stdout)["members"]]
    assert (done.returncode, states) == (1, ["done"] * 10 + ["failed"] * 2)
    assert len(list((tmp_path / "out").glob("*.html"))) == 13
    assert len(list((tmp_path / "out").glob("*.failed.ipynb"))) == 2
    assert "12 reports, 2 failed" in (tmp_path / "out" / "index.html").read_text()
