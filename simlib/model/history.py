"""The history: the ordered reads and writes of a run, the one form that every part of simlib shares.

Whatever produces one (the SimPy model, a recording of a real store), nothing downstream knows where it came from.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from simlib.case.case import Case
from simlib.case.evaluator import named_keys
from simlib.case.rules import UNDEFINED, UPDATED
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import lean
from simlib.common.errors import InputError
from simlib.common.files import replacing, validated
from simlib.common.json_text import parse_json
from simlib.model.history_check import MOST_CODE, check_codes, check_numbers

FORMAT = 1


@dataclass(frozen=True)
class Values:
    """The names of the value codes of each domain; a number stands for that many generated names."""

    names: Mapping[str, tuple[str, ...] | int]

    def name(self, domain: str, code: int) -> str:
        """What a person calls the value; `undefined` for UNDEFINED, a name of its own for what updates left."""
        if code <= UNDEFINED:
            return "undefined"
        if code >= UPDATED:
            return f"{domain}-updated-{code - UPDATED:08x}"
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


COMMITTED, TIMED_OUT, CONFLICT, FAILED, SKIPPED = range(5)
OUTCOMES = ("committed", "timed_out", "conflict", "failed", "skipped")
"""How an attempt ends: committed; a lock was not granted in time; rejected by its guard and tried again; rejected for the last
time, which fails loudly; and rejected for the last time, which nobody is told."""


class Attempts(NamedTuple):
    """What a history holds beside its rows where a discipline is not plain: there each row is one attempt at a transaction.

    Attributes:
        transaction: (n,) number of the transaction; the rows of one are its attempts.
        number: (n,) which attempt it is, from 1.
        outcome: (n,) index into OUTCOMES; a row is `ok` if it is COMMITTED.
        base: (n,) row whose commit the entry shows that the patch is merged over; -1: the initial entry. Under one exclusive
            lock it is the newest.
        seen: (n,) how many rows had ended when that entry was read; a strategy that stores the whole file puts back what stood
            then.
        began: (n,) when the transaction's first attempt began; seconds.
    """

    transaction: Ints
    number: Ints
    outcome: Ints
    base: Ints
    seen: Ints
    began: Floats


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
        attempts: more of each row; None: each transaction is tried once, and is merged over the newest entry.
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
    attempts: Attempts | None = None

    def __len__(self) -> int:
        return int(self.site.size)

    def check(self, case: Case, source: str = "") -> None:
        """Refuse a history that is not of this case, or that shows a transaction what it cannot have seen.

        Args:
            case: whose fields, request keys and sites it must have.
            source: where it is from, for the error.

        Raises:
            InputError: fields, request keys or sites differ; a snapshot, or the entry that a patch is merged over, is not an
                earlier commit of the same session.
        """
        place = f"{source}: " if source else ""
        for name, ours, theirs in [
            ("fields", self.fields, case.fields),
            ("request keys", self.request_keys, case.request),
            ("write sites", self.sites, case.sites),
        ]:
            if ours != theirs:
                raise InputError(f"{place}the history's {name} are {', '.join(ours)}; case {case.name} has {', '.join(theirs)}")
        for what, shown in self._shown.items():
            if (row := self._foreseen[what]) is not None:
                raise InputError(f"{place}row {row}: its {what}, row {shown[row]}, is no earlier commit of its session")

    @cached_property
    def named(self) -> Ints:
        """(n,) the request keys that each row names, as the set that `case.pairs.Pairs.wants` is compared with."""
        return np.asarray(named_keys(self.request), dtype=np.int64)

    @property
    def _shown(self) -> dict[str, Ints]:
        """The columns that name a commit of the row's session."""
        return {"snapshot": self.snapshot} | ({"base": self.attempts.base} if self.attempts else {})

    @cached_property
    def _foreseen(self) -> dict[str, int | None]:
        """Of each such column the first row whose number is none; cached, as every replay of the history asks."""
        return {what: self._foresees(shown) for what, shown in self._shown.items()}

    def _foresees(self, shown: Ints) -> int | None:
        row = _first_foreseeing(shown, self.session, self.ok)
        return None if row == self.site.size else row


@lean
def _first_foreseeing(shown: Any, session: Any, ok: Any) -> int:
    """The first row that is shown what is no earlier commit of its session; the number of rows if there is none."""
    for row in range(shown.size):
        seen = shown[row]
        if seen >= 0 and not (seen < row and ok[seen] and session[seen] == session[row]):
            return row
    return shown.size  # type: ignore[no-any-return]


_COLUMNS = {
    **dict.fromkeys(("flow", "kind", "site", "session", "gateway"), pa.int64()),
    **dict.fromkeys(("read", "queued", "lock", "end"), pa.float64()),
    "ok": pa.bool_(),
    "snapshot": pa.int64(),
}
_OF_ATTEMPTS = {
    **{f"attempt.{name}": pa.int64() for name in Attempts._fields if name != "began"},
    "attempt.began": pa.float64(),
}
"""Columns that are only there where the history has attempts; all of them, or none."""
_NAMES = ("fields", "request_keys", "sites", "kinds", "session_names")
MOST_ROWS = 20_000_000
"""A Parquet file of a few thousand bytes can have more rows than memory has room for."""


