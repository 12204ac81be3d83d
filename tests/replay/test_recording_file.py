"""The bounds of a recording's numbers: each end is allowed, and what lies beyond it is refused with the bound."""

import json
from pathlib import Path
from typing import Any

import pytest
from schedules import CASE
from story import HEADER, STORY

from simlib.common.errors import InputError
from simlib.model.history_check import LONGEST, MOST_GATEWAYS
from simlib.replay import recording_file
from simlib.replay.recording_file import MOST_SESSIONS, read_lines

END = 1000 * LONGEST
"""The last moment, in milliseconds."""


def lines_read(folder: Path, lines: list[Any], **header: Any) -> int:
    """How many transactions are read, of the story with its last lines changed."""
    file = folder / "story.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in [HEADER | header, *lines]))
    return len(read_lines(file, CASE)[1])


@pytest.mark.parametrize(
    ("allowed", "refused", "message"),
    [
        ({"id": 0}, {"id": -1}, "id -1 is not there; allowed: 0 to 9007199254740992"),
        ({"id": 2**53}, {"id": 2**53 + 1}, "allowed: 0 to 9007199254740992"),
        ({"session": 0}, {"session": -1}, "session -1 is not there; allowed: 0 to 0"),
        ({"session": 0}, {"session": 1}, "session 1 is not there; allowed: 0 to 0"),
        ({"proc": 0}, {"proc": -1}, "proc -1 is not there; allowed: 0 to 9999"),
        ({"proc": MOST_GATEWAYS - 1}, {"proc": MOST_GATEWAYS}, "allowed: 0 to 9999"),
        (
            {"arrive": 0.0, "read": 0.0},
            {"arrive": -0.5, "read": 0.0},
            "arrive -0.5 is not there; allowed: 0.0 to 10000000000000.0",
        ),
        ({"read": 0.0}, {"read": -0.5}, "read -0.5 is not there; allowed: 0.0 to 10000000000000.0"),
        ({"arrive": 35.0}, {"arrive": 35.5}, "lock 35 is not there; allowed: 35.5 to 10000000000000.0"),
        ({"read": 35.0}, {"read": 35.5}, "lock 35 is not there; allowed: 35.5 to 10000000000000.0"),
        ({"lock": 38.0}, {"lock": 38.5}, "commit 38 is not there; allowed: 38.5 to 10000000000000.0"),
        ({"commit": END}, {"commit": END * 1.0005}, "allowed: 35 to 10000000000000.0"),
        ({"lock": END, "commit": END}, {"lock": END * 1.0005, "commit": END}, "lock 10005000000000.0"),
        (
            {"read": END, "lock": END, "commit": END},
            {"read": END * 1.0005, "lock": END, "commit": END},
            "read 10005000000000.0",
        ),
        (
            {"arrive": END, "lock": END, "commit": END},
            {"arrive": END * 1.0005, "lock": END, "commit": END},
            "arrive 10005000000000.0",
        ),
    ],
)
def test_a_number_is_allowed_up_to_its_bound(
    allowed: dict[str, Any], refused: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """The story's last handler read at 29 ms, arrived at 30, had the lock from 35, and committed at 38; nobody saw that."""
    alone = STORY[3] | {"fresh_rev": -1, "read_rev": -1}
    assert lines_read(tmp_path, [alone | allowed]) == 1
    with pytest.raises(InputError, match="line 2: ") as error:
        lines_read(tmp_path, [alone | refused])
    assert message in str(error.value)


def test_a_lock_without_a_snapshot_may_be_had_from_the_first_moment_on(tmp_path: Path) -> None:
    assert lines_read(tmp_path, [STORY[0] | {"lock": 0.0, "commit": 0.0}]) == 1


def test_sessions_and_lines_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_read(tmp_path, STORY, sessions=MOST_SESSIONS) == 4
    with pytest.raises(InputError, match="1000001 sessions; allowed: 1 to 1,000,000"):
        lines_read(tmp_path, STORY, sessions=MOST_SESSIONS + 1)
    monkeypatch.setattr(recording_file, "MOST_LINES", 5)  # with the header
    assert lines_read(tmp_path, STORY) == 4
    monkeypatch.setattr(recording_file, "MOST_LINES", 4)
    with pytest.raises(InputError, match="line 5: one line too many; allowed: 4"):
        lines_read(tmp_path, STORY)
