"""A small sweep of four cells that takes a second, and an engine that needs no processes."""

from collections.abc import Sequence
from pathlib import Path

from simlib.sweep.block import Job
from simlib.sweep.sweep import Task

TEXT = """\
sweep: tiny
workload: quiet
set: {duration: 40}
axes:
  traffic.patch.rate: [0.2, 0.5]
  times.handler.hold.median: [0.02, 0.05]
strategies: [after-19328, all-sites]
precision: {absolute: 0.05, most: 12}
block: 4
"""


def tiny_sweep(folder: Path, *replacements: tuple[str, str]) -> str:
    """The path of the sweep's file, with parts of it replaced."""
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


class InTurn:
    """An engine without processes: what is given is done when it is collected, last come, first served."""

    def __init__(self, task: Task) -> None:
        self.task, self.given = task, list[Sequence[Job]]()

    def __enter__(self) -> "InTurn":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def free(self) -> int:
        return 3 - len(self.given)

    def give(self, item: Sequence[Job]) -> None:
        self.given.append(item)

    def collect(self) -> list[tuple[Sequence[Job], "list[bytes | str] | Exception"]]:
        item = self.given.pop()
        return [(item, self.task(item))]
