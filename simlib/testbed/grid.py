"""Many conditions on the testbed: each run's history saved, and a summary of what came out and how long things took."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simlib.case.case import Case
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.common.files import file_name, make_folder, replacing, validated
from simlib.model.history import COMMITTED, OUTCOMES, TIMED_OUT, write_parquet
from simlib.replay.replay import replay_strategy
from simlib.testbed.predict import Predicted, predict, rms_error
from simlib.testbed.run import TestbedRun, run_testbed
from simlib.testbed.stores import STORES, manner_of
from simlib.workload.workload import Workload

PREDICTED = "predicted.csv"
"""The file of a grid's folder that holds what the model predicts of each condition."""
WITHIN = 0.2
"""Share by which a predicted latency may be off."""


@dataclass(frozen=True)
class Condition:
    """One cell of the grid.

    Attributes:
        store: `file` or `sqlite`.
        load: factor on every flow's rate.
        sessions: how many share the traffic.
        gateways: how many processes share the store.
        strategy: whose rules the gateways follow.
    """

    store: str
    load: float
    sessions: int
    gateways: int
    strategy: str

    def __str__(self) -> str:
        """Its name, in few words."""
        return f"{self.store}-load{self.load:g}-sessions{self.sessions}-gateways{self.gateways}-{self.strategy}"

    def workload(self, base: Workload) -> Workload:
        """`base` under this condition.

        Raises:
            InputError: a number is out of range, or a flow of `base` names a gateway that is not there now.
        """
        data = base.model_dump()
        data["sessions"]["count"], data["store"]["gateways"] = self.sessions, self.gateways
        for flow in data["traffic"].values():
            flow["rate"] *= self.load
        return validated(Workload, data, f"{base.workload}, {self}")


def grid(
    stores: Sequence[str], loads: Sequence[float], sessions: Sequence[int], gateways: Sequence[int], strategies: Sequence[str]
) -> list[Condition]:
    """Every combination."""
    return [Condition(*values) for values in itertools.product(stores, loads, sessions, gateways, strategies)]


def standard_grid(case: Case, strategy_name: str) -> list[Condition]:
    """Sixteen conditions: both stores, the load as it is and fourfold, few sessions and more, one process and two.

    A store that cannot carry out the strategy's discipline is left out.

    Raises:
        InputError: neither store can.
    """
    strategy, able, reasons = case.strategy(strategy_name), [], []
    for store in STORES:
        try:
            manner_of(store, case, strategy)
            able.append(store)
        except InputError as error:
            reasons.append(error)
    if not able:
        raise reasons[-1]
    return grid(able, [1, 4], [3, 10], [1, 2], [strategy_name])


def run_grid(
    workload: Workload,
    case: Case,
    conditions: Iterable[Condition],
    folder: Path,
    seconds: float = 10.0,
    seed: int = 1,
    entry_bytes: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Run the conditions one after the other, with seeds that count up from `seed`.

    After each of them, its history (`CONDITION.parquet`) and the summary so far (`summary.csv`) are written, so that what was
    finished stays; and of a strategy whose discipline is not plain, what the model predicts (`PREDICTED`, see `predict`).

    Args:
        workload: what is run.
        case: its case.
        conditions: what is changed in the workload.
        folder: for the files; made if it is not there.
        seconds: of arrivals, for each condition.
        seed: of the first condition.
        entry_bytes: as for `run_testbed`.
        progress: called after each condition.

    Returns:
        the summary, a row a condition: the condition, the file, what `run_testbed` was given, and `summary` of the run.

    Raises:
        InputError, RunError: as `run_testbed`.
    """
    rows: list[dict[str, Any]] = []
    predicted: list[dict[str, Any]] = []
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot make this folder: {error.strerror}; allowed: a folder that can be written"
        ) from None
    for number, condition in enumerate(conditions):
        run = run_testbed(
            condition.workload(workload), case, condition.strategy, condition.store, seconds, seed + number, entry_bytes
        )
        name = f"{file_name(str(condition))}.parquet"
        write_parquet(run.history, folder / name, run.strategy)
        given = {"seconds": seconds, "seed": seed + number, "entry_bytes": entry_bytes}
        rows.append({**asdict(condition), "file": name, **given, **summary(run)})
        _write(rows, folder / "summary.csv")
        if run.history.attempts is not None:
            predicted += [{**asdict(condition), **each._asdict()} for each in predict(run, seed + number)]
            _write(predicted, folder / PREDICTED)
        progress()
    return pd.DataFrame(rows)


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def errors(table: pd.DataFrame) -> list[dict[str, Any]]:
    """How far the predictions of a grid are off, given what is in its file PREDICTED.

    Returns:
        a row a figure: how many conditions have it; of rates the error, root mean square, as it is and with sampling noise off,
        and that of the model with the run's own draws; of latencies the share of conditions in which they are within WITHIN.
    """
    found = []
    for name, rows in table.dropna(subset=["observed"]).groupby("figure", sort=False):
        each = [Predicted(*row) for row in rows[list(Predicted._fields)].itertuples(index=False)]
        if str(name).startswith("latency"):
            near = [abs(one.predicted - one.observed) <= WITHIN * one.observed for one in each]
            found.append({"figure": name, "conditions": len(each), "within_a_fifth": sum(near)})
            continue
        same = float(np.sqrt(np.mean([(one.same_draws - one.observed) ** 2 for one in each])))
        off, noise_off = rms_error(each)
        found.append({"figure": name, "conditions": len(each), "error": off, "noise_off": noise_off, "same_draws": same})
    return found


def summary(run: TestbedRun) -> dict[str, float]:
    """Counts of the run, and the 50, 95 and 99 % quantiles of each of its `timings` in seconds (NaN where there is none)."""
    history = run.history
    clobbers = replay_strategy(run.case, run.case.strategy(run.strategy), history).clobbers
    outcomes = np.where(history.ok, COMMITTED, TIMED_OUT) if history.attempts is None else history.attempts.outcome
    counts = {
        "transactions": int(np.unique(run.step).size),
        **{name: int((outcomes == number).sum()) for number, name in enumerate(OUTCOMES) if number != COMMITTED},
        "clobbering": int(np.unique(clobbers.culprit).size),
        "clobbered_fields": len(clobbers),
    }
    quantiles = {
        f"{name}_p{percent}": float(np.percentile(values, percent)) if values.size else float("nan")
        for name, values in timings(run).items()
        for percent in (50, 95, 99)
    }
    return {**counts, **quantiles}


def timings(run: TestbedRun) -> dict[str, Floats]:
    """What took how long, in seconds.

    Returns:
        `late`: from the drawn arrival of a flow to its first read; `prepare_over`: preparation beyond what was drawn (both are
        the event loop and the scheduler); `wait`: for the lock, the queue included; `hold`: from lock to commit, with the
        computing that the strategy does in the lock.
    """
    history, traffic, step = run.history, run.traffic, run.step
    inside = np.isin(history.site, [run.case.sites.index(site) for site in run.case.strategy(run.strategy).in_lock])
    drawn = traffic.prepare[step] + np.where(inside, 0.0, traffic.compute[step])
    once = np.ones(step.size, dtype=np.bool_) if history.attempts is None else history.attempts.number == 1
    first = once & np.isin(step, traffic.first[:-1])
    return {
        "late": (history.read - traffic.arrive[history.flow])[first],
        "prepare_over": (history.queued - history.read - drawn)[once],
        "wait": history.lock - history.queued,
        "hold": (history.end - history.lock)[history.ok],
    }
