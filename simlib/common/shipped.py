"""What the program ships, and where it is: cases, workloads, recordings, schemas, notebooks; and where reports go.

In a checkout these folders stand at the top level, where people look for them. A build puts copies of them into `simlib/data`
(see `[tool.setuptools.package-dir]` in pyproject.toml), so an installed package finds them there. Nothing else knows of this.
"""

from pathlib import Path

from simlib.common.errors import InputError, allowed

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
    shipped = DATA / kind / f"{name}.yaml"
    if "/" not in name and shipped.is_file():
        return shipped
    path = Path(name)
    if path.is_file():
        return path
    raise InputError(
        f"{name}: no such file, and no shipped one of that name in data/{kind}; {allowed(shipped_names(kind))}, or a path"
    )


def shipped_names(kind: str) -> list[str]:
    """The names of the shipped cases or workloads, sorted."""
    return sorted(path.stem for path in (DATA / kind).glob("*.yaml"))
