"""What the program ships, and where it is: cases, workloads, recordings, schemas, notebooks; and where reports go.

In a checkout these folders stand at the top level, where people look for them. A build puts copies of them into `simlib/data`
(see `[tool.setuptools.package-dir]` in pyproject.toml), so an installed package finds them there. Nothing else knows of this.
"""

from pathlib import Path
from typing import Any

from simlib.common.errors import InputError, choose, shown

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "data"
CHECKOUT = None if _INSTALLED.is_dir() else _PACKAGE.parent
"""The folder that the checkout is in; None if the package was installed without one."""
DATA = _INSTALLED if CHECKOUT is None else CHECKOUT / "data"
NOTEBOOKS = _INSTALLED / "notebooks" if CHECKOUT is None else CHECKOUT / "notebooks"
REPORTS = Path("reports") if CHECKOUT is None else CHECKOUT / "reports"
"""Where reports go unless they are told otherwise: the checkout's folder, or one in the current folder."""

CASE = "openclaw-70575"
"""The case that commands without a workload are about, unless they are told otherwise."""
RECORDING = "store-2026.4.22-after-19328-long"
"""What a report shows beside the simulation, unless it is told otherwise."""


def find(kind: str, name: str) -> Path:
    """The YAML file of a case or a workload: a shipped one by its name, or any by its path.

    Args:
        kind: `cases` or `workloads`.
        name: a name without an ending, or a path.

    Raises:
        InputError: there is no such file.
    """
    shipped = [] if "/" in name else [DATA / kind / f"{name}.yaml"]
    for path in (*shipped, Path(name)):
        if _is_file(path):
            return path
    refuse_special(name)
    raise InputError(
        f"{shown(name, 300)[1:-1]}: no such file, and no shipped one of that name in data/{kind}; "
        f"{choose(name, shipped_names(kind))}, or a path"
    )


def find_beside(path: Path, kind: str, name: Any) -> Any:
    """What the file `path` names: another in its own folder, so that a pair of files works from anywhere, else `name` itself.

    Args:
        path: the file in which the name stands.
        kind: `cases` or `workloads`.
        name: without an ending, or a path from the folder of `path`; anything else comes back as it is.
    """
    if not isinstance(name, str) or not name:
        return name
    beside = (path.parent / name, path.parent / f"{name}.yaml")
    return next((str(file) for file in beside if file != path and _is_file(file)), name)


def refuse_special(name: str) -> None:
    """Refuse a path that is there and is no file that can be read from its beginning to its end.

    Raises:
        InputError: it is a folder, a device or a pipe.
    """
    try:
        there = Path(name).exists()
    except (OSError, ValueError):
        there = False
    if there:
        raise InputError(f"{name}: is no regular file; allowed: a file, and no folder, device or pipe")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name with a NUL in it, or one that is too long
        return False


def shipped_names(kind: str) -> list[str]:
    """The names of the shipped cases or workloads, sorted."""
    return sorted(path.stem for path in (DATA / kind).glob("*.yaml"))
