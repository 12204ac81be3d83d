"""The history: the ordered reads and writes of a run, the one form that every part of simlib shares.

Whatever produces one (the SimPy model, a recording of a real store), nothing downstream knows where it came from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simlib.case.case import Case
from simlib.case.evaluator import named_keys
from simlib.case.rules import UNDEFINED
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.errors import InputError
from simlib.common.files import replacing

FORMAT = 1


@dataclass(frozen=True)
class Values:
    """The names of the value codes of each domain; a number stands for that many generated names."""

    names: Mapping[str, tuple[str, ...] | int]

    def name(self, domain: str, code: int) -> str:
        """What a person calls the value; `undefined` for UNDEFINED."""
        if code <= UNDEFINED:
            return "undefined"
        names = self.names.get(domain, 0)
        return f"{domain}-{code}" if isinstance(names, int) else names[code - 1]


class Rows(NamedTuple):
    """The columns of a history that hold a number each, as a tuple; what they mean is said there."""

    flow: Ints
    kind: Ints
    site: Ints
    session: Ints
    gateway: Ints
    read: Floats
    queued: Floats
    lock: Floats
    end: Floats
    ok: Bools
    snapshot: Ints


@dataclass(frozen=True)
class History:
    """Transactions in the order in which they ended; as the lock is exclusive, that is the order of their locks too.

    A row refers to another by its number. Times in seconds, NaN where the source does not tell.

    Attributes:
        fields, request_keys, sites, kinds: the names that the numbers below stand for.
        flow: (n,) number of the flow; flows are numbered by arrival.
        kind: (n,) kind of the flow.
        site, session, gateway: (n,).
        read: when the snapshot was read (an inherited one: when the step began).
        queued: when the transaction began to wait for the lock.
        lock, end: when the lock was granted, and when the write was committed or given up.
        ok: whether it was committed; a transaction that gave up wrote nothing.
        snapshot: row whose commit the snapshot shows for this session; -1: the initial entry.
        request: (n, request keys) value codes, UNDEFINED to clear, ABSENT where not named.
        initial: (sessions, fields) value codes before the first row.
        values: names of the value codes.
        session_names: one a session.
    """

    fields: tuple[str, ...]
    request_keys: tuple[str, ...]
    sites: tuple[str, ...]
    kinds: tuple[str, ...]
    flow: Ints
    kind: Ints
    site: Ints
    session: Ints
    gateway: Ints
    read: Floats
    queued: Floats
    lock: Floats
    end: Floats
    ok: Bools
    snapshot: Ints
    request: Codes
    initial: Codes
    values: Values
    session_names: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.site.size)

    def check(self, case: Case) -> None:
        """Refuse a history that is not of this case, or that shows a transaction what it cannot have seen.

        Raises:
            InputError: fields, request keys or sites differ; a snapshot is not an earlier commit of the same session.
        """
        for name, ours, theirs in [
            ("fields", self.fields, case.fields),
            ("request keys", self.request_keys, case.request),
            ("write sites", self.sites, case.sites),
        ]:
            if ours != theirs:
                raise InputError(f"the history's {name} are {', '.join(ours)}; case {case.name} has {', '.join(theirs)}")
        if (row := self._foresees) is not None:
            raise InputError(f"row {row}: its snapshot, row {self.snapshot[row]}, is no earlier commit of its session")

    @cached_property
    def named(self) -> Ints:
        """(n,) the request keys that each row names, as the set that `paired.Pairs.wants` is compared with."""
        return np.asarray(named_keys(self.request), dtype=np.int64)

    @cached_property
    def _foresees(self) -> int | None:
        """The first row whose snapshot is no earlier commit of its session; cached, as every replay of the history asks."""
        rows = np.flatnonzero(self.snapshot >= 0)
        seen = np.minimum(self.snapshot[rows], rows)
        possible = (seen < rows) & self.ok[seen] & (self.session[seen] == self.session[rows])
        return None if possible.all() else int(rows[~possible][0])


_NAMES = ("fields", "request_keys", "sites", "kinds", "session_names")


def write_parquet(history: History, path: Path, rule: str | None = None) -> None:
    """Write the history as one Parquet file: a row a transaction, names and initial entries in the schema's metadata.

    `rule` is the strategy that was really at work, if there was one.
    """
    table = pa.table(
        {name: getattr(history, name) for name in Rows._fields}
        | {f"request.{key}": history.request[:, number] for number, key in enumerate(history.request_keys)}
    )
    about = {name: getattr(history, name) for name in _NAMES} | {
        "format": FORMAT,
        "values": dict(history.values.names),
        "initial": history.initial.tolist(),
        "rule": rule,
    }
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"simlib": json.dumps(about)}), temporary)


def read_parquet(path: Path) -> History:
    """The history in a Parquet file that `write_parquet` made.

    Raises:
        InputError: the file cannot be read, or is not a history.
    """
    try:
        with path.open("rb") as file:  # a directory would be read as a data set of many files
            table = pq.read_table(file)
        about: dict[str, Any] = json.loads((table.schema.metadata or {})[b"simlib"])
    except (KeyError, json.JSONDecodeError):
        raise InputError(f"{path}: a Parquet file, but no simlib history") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if about["format"] != FORMAT:
        raise InputError(f"{path}: history format {about['format']}; this version reads {FORMAT}")
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in Rows._fields}
    names: dict[str, Any] = {name: tuple(about[name]) for name in _NAMES}
    keys = names["request_keys"]
    return History(
        **names,
        **columns,
        request=np.stack([table[f"request.{key}"].to_numpy() for key in keys], axis=1).astype(np.int32),
        initial=np.array(about["initial"], dtype=np.int32).reshape(-1, len(names["fields"])),
        values=Values(
            {domain: tuple(value) if isinstance(value, list) else value for domain, value in about["values"].items()}
        ),
    )


def parquet_rule(path: Path) -> str | None:
    """The strategy that was at work in the history of a Parquet file; None if it does not say."""
    rule = json.loads((pq.read_schema(path).metadata or {}).get(b"simlib", b"{}")).get("rule")
    return rule if isinstance(rule, str) else None


def same(one: History, other: History) -> bool:
    """Whether two histories are equal, bit for bit (NaN equals NaN)."""
    for field in fields(History):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            if a.shape != b.shape or a.tobytes() != b.astype(a.dtype).tobytes():
                return False
        elif a != b:
            return False
    return True
