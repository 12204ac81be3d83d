"""Designs, against what they promise: grids whole and in order, samples in every stratum; bad files in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simlib.sweep.sweep_file import Sweep, load_sweep

AXES = {"a.b": {"from": 1, "to": 100, "steps": 3, "scale": "log"}, "c": ["x", "y"]}


def sweep(**keys: object) -> Sweep:
    return Sweep.model_validate({"sweep": "s", "workload": "quiet", "axes": AXES} | keys)


def test_a_grid_is_every_combination_the_last_axis_fastest() -> None:
    assert [tuple(cell.values()) for cell in sweep().cells()] == [(a, c) for a in (1, 10, 100) for c in "xy"]


def test_a_linear_range_has_its_ends_and_even_steps_and_whole_numbers_each_once() -> None:
    axes = {"a": {"from": 0, "to": 1, "steps": 5}, "b": {"from": 1, "to": 3, "steps": 9, "whole": True}}
    cells = sweep(axes=axes).cells()
    assert list(dict.fromkeys(cell["a"] for cell in cells)) == [0, 0.25, 0.5, 0.75, 1]
    assert list(dict.fromkeys(cell["b"] for cell in cells)) == [1, 2, 3]


@pytest.mark.parametrize("kind", ["latin-hypercube", "sobol"])
def test_a_sample_has_one_point_in_each_of_as_many_equal_parts_of_every_axis(kind: str) -> None:
    axes = {"a": {"from": 0, "to": 1}, "b": {"from": 1, "to": 10_000, "scale": "log"}}
    cells = sweep(axes=axes, design={"kind": kind, "cells": 16}).cells()
    for shares in ([cell["a"] for cell in cells], np.log([float(cell["b"]) for cell in cells]) / np.log(10_000)):
        assert sorted(int(float(share) * 16) for share in shares) == list(range(16))
    assert cells == sweep(axes=axes, design={"kind": kind, "cells": 16}).cells()
    assert cells != sweep(axes=axes, design={"kind": kind, "cells": 16, "seed": 2}).cells()


def test_a_sample_takes_each_value_of_a_list_equally_often() -> None:
    cells = sweep(axes={"c": ["x", "y", "z"]} | AXES, design={"kind": "latin-hypercube", "cells": 30}).cells()
    assert [sum(cell["c"] == value for cell in cells) for value in "xy"] == [15, 15]


def test_saltellis_design_is_two_samples_and_the_first_with_each_axis_of_the_second() -> None:
    axes = {name: {"from": 0, "to": 1} for name in "ab"}
    points = [tuple(cell.values()) for cell in sweep(axes=axes, design={"kind": "saltelli", "cells": 4}).cells()]
    first, second, *mixed = (points[start : start + 4] for start in range(0, 16, 4))
    assert mixed[0] == [(b[0], a[1]) for a, b in zip(first, second, strict=True)]
    assert mixed[1] == [(a[0], b[1]) for a, b in zip(first, second, strict=True)]
    for sample in (first, second):
        assert sorted(int(float(a) * 4) for a, _ in sample) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("axes: {duration: {from: 5, to: 1}}", "from: 5 is not below to: 1"),
        ("axes: {duration: {from: 0, to: 1, scale: log}}", "from: 0 on a log scale; allowed: more than 0"),
        ("axes: {duration: [60]}\nset: {duration: 30}", "set: duration is an axis as well"),
        ("axes: {a: {from: 0, to: 1, steps: 5000}, b: {from: 0, to: 1, steps: 5000}}", "some 25,000,000 combinations"),
        ("axes: {duration: [60]}\ndesign: {kind: saltelli, cells: 12}", "12 is no power of two; allowed: 2, 4, 8, ..."),
        ("axes: {duration: [60]}\ndesign: {kind: saltelli, cells: 524288}", "1,572,864 cells; allowed: 1,000,000"),
        ("axes: {duration: [60]}\nprecison: {}", "unknown key 'precison'; did you mean 'precision'?"),
        ("axes: {}", "axes"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, refused: Callable[..., str], keys: str, says: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"sweep: s\nworkload: quiet\n{keys}\n")
    message = refused(load_sweep, str(path))
    assert says in message
    assert message.startswith(f"{path}: ")
