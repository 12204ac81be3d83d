"""The folder that holds a sweep: its blocks, a journal of the cells that are done, the last plan, the results.

    DIR/blocks/ab/ADDRESS-FIRST.parquet   the blocks of the cell whose address begins with ab; FIRST is their first replicate
    DIR/journal.jsonl                     a line for each cell that was found done, or failed
    DIR/plan.json                         the last plan
    DIR/results.parquet, DIR/columns.json a row per cell and strategy, and what its columns mean

Blocks are the truth. Each is written to a temporary name and renamed, so it is there whole or not at all. The journal only
saves reading them: a line that got lost or cut costs reading a cell again. So a kill loses the blocks under way only.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simlib.common.errors import InputError
from simlib.common.files import naming, replacing
from simlib.common.lock import locked
from simlib.sweep.block import Block, from_bytes


@dataclass(frozen=True)
class Entry:
    """What the journal says of a cell.

    Attributes:
        address: the cell.
        precision: digest of the precision that it was judged by.
        replicates: how many its result is of; 0 if it failed.
        state: `done`, `capped` (all replicates that it may have, and not precise enough) or `failed`.
        reason: why it failed.
        seconds: that workers spent on it in the run that finished it.
    """

    address: str
    precision: str
    replicates: int
    state: str
    reason: str = ""
    seconds: float = 0.0


class Folder:
    """The folder of a sweep; made if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path, self.blocks = path, path / "blocks"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works in the folder meanwhile.

        Raises:
            InputError: the folder cannot be made or written to.
            RunError: somebody does.
        """
        with locked(self.path, "sweep"):
            self.blocks.mkdir(exist_ok=True)
            yield

    def block_path(self, address: str, first: int) -> Path:
        """Where a block is."""
        return self.blocks / address[:2] / f"{address}-{first:07}.parquet"

    def stored(self) -> dict[str, set[int]]:
        """Address -> the first replicates of the blocks that are there."""
        found: dict[str, set[int]] = {}
        for folder in self.blocks.iterdir() if self.blocks.is_dir() else ():
            if folder.is_dir():
                for name in os.listdir(folder):  # noqa: PTH208 - a hundred thousand names: a Path of each takes seconds
                    address, _, first = name.removesuffix(".parquet").partition("-")
                    if name.endswith(".parquet") and first.isdecimal():
                        found.setdefault(address, set()).add(int(first))
        return found

    def write_block(self, address: str, first: int, data: bytes) -> None:
        """Keep a block."""
        path = self.block_path(address, first)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(data)

    def read_block(self, address: str, first: int) -> Block:
        """A block that is there.

        Raises:
            InputError: it cannot be read, is damaged, or is another one than its name says.
        """
        path = self.block_path(address, first)
        try:
            return from_bytes(path.read_bytes(), address, first)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def drop_damaged(self, address: str) -> None:
        """Remove the blocks of a cell that cannot be read."""
        for first in self.stored().get(address, ()):
            try:
                self.read_block(address, first)
            except InputError:
                self.block_path(address, first).unlink()

    def tidy(self) -> None:
        """Remove what a kill left half written, and end the line that it cut. Nobody else may be at work in the folder."""
        for folder in (self.path, *self.blocks.iterdir()):
            for left in (path for ending in ("parquet", "json") for path in folder.glob(f".*.{ending}")):
                left.unlink()
        path = self.path / "journal.jsonl"
        if path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n"):
            with naming(path), path.open("a") as file:
                file.write("\n")

    def journal(self) -> dict[str, Entry]:
        """Address -> the last entry of each cell; lines that are cut or are not ours do not count."""
        found = {}
        path = self.path / "journal.jsonl"
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[entry.address] = entry
        return found

    def note(self, entry: Entry) -> None:
        """Add an entry to the journal."""
        path = self.path / "journal.jsonl"
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")

    def read_plan(self) -> dict[str, Any] | None:
        """What was remembered of the last plan; None if there is none."""
        try:
            known = json.loads((self.path / "plan.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return known if isinstance(known, dict) else None

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Keep a small file."""
        with replacing(self.path / name) as temporary:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
