"""What a page gives to take away, against the result that it is of."""

import base64
import io
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest
from places import ROOT

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.result import Result
from simlib.report import take_away
from simlib.report.take_away import again, numbers
from simlib.workload.workload import load_workload


@pytest.fixture(scope="module")
def result() -> Result:
    return run(load_workload("handler-only", ["duration=5"]), load_case("openclaw-70575"), replicates=2)


def test_the_links_hold_the_numbers(result: Result) -> None:
    links = re.findall(r'<a download="([^"]+)" href="data:([^;]+);base64,([^"]+)">', numbers(result).text)
    held = {name: base64.b64decode(data).decode() for name, _, data in links}
    assert list(held) == ["strategies.csv", "result.json"]
    assert json.loads(held["result.json"]) == result.to_json()
    frame = pd.read_csv(io.StringIO(held["strategies.csv"]))
    assert frame["strategy"].tolist() == list(result.strategies)
    assert frame["clobber_rate"].tolist() == pytest.approx(result.to_frame()["clobber_rate"].tolist(), nan_ok=True)


def test_it_names_the_commit_the_command_and_the_versions() -> None:
    text = again("simlib report 'a b' --set x=<1>").text
    if (ROOT / ".git").exists():
        commit = subprocess.run([shutil.which("git"), "log", "-1", "--format=%h"], cwd=ROOT, capture_output=True, check=True)
        assert f"git checkout {commit.stdout.decode().strip()}" in text
    assert ".venv/bin/simlib report &#x27;a b&#x27; --set x=&lt;1&gt;" in text
    assert "<li>simpy 4" in text


def test_without_git_or_a_checkout_there_is_the_command_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(take_away, "CHECKOUT", tmp_path)
    assert "git checkout" not in again("simlib report x").text
    monkeypatch.setattr(take_away, "CHECKOUT", None)
    assert "<pre>simlib report x</pre>" in again("simlib report x").text
