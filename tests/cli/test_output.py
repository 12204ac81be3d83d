"""What is printed: one line a thing, whatever it is called, in the signs that the terminal has."""

import io
import sys
import threading
from contextlib import suppress

import pytest

from simlib.cli.output import (
    LONG,
    Progress,
    complain,
    forewarn,
    line_a_minute,
    print_table,
    progress_bar,
    use_plain_signs,
)
from simlib.common.errors import RunError
from simlib.estimate.wording import points

NAME = "\x1b[31m\u202ea|b\n$x^$"
SHOWN = "[U+001B][31m[U+202E]a|b[U+000A]$x^$"


def test_a_table_has_a_line_a_row_and_names_what_does_not_print(capsys):
    print_table([{"strategy": NAME, NAME: "1"}, {"strategy": "x" * 20_000, NAME: "2"}])
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["strategy", SHOWN]
    assert first.split() == [SHOWN, "1"]
    assert len(second) < 200
    assert header.index(SHOWN) == first.rindex("1") == second.rindex("2")


def test_an_error_is_one_line_whatever_it_names(capsys):
    complain(f"strategy '{NAME}' and '{'x' * 20_000}'")
    error = capsys.readouterr().err
    assert error.startswith(f"simlib: strategy '{SHOWN}' and 'xxx")
    assert error.count("\n") == 1
    assert len(error) < 200


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "name              difference\n[U+4E2D][U+00E9]  -2.00 pp\n"),
        ("latin-1", "name       difference\n[U+4E2D]é  -2.00 pp\n"),
        ("utf-8", "name  difference\n中é    −2.00 pp\n"),
    ],
)
def test_a_terminal_without_a_true_minus_gets_the_whole_table_with_another(encoding, shown, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    use_plain_signs()
    print_table([{"name": "中é", "difference": points(-0.02)}])
    terminal.flush()
    assert terminal.buffer.getvalue().decode(encoding) == shown


def test_elsewhere_than_on_a_terminal_there_is_a_line_a_minute_with_the_time_left(capsys):
    now = [0.0]
    work = Progress("cells", 200, clock=lambda: now[0])

    def wait(pause):  # no work, then twice 40 cells in a minute; then it is done
        now[0] += pause
        for _ in range(40 if now[0] > pause else 0):
            work.step()
        return now[0] > 3 * pause

    work.tell(wait)
    assert capsys.readouterr().err.splitlines() == [
        "simlib: cells: 0 of 200 after 60.0 s",
        "simlib: cells: 40 of 200 after 2 min; some 8 min left",
        "simlib: cells: 80 of 200 after 3 min; some 4 min left",
    ]


def test_work_that_counts_nothing_tells_how_long_it_has_been_at_it(capsys):
    now = iter((0.0, 60.0))
    waits = iter((False, True))
    Progress("the report", clock=lambda: next(now)).tell(lambda pause: next(waits))
    assert capsys.readouterr().err == "simlib: the report after 60.0 s\n"


def test_quick_work_says_nothing_and_leaves_no_thread(capsys):
    before = threading.active_count()
    for shown in (progress_bar, line_a_minute):
        with suppress(RunError), shown("cells", 2) as step:
            step()
            raise RunError
    assert capsys.readouterr().err == ""
    assert threading.active_count() == before


def test_work_that_takes_long_says_so_beforehand(capsys):
    forewarn(2, LONG - 1)
    forewarn(40, 40)
    forewarn(3, 6000)
    assert capsys.readouterr().err.splitlines() == [
        "simlib: this may take some 40.0 s",
        "simlib: this may take some 3.0 s to 1.7 h",
    ]
