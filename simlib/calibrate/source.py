"""Calibration from whatever kind of source a path holds."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from simlib.calibrate.evidence import Calibration
from simlib.calibrate.from_history import calibrate_history
from simlib.calibrate.from_log import calibrate_log
from simlib.calibrate.from_trace import calibrate_trace
from simlib.calibrate.usual import is_of_another_program
from simlib.case.case import Case
from simlib.common.broken_lines import Broken, read_lines
from simlib.common.errors import InputError
from simlib.common.json_text import parse_json
from simlib.common.shipped import DATA
from simlib.model.history import read_parquet
from simlib.replay.recording import find_recording, read_recording
from simlib.workload.workload import load_workload

HEAD = 20
"""Lines that tell what kind of file it is."""


def calibrate(source: str, case: Case, name: str = "calibrated", *, case_name: str = "", times_from: str = "") -> Calibration:
    """A workload from a store recording, a history (Parquet), a gateway log, or a trace.

    Args:
        source: a path, or the name of a shipped recording.
        case: the case that the workload is for.
        name: of the workload.
        case_name: what the workload calls its case: a shipped name, or a path from where it will be; else the case's own name.
        times_from: the workload whose times stand for what the source does not tell; else the one that the case names.

    Raises:
        InputError: the source cannot be read, is none of these, or tells too little.
    """
    path = find_source(source)
    whole = kind_of(path) not in ("log", "trace")  # it tells all times
    if times_from and whole:
        raise InputError(f"{path}: tells its own times; leave out --times-from {times_from}")
    if times_from:
        case = replace(case, sections=case.sections.model_copy(update={"usual": times_from}))
    found = _read(path, case, name)
    usual = load_workload(case.sections.usual) if case.sections.usual and not whole else None
    others = f"{usual.workload} (case {Path(usual.case).stem})" if usual and is_of_another_program(usual, case) else ""
    return _said(found, {"case": case_name or case.name, **({"times_from": others} if others else {})})


def _said(calibration: Calibration, keys: Mapping[str, str]) -> Calibration:
    """The calibration with these keys of the workload; they stand where its case does."""
    parts = [part for part in calibration.parts if part[0] not in keys]
    place = [key for key, _, _ in calibration.parts].index("case")
    parts[place:place] = [(key, value, []) for key, value in keys.items()]
    return replace(calibration, workload=calibration.workload.model_copy(update=dict(keys)), parts=tuple(parts))


def _read(path: Path, case: Case, name: str) -> Calibration:
    kind = kind_of(path)
    if kind == "history":
        return calibrate_history(read_parquet(path, case), case, path.name, name)
    if kind == "recording":
        return calibrate_history(read_recording(path, case).history, case, path.name, name)
    if kind == "races":
        raise InputError(f"{path}: gateway races tell windows, not traffic; `simlib validate` fits them")
    return calibrate_log(path, case, name) if kind == "log" else calibrate_trace(path, case, name)


def find_source(source: str) -> Path:
    """The path of a source, shipped or not.

    Raises:
        InputError: there is no such file.
    """
    for path in (Path(source), DATA / "recordings" / f"{source}.json"):
        if path.is_file():
            return path
    try:
        return find_recording(source)
    except InputError as error:
        raise InputError(f"{error} of a recording, a history (Parquet), a log or a trace") from None


def kind_of(path: Path) -> str:
    """`history` (Parquet), `recording`, `races`, `loads`, `log` or `trace`, by what the file begins with.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PAR1":
                return "history"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    head = [line for _, line in islice(read_lines(path, Broken()), HEAD)]
    if any(b'"trials"' in line for line in head):
        return "races"
    if any(b'"rates"' in line for line in head):
        return "loads"
    for line in head:
        try:
            data = parse_json(line)
        except ValueError:
            continue
        if isinstance(data, dict) and "recording" in data:
            return "recording"
        if isinstance(data, dict) and ("_meta" in data or "0" in data):
            return "log"
    return "trace"
