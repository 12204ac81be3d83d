"""Validation: predicted against observed, for recordings of stores, of gateway races, and of gateways under load."""

from collections.abc import Callable, Sequence
from pathlib import Path

from simlib.calibrate.source import find_source, kind_of
from simlib.case.case import Case
from simlib.common.errors import InputError
from simlib.model.history import History, parquet_rule, read_parquet
from simlib.replay.recording import read_recording
from simlib.validate.loads import validate_loads
from simlib.validate.predict import REPLICATES, predict
from simlib.validate.races import validate_races
from simlib.validate.scores import Condition, Validation


def validate(
    sources: Sequence[str],
    case: Case,
    replicates: int = REPLICATES,
    seed: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Validation:
    """Predict each source from a part of itself.

    Args:
        sources: paths or names of store recordings, histories (Parquet) and gateway races (`gateway-<build>.json`).
        case: their case.
        replicates: of the model for each prediction.
        seed: of the model.
        progress: called after each source.

    Raises:
        InputError: a source cannot be read, or shows nothing that could be predicted.
    """
    conditions: list[Condition] = []
    for source in sources:
        conditions += _figures(source, case, replicates, seed)
        progress()
    return Validation(tuple(conditions))


def _figures(source: str, case: Case, replicates: int, seed: int) -> list[Condition]:
    path = find_source(source)
    if kind_of(path) == "races":
        return validate_races(path, case, seed=seed)[0]
    if kind_of(path) == "loads":
        return validate_loads(path, case, replicates, seed)
    name, history, rule = read_observed(path, case)
    return predict(history, case, name, replicates, seed, rule)


def read_observed(path: Path, case: Case) -> tuple[str, History, str | None]:
    """Name, history, and the strategy that was at work (None: the file does not say) of a recording or a saved history.

    Raises:
        InputError: the file cannot be read, or shows no commits.
    """
    kind = kind_of(path)
    name = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".parquet")
    if kind == "history":
        return name, read_parquet(path, case), parquet_rule(path)
    if kind == "recording":
        recording = read_recording(path, case)
        return name, recording.history, recording.rule
    raise InputError(f"{path}: a {kind} shows no commits to compare with; allowed: store recordings, histories, gateway races")
