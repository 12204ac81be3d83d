"""Reading and writing files, with errors that a person can act on."""

import difflib
import hashlib
import os
import re
import secrets
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from simlib.common.errors import InputError, allowed

M = TypeVar("M", bound=BaseModel)

LARGEST_YAML = 1_000_000
"""Bytes; a calibrated workload has some 50,000. Parsing takes about four seconds a million."""
MOST_MERGED = 10_000
"""Keys of one mapping after its `<<` keys are merged in: aliases of aliases grow tenfold a line."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class Strict(BaseModel):
    """Base of every model that a person writes in YAML: frozen, and a key it does not know is an error that helps."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, Mapping) else ():
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                message = f"unknown key '{key}'; {hint}{allowed(known)}"
                raise PydanticCustomError("unknown_key", "{message}", {"message": message})
        return data


class _Loader(yaml.SafeLoader):
    """YAML without code, and without silently dropping a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_MERGED:
            problem = f"a mapping of {len(node.value):,} keys, those merged by `<<` counted; allowed: {MOST_MERGED:,}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


# YAML 1.1 reads `no` as false, `1:40` as 100, `010` as 8 and `2026-01-01` as a date. Nothing here is a truth value or a date,
# so a bare word is that word, and a number is what it looks like.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_NUMBER = re.compile(r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|\.inf)$|\.nan$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def parse_yaml(text: str) -> Any:
    """The value that the text stands for.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (ValueError, TypeError, AttributeError) as error:  # an explicit tag on something else, as in `!!int many`
        raise yaml.YAMLError(f"a tag on what is no such thing: {error}") from None
    except RecursionError:
        raise yaml.YAMLError("brackets or blocks nested too deeply; allowed: some hundred levels") from None


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file cannot be read, is not YAML, or is not a mapping at its top.
    """
    try:
        if (size := path.stat().st_size) > LARGEST_YAML:
            raise InputError(f"{path}: {size:,} bytes; allowed: {LARGEST_YAML:,}")
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: {line}not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of keys at the top, found {type(data).__name__}")
    return data


def validated(model: type[M], data: Mapping[str, Any], source: str) -> M:
    """`data` as a `model`.

    Raises:
        InputError: the first thing that is wrong, in one line: source, key, what is allowed, and the value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(_one_line(error.errors(include_url=False), source)) from None


def _one_line(errors: list[ErrorDetails], source: str) -> str:
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    value = first["input"]
    got = f" (got {value!r})" if isinstance(value, str | int | float | None) and first["type"] != "missing" else ""
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{source}: {place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}{got}{more}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and is removed when it does not.

    A new file has the mode that the umask gives it; one that is replaced keeps its own. A link is written through.

    Raises:
        InputError: `path` is a folder.
        OSError: names `path`, not the temporary one.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():  # a device or a pipe: nothing to replace
        yield path
        return
    target = path.resolve() if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(6)}{target.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        yield temporary
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """A file name for a thing of that name, whatever is in it: no path, no control character, not too long.

    Letters, digits, `.`, `_` and `-` stay. Names that differ give file names that differ, also where case does not count.

    Examples:
        >>> file_name("after-19328")
        'after-19328'
        >>> file_name("../../etc/passwd")
        'etc-passwd-3754d6cb'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80]
    if plain and plain == name and plain.lower() == name and plain.split(".")[0] not in _RESERVED:
        return plain
    return f"{plain or 'name'}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
