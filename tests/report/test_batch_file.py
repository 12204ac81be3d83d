"""Batch files, against what a person wrote: every member is known and checked before anything runs."""

import pytest
from batches import batch_file
from places import OWN_WORKLOADS

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.common.shipped import shipped_names
from simlib.estimate.compare import save
from simlib.estimate.experiment import run
from simlib.report.batch_file import load_batch
from simlib.workload.workload import load_workload


@pytest.mark.slow
def test_every_shipped_batch_can_run_and_nightly_has_every_workload_of_the_shipped_case():
    found = {name: load_batch(name)[1] for name in shipped_names("batches")}
    assert {member.parameters.get("workload") for member in found["nightly"]} == {*OWN_WORKLOADS, None}
    assert [member.name for member in found["small"]] == ["quiet", "busy-team"]


def test_a_matrix_is_one_member_for_each_combination_with_a_name_that_can_be_read(tmp_path):
    path = batch_file(tmp_path, "  m: {matrix: {rate: [0.1, 0.2], verdict: [good, bad]}}\n", "parameters: {mark: x}")
    members = load_batch(path)[1]
    assert [member.name for member in members] == ["m-rate-0.1-good", "m-rate-0.1-bad", "m-rate-0.2-good", "m-rate-0.2-bad"]
    assert members[1].parameters == {"mark": "x", "rate": 0.1, "verdict": "bad"}


def test_a_truth_value_reaches_the_notebook_as_one(tmp_path):
    assert load_batch(batch_file(tmp_path, "  m: {parameters: {flag: true}}\n"))[1][0].parameters == {"flag": True}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ("  m: {parameters: {rat: 1}}\n", "members.m: works.ipynb: no parameter 'rat'; allowed: flag, mark, rate, verdict"),
        ("  m: {parameters: {rate: much}}\n", "members.m: works.ipynb: parameter 'rate' is 'much'; allowed: float"),
        ("  m: {matrix: {rate: [0.1, much]}}\n", r"members.m: .* 'much'; allowed: float \(in m-much\)"),
        ("  m: {notebok: works.ipynb}\n", "unknown key 'notebok'; did you mean 'notebook'"),
        ("  m: {notebook: none}\n", "members.m: none: no such notebook"),
        ("  m: {matrix: {rate: []}}\n", "members.m.matrix.rate: has no value"),
        ("  m: {parameters: {rate: 1}, matrix: {rate: [1]}}\n", "'rate' stands in parameters and in matrix"),
        ("  index: {}\n", "members.index: the name 'index' is the page that lists the others"),
        ("  m-a: {}\n  m: {matrix: {verdict: [a]}}\n", "the name 'm-a' stands twice"),
        (
            "  m: {notebook: fix_impact, parameters: {workload: quite}}\n",
            "members.m: quite: no such file.*did you mean 'quiet'",
        ),
        ("  m: {notebook: fix_impact, parameters: {overrides: [duration=x]}}\n", "duration"),
        ("  m: {notebook: fix_impact, parameters: {strategies: [none]}}\n", "none"),
        ("  m: {notebook: interleavings, parameters: {strategies: [none]}}\n", "none"),
        ("  m: {notebook: fix_impact, parameters: {recording: none}}\n", "no such recording"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_runs(tmp_path, members, says):
    with pytest.raises(InputError, match=says) as caught:
        load_batch(batch_file(tmp_path, members))
    assert "\n" not in str(caught.value)


def kept(folder, name, *strategies):
    workload = load_workload("quiet", ["duration=20"])
    save(run(workload, load_case(workload.case), strategies, replicates=2, jobs=1), folder / name)


def test_a_comparison_has_both_sides_as_inputs_found_beside_the_batch_file(tmp_path):
    kept(tmp_path, "a.parquet", "after-19328")
    sides = "  m: {notebook: comparison, parameters: {one: a.parquet, other: quiet}}\n"
    member = load_batch(batch_file(tmp_path, sides))[1][0]
    assert {kind: path.name for kind, path in member.inputs.items()} == {
        "one": "a.parquet",
        "other": "quiet.yaml",
        "case of other": "openclaw-70575.yaml",
    }
    assert member.parameters["one"] == str(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("one: a.parquet", "there is nothing to compare with; give a second"),
        ("one: a.parquet, other: b.parquet", "b.parquet: cannot be read: No such file"),
        ("one: a.parquet, against: all-sites", "a.parquet: has no strategy 'all-sites'; allowed: after-19328"),
        ("one: a.parquet, other: quite", "did you mean 'quiet'"),
        ("one: quiet, against: none", "strategy 'none'"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_before_anything_runs(tmp_path, parameters, says):
    kept(tmp_path, "a.parquet", "after-19328")
    path = batch_file(tmp_path, f"  m: {{notebook: comparison, parameters: {{{parameters}}}}}\n")
    with pytest.raises(InputError, match=says):
        load_batch(path)
