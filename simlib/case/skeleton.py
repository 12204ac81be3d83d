"""A case and a workload to start from: the shipped skeleton under another name."""

from pathlib import Path

from simlib.common import bounds
from simlib.common.errors import InputError, shown
from simlib.common.files import check_output, file_name, replacing
from simlib.common.shipped import DATA

SKELETON = DATA / "skeleton"
NAME = "my-case"
"""What the skeleton calls itself."""
SCHEMAS = "../schema/"
"""Where the skeleton finds the schemas that editors complete keys by; the copy finds copies of them in `schema/`."""


def write_skeleton(name: str, folder: Path) -> list[Path]:
    """Write NAME.yaml, NAME-traffic.yaml and, where they are not there, the schemas of both.

    Args:
        name: of the case; it becomes the names of the files.
        folder: where they are written; made if it is not there.

    Returns:
        The paths of the case and of its workload.

    Raises:
        InputError: the name is none that a file can have everywhere, or a file of that name is there.
    """
    if name != file_name(name) or len(f"{name}-traffic") > bounds.NAME.high:
        raise InputError(f"{shown(name)}: no name of a case; allowed: lower-case letters, digits, '-', '_' and '.'")
    sources = [SKELETON / f"{NAME}.yaml", SKELETON / f"{NAME}-traffic.yaml"]
    paths = [folder / source.name.replace(NAME, name) for source in sources]
    for path in paths:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: is there already, and is not overwritten; give another name, or --out FOLDER")
        check_output(path)
    for source, path in zip(sources, paths, strict=True):
        _write(path, source.read_text(encoding="utf-8").replace(NAME, name).replace(SCHEMAS, "schema/"))
    for schema in sorted((DATA / "schema").glob("*.schema.json")):
        if not (folder / "schema" / schema.name).exists():
            _write(folder / "schema" / schema.name, schema.read_text(encoding="utf-8"))
    return paths


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
