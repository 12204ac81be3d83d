"""Compilation by numba, kept on disk, so that only the very first call takes its time.

Numba looks for a change only in the file of the function that it loads from disk, not in those of the functions it is made of.
So the folder's name holds a hash of all that can be part of machine code: who edits one line never runs the line before.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

config: Any = numba.config
PACKAGE = Path(__file__).parent.parent
ROOMS = ("case", "workload", "model", "replay", "search")
"""Where compiled functions stand, and the functions and constants of which they are made."""


def compiled(function: F) -> F:
    """Compile at the first call with arguments of these types, ever."""
    return _compiled(function)


def lean(function: F) -> F:
    """The same for what allocates nothing; so numba need not count references to arrays, which would dominate."""
    return _compiled(function, _nrt=False)


def inlined(function: F) -> F:
    """Lean, and made part of its callers."""
    return _compiled(function, forceinline=True, _nrt=False)


def inner(function: F) -> F:
    """The same for what only compiled code calls; it compiles in a third of the time, as Python cannot call it."""
    return _compiled(function, forceinline=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compiled(function: F, **options: Any) -> F:
    folder, before = _folder(), config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")  # others who compile in this process keep their own
    try:
        return cast(F, njit(cache=folder is not None, **options)(function))
    finally:
        config.CACHE_DIR = before


@cache
def _folder() -> Path | None:
    """The first folder that can be written to; None, and so compiled anew in each process, if there is no such place."""
    name = f"simlib-{_hash()}"
    for place in _places():
        folder = place / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _places() -> Iterator[Path]:
    """Where the folder may stand: where the user says, in the package, in the user's cache, among temporary files."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):  # not config.CACHE_DIR, which a file in the current folder can set
        yield Path(chosen)
    yield PACKAGE / "__pycache__"
    with suppress(RuntimeError):  # nobody's home is known
        yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    with suppress(OSError):
        private = Path(tempfile.gettempdir()) / f"simlib-{os.getuid()}"
        private.mkdir(mode=0o700, exist_ok=True)
        if private.lstat().st_uid == os.getuid():  # what is in it is executed, so nobody else may have filled it
            yield private


def _hash() -> str:
    """Of the sources in all ROOMS, and of this one."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(path for room in ROOMS for path in (PACKAGE / room).glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
