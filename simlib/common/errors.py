"""What can go wrong, in words for the person at the keyboard.

Each class carries the exit status that the command line uses; the message is one line that names the file, the key and
the value, and says what is allowed.
"""


class SimlibError(Exception):
    """Base of every error that simlib raises on purpose."""

    exit_status = 1


class InputError(SimlibError):
    """The input is wrong: a file, a key, a value, an option. Exit status 2."""

    exit_status = 2


class RunError(SimlibError):
    """The input was fine and the run failed, or a gate said no. Exit status 1."""


def allowed(names: "list[str] | tuple[str, ...]") -> str:
    """The end of an error message: what the value could have been."""
    return "allowed: " + ", ".join(names) if names else "nothing is allowed here"
