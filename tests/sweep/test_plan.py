"""Addresses, against the one rule they follow: equal exactly when all that a cell's numbers depend on is equal."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import tiny_sweep

from simlib.common.differences import changes
from simlib.common.shipped import DATA
from simlib.sweep.plan import asked, make_plan, remembered

FIRST = "traffic.patch.rate: [0.2, 0.5]"


def addresses(folder: Path, *replacements: tuple[str, str], overrides: tuple[str, ...] = ()) -> list[str]:
    return list(make_plan(tiny_sweep(folder, *replacements), overrides).addresses)


def test_a_cell_keeps_its_address_however_its_settings_are_said(tmp_path: Path) -> None:
    before = addresses(tmp_path)
    assert len(set(before)) == 4
    assert addresses(tmp_path, ("sweep: tiny", "sweep: other"), ("absolute: 0.05, most: 12", "relative: 0.1")) == before
    assert addresses(tmp_path, ("{duration: 40}", "{}"), overrides=("duration=40.0",)) == before
    assert addresses(tmp_path, ("[0.02, 0.05]", "{from: 0.02, to: 0.05, steps: 2}")) == before
    assert addresses(tmp_path, (FIRST, "traffic.patch.rate: [0.5, 0.2, 0.3]"))[:4] == [*before[2:], *before[:2]]


@pytest.mark.parametrize(
    "replacement",
    [
        ("duration: 40", "duration: 41"),
        ("block: 4", "block: 5"),
        ("strategies: [after-19328, all-sites]", "strategies: [all-sites]"),
        ("sweep: tiny", "sweep: tiny\nseed: 2"),
    ],
)
def test_every_cell_gets_another_address_when_its_numbers_may_differ(tmp_path: Path, replacement: tuple[str, str]) -> None:
    assert not set(addresses(tmp_path)) & set(addresses(tmp_path, replacement))


def test_a_case_counts_by_what_it_says_and_not_by_its_name_or_its_comments(tmp_path: Path) -> None:
    text = (DATA / "cases" / "openclaw-70575.yaml").read_text()
    case = tmp_path / "mine.yaml"
    with_case = ("block: 4", f"block: 4\ncase: {case}")
    case.write_text("# a comment\n" + text)
    assert addresses(tmp_path, with_case) == addresses(tmp_path)
    case.write_text(text.replace("erased", "Erased").replace("title:", "title: x", 1))
    assert not set(addresses(tmp_path, with_case)) & set(addresses(tmp_path))


def test_a_plan_that_is_remembered_is_the_plan_that_is_made_anew(tmp_path: Path) -> None:
    name = tiny_sweep(tmp_path)
    plan, checked = make_plan(name), list[None]()
    again = make_plan(name, known=remembered(plan), progress=lambda: checked.append(None))
    assert (again.addresses, again.inputs, checked) == (plan.addresses, plan.inputs, [])
    other = make_plan(name, ["duration=50"], known=remembered(plan), progress=lambda: checked.append(None))
    assert len(checked) == 4
    assert changes(asked(plan), asked(other)) == ["duration: 40 -> 50"]


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        ((FIRST, "traffic.ptch.rate: [1]"), "has no traffic.ptch; did you mean 'patch'? allowed: "),
        ((FIRST, "traffic.patch.rate: [-1, 1]"), "in the cell traffic.patch.rate=-1, times.handler.hold.median=0.02"),
        ((FIRST, "replicates: [1, 2]"), "axes.replicates: the numbers of a cell do not depend on it"),
        (("[after-19328, all-sites]", "[nosuch]"), "strategy 'nosuch' is not in case"),
        (("{duration: 40}", "{duraton: 40}"), "unknown key 'duraton'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, refused: Callable[..., str], replacement: tuple[str, str], says: str
) -> None:
    assert says in refused(make_plan, tiny_sweep(tmp_path, replacement))