class _About(BaseModel):
    """What stands in the metadata of a history's file."""

    model_config = ConfigDict(strict=True)

    fields: list[str]
    request_keys: list[str]
    sites: list[str]
    kinds: list[str]
    session_names: list[str]
    values: dict[str, list[str] | NonNegativeInt]
    initial: list[list[Annotated[int, Field(ge=UNDEFINED, le=MOST_CODE)]]]
    rule: str | None = None


def write_parquet(history: History, path: Path, rule: str | None = None) -> None:
    """Write the history as one Parquet file: a row a transaction or attempt, the names in the metadata.

    `rule` is the strategy that was really at work, if there was one.
    """
    table = pa.table(
        {name: getattr(history, name) for name in Rows._fields}
        | {f"request.{key}": history.request[:, number] for number, key in enumerate(history.request_keys)}
        | dict(zip(_OF_ATTEMPTS, history.attempts or (), strict=bool(history.attempts)))
    )
    about = {name: getattr(history, name) for name in _NAMES} | {
        "format": FORMAT,
        "values": dict(history.values.names),
        "initial": history.initial.tolist(),
        "rule": rule,
    }
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"simlib": json.dumps(about)}), temporary)


def read_parquet(path: Path, case: Case | None = None) -> History:
    """The history in a Parquet file that `write_parquet` made, every number of it checked.

    Args:
        path: the file.
        case: the case that the history must be of; None: any.

    Raises:
        InputError: the file cannot be read, is not a history, or has a number that cannot be; names the column and the row.
    """
    with _opened(path) as file:
        about = _about(file, path)
        keys = tuple(about.request_keys)
        if file.metadata.num_rows > MOST_ROWS:
            raise InputError(f"{path}: {file.metadata.num_rows:,} rows; allowed: {MOST_ROWS:,}")
        tried = any(name in _OF_ATTEMPTS for name in file.schema_arrow.names)
        types = _COLUMNS | {f"request.{key}": pa.int32() for key in keys} | (_OF_ATTEMPTS if tried else {})
        for name in types:
            if file.schema_arrow.names.count(name) != 1:
                raise InputError(f"{path}: no column '{name}', or two; needed: {', '.join(types)}")
        table = file.read(columns=list(types))
    columns: dict[str, Any] = {name: _column(table[name], name, kind, path) for name, kind in types.items()}
    if any(len(entry) != len(about.fields) for entry in about.initial):
        raise InputError(f"{path}: initial: an entry has not {len(about.fields)} values, one for each of the fields")
    names: dict[str, Any] = {name: tuple(getattr(about, name)) for name in _NAMES}
    history = History(
        **names,
        **{name: columns[name] for name in _COLUMNS},
        request=np.array([columns[f"request.{key}"] for key in keys], dtype=np.int32).reshape(len(keys), len(table)).T.copy(),
        initial=np.array(about.initial, dtype=np.int32).reshape(-1, len(about.fields)),
        values=Values({domain: tuple(names) if isinstance(names, list) else names for domain, names in about.values.items()}),
        attempts=Attempts(*(columns[name] for name in _OF_ATTEMPTS)) if tried else None,
    )
    check_numbers(history, str(path))
    if case:
        history.check(case, str(path))
        check_codes(history, case, str(path))
    return history


def parquet_rule(path: Path) -> str | None:
    """The strategy that was at work in the history of a Parquet file; None if it does not say.

    Raises:
        InputError: the file cannot be read, or is not a history.
    """
    with _opened(path) as file:
        return _about(file, path).rule


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with path.open("rb") as file, pq.ParquetFile(file) as parquet:  # a folder would be read as a data set of many files
            yield parquet
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def _about(file: pq.ParquetFile, path: Path) -> _About:
    try:
        about = parse_json((file.schema_arrow.metadata or {})[b"simlib"])
    except (KeyError, ValueError):
        about = None
    if not isinstance(about, dict):
        raise InputError(f"{path}: a Parquet file, but no simlib history")
    if about.get("format") != FORMAT:
        raise InputError(f"{path}: history format {about.get('format')}; this version reads {FORMAT}")
    return validated(_About, about, str(path))


def _column(column: pa.ChunkedArray, name: str, kind: pa.DataType, path: Path) -> NDArray[Any]:
    """The numbers of a column, which must all be there and be of that type, or fit into it."""
    if column.null_count:
        raise InputError(f"{path}: {name}: nothing in row {column.is_null().index(True).as_py()}; allowed: a number")
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    try:
        if not any(is_kind(kind) and is_kind(column.type) for is_kind in kinds):
            raise pa.ArrowInvalid("not that kind of number")
        return np.asarray(column.cast(kind).to_numpy())
    except pa.ArrowInvalid:
        raise InputError(f"{path}: {name}: a column of {column.type}; allowed: {kind}, and what fits into it") from None


def same(one: History, other: History) -> bool:
    """Whether two histories are equal, bit for bit (NaN equals NaN)."""
    if (one.attempts is None) != (other.attempts is None):
        return False
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(History) if field.name != "attempts"]
    pairs += zip(one.attempts or (), other.attempts or (), strict=True)
    return all(_same(a, b) for a, b in pairs)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return bool(a.shape == b.shape and a.tobytes() == b.astype(a.dtype).tobytes())
    return bool(a == b)
