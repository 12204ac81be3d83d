"""The skeleton of a case, run by the commands that its reader is told to run, and what refuses to write one."""

from pathlib import Path

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.case.skeleton import NAME, SKELETON, write_skeleton
from simlib.common.shipped import DATA
from simlib.estimate.experiment import run
from simlib.search.prove import prove
from simlib.workload.workload import load_workload


def test_a_written_skeleton_loads_from_any_folder_and_is_the_shipped_one_under_another_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case, traffic = write_skeleton("cart", Path("new"))
    monkeypatch.chdir("/")
    assert load_case(str(tmp_path / case)).name == "cart"
    assert load_workload(str(tmp_path / traffic)).case == str(tmp_path / case)
    shipped = (SKELETON / f"{NAME}.yaml").read_text()
    assert (tmp_path / case).read_text() == shipped.replace(NAME, "cart").replace("../schema/", "schema/")


def test_the_schemas_that_an_editor_is_pointed_to_are_there_as_shipped(tmp_path):
    for path in write_skeleton("cart", tmp_path):
        first = path.read_text().splitlines()[0]
        schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
        assert schema.read_text() == (DATA / "schema" / schema.name).read_text()


def test_two_cases_share_a_folder(tmp_path):
    assert len({*write_skeleton("one", tmp_path), *write_skeleton("two", tmp_path)}) == 4


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../cart", "a/b", "/etc/passwd", "Cart", "my cart", "con", "a\nb", "é", "x" * 300]
)
def test_a_name_decides_no_path(name, tmp_path, refused):
    assert "no name of a case; allowed: lower-case letters" in refused(write_skeleton, name, tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["cart.yaml", "cart-traffic.yaml"])
def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_written_beside_it(taken, tmp_path, refused):
    (tmp_path / taken).write_text("mine")
    assert f"{tmp_path / taken}: is there already" in refused(write_skeleton, "cart", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path, refused):
    (tmp_path / "cart.yaml").symlink_to(tmp_path / "elsewhere")
    assert "is there already" in refused(write_skeleton, "cart", tmp_path)


def test_the_three_lines_to_edit_are_marked_once_each():
    text = "".join((SKELETON / f"{NAME}{end}.yaml").read_text() for end in ("", "-traffic"))
    assert [text.count(f"# EDIT {number}:") for number in (1, 2, 3, 4)] == [1, 1, 1, 0]


def test_the_job_clobbers_as_often_as_by_hand():
    """A job clobbers where a save of its cart is committed in its window: two of 22 saves, 1 - E[exp(-lambda W)]."""
    traffic = SKELETON / f"{NAME}-traffic.yaml"
    workload = load_workload(str(traffic))
    result = run(workload, load_case(workload.case), ["changed-in-handler", "changed-everywhere"], replicates=20)
    window = 0.5 * np.exp(0.6 * np.random.default_rng(1).standard_normal(100_000)) + 0.002
    rate = result.clobber_rate("changed-in-handler")
    low, high = rate.interval(0.999)
    assert low < 2 / 22 * np.mean(1 - np.exp(-20 / 100 * window)) < high
    assert high < 2 * rate.estimate  # so the interval says something
    assert result.clobber_rate("changed-everywhere").estimate == 0


def test_three_of_its_strategies_are_certified_and_the_forgotten_job_is_what_is_left():
    proofs = prove(load_case(str(SKELETON / f"{NAME}.yaml")))
    assert [name for name in proofs.strategies if proofs.certified(name)] == [
        "changed-everywhere",
        "version-retry",
        "record-lock",
    ]
    left = proofs.certificates["changed-in-handler"]
    assert {site: certificate.certified for site, certificate in left.items()} == {"save": True, "job": False}


EDITS = [
    ("", "fields: {items: {domain: text}, coupon: {domain: text}, address: {domain: text}}", "fields: {name: {domain: text}}"),
    ("-traffic", "[{weight: 5, ask: [items]}, {weight: 1, ask: [coupon]}, {weight: 1, ask: [address]}]", "[{ask: [name]}]"),
    ("-traffic", "median: 0.25", "median: 2"),
]
"""The end of a file's name, and what stands in the line below its mark, or in it, before and after somebody made it his."""


def edit(folder: Path, edits: list[tuple[str, str, str]]) -> str:
    write_skeleton("mine", folder)
    for end, old, new in edits:
        path = folder / f"mine{end}.yaml"
        text = path.read_text()
        assert text.count(old) == 1
        assert "# EDIT" in text[: text.index(old)].rsplit("\n", 2)[-2]
        path.write_text(text.replace(old, new))
    return str(folder / "mine-traffic.yaml")


def test_three_edited_lines_make_another_record_of_it(tmp_path):
    workload = load_workload(edit(tmp_path, EDITS))
    result = run(workload, load_case(workload.case), replicates=2)
    assert result.clobber_rate("save-whole").estimate > 0
    assert result.clobber_rate("changed-everywhere").estimate == 0


def test_a_field_that_was_forgotten_in_the_traffic_is_named_with_its_place(tmp_path, refused):
    traffic = edit(tmp_path, EDITS[:1])
    workload = load_workload(traffic)
    assert "items" in refused(run, workload, load_case(workload.case))
