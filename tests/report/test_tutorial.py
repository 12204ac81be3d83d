"""What the answers to the tutorial's exercises say, against the program."""

import json
import re

import pytest
from places import ROOT

from simlib import load_case, load_workload, prove, replay_strategy, run
from simlib.model.schedule import commit, history_of, read

CASE = load_case("openclaw-70575")
PATCH = commit("patch", label="B")
TEXT = " ".join("".join(cell["source"]) for cell in json.loads((ROOT / "notebooks" / "tutorial.ipynb").read_text())["cells"])


def kinds(schedule, initial, strategy="after-19328", case=CASE):
    history = history_of(case, schedule, initial)
    return replay_strategy(case, case.strategy(strategy), history).to_frame(case)["kind"].tolist()


def rate(workload, case=CASE):
    return 100 * run(workload, case, ["after-19328"], replicates=40).clobber_rate("after-19328").estimate


def test_only_a_commit_between_read_and_commit_is_lost():
    ours = [read("handler"), commit("handler")]
    assert kinds([ours[0], PATCH, ours[1]], {"label": "A"}) == ["reverted"]
    assert kinds([PATCH, *ours], {"label": "A"}) == kinds([*ours, PATCH], {"label": "A"}) == []


def test_the_kinds_and_the_sketch():
    schedule = [read("handler"), PATCH, commit("handler")]
    assert kinds(schedule, {}) == ["erased"]
    assert kinds([schedule[0], commit("patch", label=None), schedule[2]], {"label": "A"}) == ["resurrected"]
    assert kinds(schedule, {"label": "A"}, "sketch-70575") == ["reverted"]


def test_rates_and_proofs_are_as_told(edited):
    said = [float(number) for number in re.findall(r"some ([\d.]+) %", TEXT)]
    assert re.search(r"some 2.6 % of the turns instead of 1.7 %.*from some 1.7 to some 1.4 %", TEXT, re.DOTALL)
    longer, usual = load_workload("handler-only", ["times.handler.prepare.median=0.012"]), load_workload("handler-only")
    assert rate(longer) == pytest.approx(said[0], abs=0.1)
    assert rate(usual) == pytest.approx(1.7, abs=0.1)
    assert prove(CASE, ["in-mutator"], ["handler+patch"]).certified("in-mutator")
    path = ROOT / "data" / "cases" / "openclaw-70575.yaml"
    start = path.read_text().index("  after-19328:\n    title")
    old = path.read_text()[start:].split("        label: ", 1)[0] + "        label: request.label ?? stale.label"
    new = old.replace("request.label ?? stale.label", "{value: request.label, when: defined}")
    mine = load_case(str(edited(path, old, new)))
    assert kinds([read("handler"), PATCH, commit("handler")], {"label": "A"}, case=mine) == []
    assert rate(usual, mine) == pytest.approx(said[-1], abs=0.1)
    assert "lastChannel" in prove(mine, ["after-19328"], ["handler+patch"]).certificates["after-19328"]["handler"].why_not
