"""Reading and writing files, with errors that a person can act on."""

import difflib
import os
import re
import tempfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from simlib.common.errors import InputError, allowed

M = TypeVar("M", bound=BaseModel)


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
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


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
    except ValueError as error:  # an explicit tag on something else, as in `!!int many`
        raise yaml.YAMLError(str(error)) from None


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file cannot be read, is not YAML, or is not a mapping at its top.
    """
    try:
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

    Raises:
        InputError: `path` is a folder.
        OSError: names `path`, not the temporary one.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():  # a device or a pipe: nothing to replace
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
