"""What can go wrong, in words for the person at the keyboard.

Each class carries the exit status that the command line uses; the message is one line that names the file, the key and
the value, and says what is allowed.
"""

import difflib
from collections.abc import Iterable

MOST_NAMED = 30
"""Names that an error lists; the rest is counted."""
LONGEST_SHOWN = 60
"""Characters of a value that an error shows."""


class SimlibError(Exception):
    """Base of every error that simlib raises on purpose."""

    exit_status = 1


class InputError(SimlibError):
    """The input is wrong: a file, a key, a value, an option. Exit status 2."""

    exit_status = 2


class RunError(SimlibError):
    """The input was fine and the run failed, or a gate said no. Exit status 1."""


def allowed(names: Iterable[str]) -> str:
    """The end of an error message: what the value could have been.

    Examples:
        >>> allowed(["file", "sqlite"])
        'allowed: file, sqlite'
    """
    known = list(names)
    more = f" and {len(known) - MOST_NAMED:,} more" if len(known) > MOST_NAMED else ""
    return f"allowed: {', '.join(known[:MOST_NAMED])}{more}" if known else "nothing is allowed here"


def choose(name: object, names: Iterable[str]) -> str:
    """The end of an error message about a name that is not there: the one that was perhaps meant, and what is allowed.

    Examples:
        >>> choose("flie", ["file", "sqlite"])
        "did you mean 'file'? allowed: file, sqlite"
    """
    known, text = list(names), str(name)
    short = len(text) <= LONGEST_SHOWN  # what is long is no slip of the pen, and comparing takes quadratic time
    close = difflib.get_close_matches(text, known[:1000], n=1) if short else []
    return f"did you mean '{close[0]}'? {allowed(known)}" if close else allowed(known)


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    r"""A value for an error message: on one line, and shortened to so many characters.

    Examples:
        >>> print(shown("two\nlines"))
        'two\nlines'
    """
    # Python refuses to write out integers of more than 4,300 digits.
    text = f"an integer of {value.bit_length():,} bits" if isinstance(value, int) and value.bit_length() > 400 else repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
