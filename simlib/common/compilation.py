"""Compilation by numba, kept on disk, so that only the very first call takes its time."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

from simlib.common.errors import RunError

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile at the first call with arguments of these types, ever."""
    return _compiled(function)


def lean(function: F) -> F:
    """The same for what allocates nothing; so numba need not count references to arrays, which would dominate."""
    return _compiled(function, _nrt=False)


def inlined(function: F) -> F:
    """Lean, and made part of its callers."""
    return _compiled(function, forceinline=True, _nrt=False)


def _compiled(function: F, **options: Any) -> F:
    try:
        return cast(F, njit(cache=True, **options)(function))
    except RuntimeError:  # numba may write neither beside the source nor in the user's cache
        os.environ["NUMBA_CACHE_DIR"] = str(_temporary_folder())
        config.reload_config()  # type: ignore[no-untyped-call] # numba has no types
        return cast(F, njit(cache=True, **options)(function))


def _temporary_folder() -> Path:
    """A folder whose name stays the same, and which nobody else can have filled: what is in it is executed."""
    folder = Path(tempfile.gettempdir()) / f"simlib-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise RunError(f"{folder}: belongs to somebody else; set NUMBA_CACHE_DIR to a folder that can be written")
    return folder
