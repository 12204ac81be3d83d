"""A recording of four transactions, written by hand: two patches, a stale handler, and one that is up to date."""

import json
from pathlib import Path
from typing import Any

from schedules import CASE

from simlib.replay.recording import Recording, read_recording


def transaction(
    number: int, kind: str, before: int, at: float, request: dict[str, Any], fresh: Any, written: Any, **more: Any
) -> Any:
    """One transaction; `at` is when it arrived, in milliseconds."""
    return {
        "id": number, "proc": 0, "session": 0, "kind": kind, "request": request, "arrive": at, "lock": at + 5, "fresh": fresh,
        "fresh_rev": before, "written": written, "commit": at + 8, "ok": True,
    } | more  # fmt: skip


A, B = {"label": "A"}, {"label": "B", "modelOverride": "m"}
STORY = [
    transaction(0, "patch", -1, 0, A, {}, A),
    transaction(1, "patch", 0, 11, {"label": "B", "modelOverride": "m"}, A, B),
    # The handler had read before the second patch: the label goes back to A, the model stays.
    transaction(2, "agent", 1, 20, {}, B, B | A, read=10.0, read_rev=0, stale=A, serial=B),
    # An up-to-date one does no harm.
    transaction(3, "agent", 2, 30, {}, B | A, B | A, read=29.0, read_rev=2, stale=B | A, serial=B | A),
]
HEADER = {"recording": 1, "build": "2026.4.22", "rule": "after-19328", "sessions": 1, "fields": ["label", "modelOverride"]}


def recording_of(path: Path, lines: list[Any]) -> Recording:
    file = path / "story.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in [HEADER, *lines]))
    return read_recording(file, CASE)
