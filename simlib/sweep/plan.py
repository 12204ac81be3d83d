"""From a sweep file to its cells: each a workload with its settings, addressed by everything that its numbers depend on.

Equal addresses, equal numbers, whichever sweep asks. How precise they have to be is no part of an address: a cell that is
wanted more precisely goes on from where it is.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from simlib.case.case import Case, load_case
from simlib.common.differences import flat
from simlib.common.errors import InputError
from simlib.common.files import load_yaml, validated
from simlib.common.shipped import find, find_beside
from simlib.estimate.stored import MODEL_VERSION, STORED_VERSION
from simlib.sweep.sweep_file import Settings, Sweep, load_sweep
from simlib.workload.overrides import set_override, set_value
from simlib.workload.workload import DESCRIPTIVE, Workload

LATELY = 100
"""Workloads that are kept; making one takes a millisecond."""


@dataclass(frozen=True)
class Plan:
    """A sweep, what it is made of, and its cells.

    Attributes:
        base: the workload file with what the sweep and the command line set.
        source: the path of the workload file.
        beside: what the numbers of every cell depend on beside its workload; key -> value.
        settings: of each cell, in order.
        addresses: of each cell, 32 hexadecimal digits.
    """

    sweep: Sweep
    base: dict[str, Any]
    source: str
    case: Case
    beside: Mapping[str, Any]
    strategies: tuple[str, ...]
    settings: Sequence[Settings]
    addresses: Sequence[str]

    def workload(self, number: int) -> Workload:
        """The workload of a cell."""
        if number not in self._lately:
            while len(self._lately) >= LATELY:
                del self._lately[next(iter(self._lately))]
            self._lately[number] = _workload(self.base, self.settings[number], self.source)
        return self._lately[number]

    @cached_property
    def _lately(self) -> dict[int, Workload]:
        """The last workloads that were asked for: a cell's is, for each of its blocks."""
        return {}

    @property
    def baseline(self) -> str:
        """The strategy that differences refer to."""
        return self.case.baseline if self.case.baseline in self.strategies else self.strategies[0]

    @cached_property
    def inputs(self) -> str:
        """Digest of all that the addresses follow from."""
        return digest([self.base, self.settings, self.beside])

    @cached_property
    def precision(self) -> str:
        """Digest of the precision that cells are judged by."""
        return digest(self.sweep.precision.model_dump(mode="json"))


def make_plan(
    name: str,
    overrides: Sequence[str] = (),
    *,
    known: Mapping[str, Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Plan:
    """The plan of a sweep file.

    Args:
        name: a shipped sweep, or the path of one.
        overrides: `key.key=value`, for every cell.
        progress: called after each cell.
        known: what `remembered` gave for an earlier plan; if it is of the same cells, they need not be checked again.

    Raises:
        InputError: what is wrong, where, and in which cell.
    """
    sweep = load_sweep(name)
    for key in sorted(DESCRIPTIVE & {key.split(".")[0] for key in sweep.axes}):
        raise InputError(f"{name}: axes.{key}: the numbers of a cell do not depend on it; choose another key of the workload")
    path = find("sweeps", name)
    base, source = _base(sweep, overrides, path)
    case_path = find("cases", find_beside(path, "cases", sweep.case) or str(base.get("case")))
    case = load_case(str(case_path))
    strategies = tuple(dict.fromkeys(sweep.strategies)) or tuple(case.strategies)
    for strategy in strategies:
        case.strategy(strategy)
    settings = sweep.cells()
    beside = {
        "case": digest(load_yaml(case_path)),
        "strategies": list(strategies),
        "seed": sweep.seed,
        "block": sweep.block,
        "model version": MODEL_VERSION,
        "stored version": STORED_VERSION,
    }
    plan = Plan(sweep, base, source, case, beside, strategies, settings, ())
    if known is not None and known.get("inputs") == plan.inputs:
        return replace(plan, addresses=known["addresses"])
    addresses = []
    for cell in settings:
        model = _workload(base, cell, source)
        model.check_case(case, f"{source} with {described(cell)}")
        addresses.append(digest([model.model_dump(mode="json", exclude=DESCRIPTIVE), beside]))
        progress()
    return replace(plan, addresses=addresses)


def remembered(plan: Plan) -> dict[str, Any]:
    """What is kept of a plan: to make it again at once, and to say what another one changed."""
    return {
        "inputs": plan.inputs,
        "addresses": list(plan.addresses),
        "asked": asked(plan),
        "sweep": plan.sweep.model_dump(mode="json", by_alias=True, include={"sweep", "about", "axes", "design"}),
    }


def asked(plan: Plan) -> dict[str, Any]:
    """What the numbers of every cell depend on, flat: key -> value."""
    return flat({key: value for key, value in plan.base.items() if key not in DESCRIPTIVE}) | dict(plan.beside)


def described(cell: Settings) -> str:
    """A cell's settings in one line."""
    return ", ".join(f"{key}={value}" for key, value in cell.items())


def _base(sweep: Sweep, overrides: Sequence[str], sweep_path: Path) -> tuple[dict[str, Any], str]:
    path = find("workloads", find_beside(sweep_path, "workloads", sweep.workload))
    base = load_yaml(path)
    for key, value in sweep.settings.items():
        set_value(base, key, value, f"{sweep_path}: set.{key}", str(path))
    for override in overrides:
        set_override(base, override, str(path))
    base["case"] = find_beside(path, "cases", base.get("case"))
    return base, str(path)


def _workload(base: dict[str, Any], cell: Settings, source: str) -> Workload:
    data = copy.deepcopy(base)
    for key, value in cell.items():
        set_value(data, key, value, f"axes.{key}={value}", source)
    try:
        return validated(Workload, data, source)
    except InputError as error:
        raise InputError(f"{error} (in the cell {described(cell)})") from None


def digest(data: Any) -> str:
    """32 hexadecimal digits that stand for JSON data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
