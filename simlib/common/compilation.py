"""Compilation by numba, kept on disk, so that only the very first call takes its time."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
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
        dispatcher = njit(cache=True, **options)(function)
    except RuntimeError:  # numba may write neither beside the source nor in the user's cache
        os.environ["NUMBA_CACHE_DIR"] = str(_temporary_folder())
        config.reload_config()  # type: ignore[no-untyped-call] # numba has no types
        dispatcher = njit(cache=True, **options)(function)
    if dispatcher is not function:  # as it is when numba is switched off
        # Numba looks at the function's own file only, and would go on using what it made of another file's old text.
        index = dispatcher._cache._cache_file
        index._source_stamp = f"{index._source_stamp} {_stamp(function.__module__)}"
    return cast(F, dispatcher)


def _stamp(module: str) -> str:
    """A digest of the source of a module and of all of the package's modules that it imports, directly or not."""
    digest, waiting, known = hashlib.sha256(), [module], {module}
    while waiting:
        text, imports = _source(waiting.pop())
        digest.update(text)
        waiting += [name for name in imports if name not in known]
        known.update(imports)
    return digest.hexdigest()


@cache
def _source(module: str) -> tuple[bytes, tuple[str, ...]]:
    """The text of a module of the package, and the modules that it may import from there; both empty if it is not there."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        return b"", ()
    text = path.read_text(encoding="utf-8")
    lines = re.findall(r"^from (simlib[\w.]*) import (.*)", text, re.MULTILINE)
    return text.encode(), tuple(f"{home}.{name}".rstrip(".") for home, names in lines for name in ("", *names.split(", ")))


def _temporary_folder() -> Path:
    """A folder whose name stays the same, and which nobody else can have filled: what is in it is executed."""
    folder = Path(tempfile.gettempdir()) / f"simlib-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise RunError(f"{folder}: belongs to somebody else; set NUMBA_CACHE_DIR to a folder that can be written")
    return folder
