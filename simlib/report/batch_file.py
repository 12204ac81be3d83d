"""A batch file: notebooks and their parameter sets. Everything in it is checked before anything runs."""

import ast
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from simlib.case.case import load_case
from simlib.common.bounds import NAME
from simlib.common.errors import InputError, shown
from simlib.common.files import Strict, file_name, load_yaml, validated
from simlib.common.shipped import find, find_beside
from simlib.estimate.compare import NO_SECOND, load_sample
from simlib.replay.recording import find_recording, read_recording
from simlib.report.fix_impact import check_input
from simlib.report.notebook import check_parameters, find_notebook, known_parameters

MOST_MEMBERS = 10_000
INDEX = "index"
"""The name of the page that lists the others."""
Parameters = dict[str, Any]


class Entry(Strict):
    """What a batch file says of one member, or of one member for each combination of the values in `matrix`."""

    notebook: str = Field("", description="a shipped one, or a path; else the batch's")
    parameters: Parameters = Field({}, description="of the notebook, beside those of the batch")
    matrix: dict[str, list[Any]] = Field({}, description="parameter -> its values: one member for each combination")


class Batch(Strict):
    """A validated batch file."""

    batch: str = Field(min_length=1, max_length=int(NAME.high))
    about: str = ""
    notebook: str = Field("fix_impact", description="of every member that names no other")
    parameters: Parameters = Field({}, description="of every member")
    members: dict[str, Entry] = Field(min_length=1, max_length=MOST_MEMBERS)


@dataclass(frozen=True)
class Member:
    """One report to make.

    Attributes:
        name: unlike any other of the batch.
        notebook: the file.
        given: its parameters as the batch file has them.
        parameters: the same, where files beside the batch file are named by their paths.
        inputs: kind of input -> the file that a parameter names, directly or not.
    """

    name: str
    notebook: Path
    given: Parameters
    parameters: Parameters
    inputs: dict[str, Path]

    @property
    def stem(self) -> str:
        """The name of its files, without an ending."""
        return file_name(self.name)


def load_batch(name: str) -> tuple[Batch, list[Member]]:
    """A batch by its shipped name or by the path of its YAML file, and its members; all of them can run.

    Raises:
        InputError: what is wrong, and in which member.
    """
    path = find("batches", name)
    batch = validated(Batch, load_yaml(path), str(path))
    members: dict[str, Member] = {}
    for key, entry in batch.members.items():
        for label, parameters in _expanded(batch, key, entry, str(path)):
            place = f"{path}: members.{shown(key)[1:-1]}"
            if label in members or file_name(label) == INDEX:
                why = "is the page that lists the others" if file_name(label) == INDEX else "stands twice, once from a matrix"
                raise InputError(f"{place}: the name {shown(label)} {why}; choose another")
            if len(label) > NAME.high:
                raise InputError(f"{place}: the name {shown(label)} has {len(label):,} characters; allowed: {NAME.high:.0f}")
            if len(members) >= MOST_MEMBERS:
                raise InputError(f"{place}: more than {MOST_MEMBERS:,} members; make several batches")
            try:
                members[label] = _member(path, label, entry.notebook or batch.notebook, parameters)
            except InputError as error:
                raise InputError(f"{place}: {error}{f' (in {label})' if label != key else ''}") from None
    return batch, list(members.values())


def _expanded(batch: Batch, key: str, entry: Entry, source: str) -> list[tuple[str, Parameters]]:
    """The name and the parameters of each member that an entry stands for."""
    shared = {**batch.parameters, **entry.parameters}
    for parameter, values in entry.matrix.items():
        if parameter in entry.parameters:
            raise InputError(f"{source}: members.{key}: '{parameter}' stands in parameters and in matrix; leave one out")
        if not values:
            raise InputError(f"{source}: members.{key}.matrix.{parameter}: has no value; give at least one")
    combinations = itertools.islice(itertools.product(*entry.matrix.values()), MOST_MEMBERS + 1)
    chosen = [dict(zip(entry.matrix, values, strict=True)) for values in combinations]
    return [("-".join([key, *itertools.starmap(_part, one.items())]), {**shared, **one}) for one in chosen]


def _part(parameter: str, value: Any) -> str:
    """What a parameter adds to a member's name: a text speaks for itself, a number does not."""
    if isinstance(value, str) and value:
        return value
    return f"{parameter}-{'+'.join(map(str, value)) if isinstance(value, list) else value}"


def _member(path: Path, name: str, notebook: str, given: Parameters) -> Member:
    found = find_notebook(str(find_beside(path, "notebooks", notebook)))
    known = _known(found)
    files = (*FILES, *SIDES) if _compares(known) else FILES
    # Who names a side means no other than those named; the notebook's own sides are an example to begin with.
    sides = dict.fromkeys((*SIDES, *SIDES.values()), "") if _compares(known) and SIDES.keys() & given.keys() else {}
    parameters = sides | {
        key: _truth(value) if known.get(key, ("",))[0] == "bool" else find_beside(path, "", value) if key in files else value
        for key, value in given.items()
    }
    check_parameters(found, parameters)
    settings = {key: _default(text) for key, (_, text) in known.items()} | parameters
    return Member(name, found, given, parameters, _inputs(settings))


_known = cache(known_parameters)


def _truth(value: Any) -> Any:
    """YAML files have no truth values here; a notebook may."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _default(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):  # something that only the notebook can work out
        return None


FILES = ("workload", "case", "recording")
"""Parameters that name a file, in any notebook that has them. They are checked, and a changed file makes a new report."""
SIDES = {"one": "strategy", "other": "against"}
"""Likewise, of a notebook that compares: a workload or a kept result, and the parameter that names its strategy."""
_NEUTRAL: Mapping[str, Any] = {
    "case": "", "seed": 0, "replicates": 0, "strategies": [], "overrides": [], "engine": "compiled",
}  # fmt: skip


def _inputs(settings: Parameters) -> dict[str, Path]:
    """The files that the settings name. The workload and the case fit each other, and have the strategies asked for."""
    if _compares(settings):
        return _compared(settings)
    workload, case, recording = (settings.get(name) or "" for name in FILES)
    strategies: Sequence[str] = settings.get("strategies") or []
    if workload:
        model, _, _ = check_input(workload, **{key: settings.get(key, value) for key, value in _NEUTRAL.items()}, recording="")
        found = {"workload": find("workloads", workload), "case": find("cases", case or model.case)}
    elif case:
        compiled = load_case(case)
        for name in strategies:
            compiled.strategy(name)
        found = {"case": find("cases", case)}
    else:
        return {}
    return found | ({"recording": _recording(recording, str(found["case"]))} if recording else {})


def _compares(known: Mapping[str, Any]) -> bool:
    return known.keys() >= {*SIDES, *SIDES.values()}


def _compared(settings: Parameters) -> dict[str, Path]:
    """Likewise, of a comparison; what is kept can be read, and has the strategy asked for."""
    if not (settings["other"] or settings["against"]):
        raise InputError(NO_SECOND)
    found, of_run = {}, {key: value for key, value in settings.items() if key in _NEUTRAL}
    for side, of in SIDES.items():
        source, strategy = settings[side] or settings["one"], settings[of] or settings["strategy"]
        if source.endswith(".parquet"):
            load_sample(Path(source), strategy)
            found[side] = Path(source)
        else:
            files = _inputs({**of_run, "workload": source, "strategies": [strategy] if strategy else []})
            found |= {side: files["workload"], f"case of {side}": files["case"]}
    return found


@cache
def _recording(name: str, case: str) -> Path:
    path = find_recording(name)
    read_recording(path, load_case(case))
    return path
