"""One at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simlib.common.errors import InputError, RunError
from simlib.common.files import make_folder


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Nobody else works in the folder meanwhile; it is made if it is not there. The lock ends with its process.

    Args:
        folder: where.
        what: the kind of work, in a word.

    Raises:
        InputError: the folder cannot be made or written to.
        RunError: somebody is at work in it.
    """
    try:
        make_folder(folder)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{folder}: cannot be used as a {what}'s folder: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another {what} is at work in this folder") from None
        yield
    finally:
        os.close(handle)
