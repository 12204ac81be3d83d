"""What is printed: one line a thing, whatever it is called, in the signs that the terminal has."""

import io
import sys

import pytest

from simlib.cli.output import complain, print_table, use_plain_signs
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
