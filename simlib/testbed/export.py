"""A testbed run as a store recording, in the form that `recording.read_recording` reads."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import InputError
from simlib.common.files import replacing
from simlib.replay.recording_file import recorded_kinds
from simlib.replay.replay import replay_strategy
from simlib.testbed.entry import INITIAL
from simlib.testbed.run import TestbedRun


def write_recording(run: TestbedRun, path: Path) -> None:
    """Write the run as a gzipped JSON-lines recording: a header, then one line a transaction.

    Transactions keep their numbers in the traffic. A recording does not say when a transaction that read a snapshot of its own
    began to queue.

    Raises:
        InputError: the run has more than a recording can say (`history.write_parquet` keeps everything), or its case does not
            say what a recording calls things.
    """
    history, case = run.history, run.case
    if history.attempts is not None:
        raise InputError(f"{path}: a recording has no attempts; write the history as Parquet")
    kind_of = {(write.flow, write.site): kind for kind, write in recorded_kinds(case, str(path)).items()}
    flows = {(history.kinds[kind], history.sites[site]) for kind, site in zip(history.kind, history.site, strict=True)}
    if more := sorted(flows - set(kind_of)):
        known = ", ".join(f"{site} in {flow}" for flow, site in kind_of)
        raise InputError(
            f"{path}: a recording has no {more[0][1]} in {more[0][0]} (only {known}); write the history as Parquet"
        )
    if history.initial.any():
        raise InputError(
            f"{path}: in a recording every session starts empty (sessions.initial: []); write the history as Parquet"
        )
    header = {
        "recording": 1,
        "system": f"simlib testbed, {run.store} store",
        "build": f"testbed-{run.store}",
        "rule": run.strategy,
        "sessions": run.workload.sessions.count,
        "rate_per_s": sum(map(run.workload.flow_rate, run.workload.traffic.values())),
        "processes": run.workload.store.gateways,
        "time_unit": "ms",
        "fields": case.fields,
    }
    serial = _serial(run)
    with replacing(path) as temporary, gzip.open(temporary, "wt", encoding="utf-8") as file:
        for line in (header, *(_line(run, row, serial, kind_of) for row in range(len(history)))):
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _serial(run: TestbedRun) -> Codes:
    """(n, fields) what a serial execution would have committed: as written, but for the clobbered fields."""
    clobbers = replay_strategy(run.case, run.case.strategy(run.strategy), run.history).clobbers
    serial = run.written.copy()
    serial[clobbers.culprit, clobbers.field] = clobbers.right
    return serial


def _line(run: TestbedRun, row: int, serial: Codes, kind_of: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    history, case = run.history, run.case
    reads_own = bool(case.reads_own[history.site[row]])

    def named(keys: tuple[str, ...], codes: Codes, missing: int) -> dict[str, str | None]:
        """The codes as values by key, null for a cleared one, without those that are `missing`."""
        return {
            key: history.values.name(case.domains[key], int(code)) if code > UNDEFINED else None
            for key, code in zip(keys, codes, strict=True)
            if code != missing
        }

    def entry(of: int) -> dict[str, str | None]:
        return named(case.fields, history.initial[history.session[row]] if of == INITIAL else run.written[of], UNDEFINED)

    def shown(number: int) -> int:
        return INITIAL if number == INITIAL else int(run.step[number])

    fresh, snapshot = int(run.base[row]), int(history.snapshot[row])
    before = {
        "read": _ms(history.read[row]),
        "read_rev": shown(snapshot),
        "stale": entry(snapshot),
    }
    # Without a snapshot of its own, what a recording calls a transaction's arrival is when it began to queue.
    arrive = run.traffic.arrive[history.flow[row]] if reads_own else history.queued[row]
    return {
        "id": int(run.step[row]),
        "proc": int(history.gateway[row]),
        "session": int(history.session[row]),
        "kind": kind_of[history.kinds[history.kind[row]], history.sites[history.site[row]]],
        "request": named(case.request, history.request[row], ABSENT),
        "arrive": _ms(arrive),
        **(before if reads_own else {}),
        "lock": _ms(history.lock[row]),
        "fresh_rev": shown(fresh),
        "fresh": entry(fresh),
        "written": entry(row),
        **({"serial": named(case.fields, serial[row], UNDEFINED)} if reads_own else {}),
        "commit": _ms(history.end[row]),
        "ok": bool(history.ok[row]),
    }


def _ms(seconds: np.float64) -> float:
    return round(float(seconds) * 1000, 4)
