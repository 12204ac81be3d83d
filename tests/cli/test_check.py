"""`simlib check`, as a person calls it: its options, its line and its exit status."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from simlib.cli import app


def called(*options: str) -> Result:
    words = ["check", "quiet", "--set", "duration=60", "--strategy", "all-sites", "--most", "32"]
    return CliRunner().invoke(app, [*words, *options])


def test_several_limits_make_one_line_and_one_exit_status() -> None:
    limits = ("--max-clobber-rate", "0.5", "--max-lost-write-rate", "0.5", "--max-noticed", "misrouted_reply=0.5")
    done = called(*limits)
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.count("is below the limit of 50.0 %") == 3
    done = called(*limits[:-1], "misrouted_reply=0.000001", "--json")
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert [one["decision"] for one in found["limits"]] == ["pass", "pass", "undecided"]
    assert found["limits"][1]["outcome"] == "lost_write_rate"
    assert set(found) == {"decision", "rate", "replicates", "reason", "limits"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "check: no limit; give --max-clobber-rate, --max-lost-write-rate, --max-failed-rate or --max-noticed"),
        (("--max-noticed", "x"), "--max-noticed: 'x' is no limit; allowed: NAME=RATE, as wrong_model=0.01"),
        (("--max-noticed", "wrong_model=nan"), "--max-noticed: 'wrong_model=nan' is no limit"),
        (("--max-noticed", "wrong_model=2"), "max-noticed wrong_model: 2.0 is too large"),
        (("--max-noticed", "a=0.1", "--max-noticed", "a=0.2"), "--max-noticed: 'a' stands twice; give one limit"),
        (("--max-noticed", "a=0.1"), "'a' is nothing that a person notices in case openclaw-70575; allowed: wrong_model, "),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused(options: tuple[str, ...], says: str) -> None:
    assert says in str(called(*options).exception)


def test_units_that_fail_are_held_against_a_limit_of_their_own() -> None:
    words = ["check", "busy-team", "--case", "openclaw-cures", "--set", "duration=60", "--max-failed-rate", "0.1"]
    done = CliRunner().invoke(app, [*words, "--strategy", "reordered-bytes"])
    assert done.exit_code == 1
    assert "fail: reordered-bytes: a failed rate of " in done.stdout
    assert "is above the limit of 10.0 %" in done.stdout
    done = CliRunner().invoke(app, [*words, "--strategy", "bytes-four-tries"])
    assert done.exit_code == 0


def test_a_proof_that_is_asked_for_and_not_there_fails_the_gate_and_says_what_is_missing() -> None:
    words = ["check", "handler-only", "--case", "openclaw-cures", "--set", "duration=60", "--max-clobber-rate", "0.5"]
    done = CliRunner().invoke(app, [*words, "--strategy", "run-lock", "--require-proof"])
    assert done.exit_code == 1
    assert "; but it is not proved: no schedule found in all 11 scopes" in done.stdout
    done = CliRunner().invoke(app, [*words, "--strategy", "all-sites", "--require-proof"])
    assert done.exit_code == 0
    assert "; proved: cannot, for any number of writers" in done.stdout
    done = CliRunner().invoke(app, [*words, "--strategy", "after-19328", "--require-proof"])
    assert done.exit_code == 1
    assert "; but it can clobber: lastChannel erased at handler in 3 steps" in done.stdout


def test_no_schedules_are_told_as_what_is_known_of_the_strategy() -> None:
    words = ["interleave", "--case", "openclaw-cures", "--scope", "turn+inbound", "--as", "text"]
    done = CliRunner().invoke(app, [*words, "--strategy", "run-lock"])
    assert done.stdout.startswith("run-lock: no schedule found in turn+inbound (")
    assert CliRunner().invoke(app, [*words, "--strategy", "all-sites"]).stdout == "Nothing is reachable.\n"
