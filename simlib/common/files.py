"""Reading and writing files, with errors that a person can act on."""

import hashlib
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from simlib.common.errors import InputError, choose, shown

M = TypeVar("M", bound=BaseModel)

LARGEST_YAML = 1_000_000
"""Bytes; a calibrated workload has some 50,000. Parsing takes about four seconds a million."""
MOST_MERGED = 10_000
"""Keys of one mapping after its `<<` keys are merged in: aliases of aliases grow tenfold a line."""
LONGEST_FILE_NAME = 255
"""Bytes; what common file systems take."""
LONGEST_KEY = 1_000
"""Characters; a name has a few, and a key may list the names of many fields."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class Strict(BaseModel):
    """Base of every model that a person writes in YAML: frozen, and a key it does not know is an error that helps."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [key for key in data if key not in known] if isinstance(data, Mapping) else []
        if unknown:
            more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
            message = f"unknown key {shown(str(unknown[0]))}{more}; {choose(unknown[0], known)}"
            raise PydanticCustomError("unknown_key", "{message}", {"message": message})
        return data


class _Loader(yaml.SafeLoader):
    """YAML without code, and without silently dropping a key that stands twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            made = super().construct_object(node, deep)
            if isinstance(made, str):
                made.encode()  # fails for half of a surrogate pair, which is no text
        except (ValueError, TypeError, AttributeError):  # an explicit tag on something else, as in `!!int many`
            problem = f"{shown(node.value)} is not what its tag says, too long a number, or no text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        return made

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, value in node.value:
            if node.flow_style and isinstance(value, yaml.ScalarNode) and value.value == "" and value.style is None:
                raise yaml.MarkedYAMLError(problem=_NO_VALUE, problem_mark=key.start_mark)
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            if len(key.value) > LONGEST_KEY:
                problem = f"a key of {len(key.value):,} characters; allowed: {LONGEST_KEY:,}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"the key {shown(key.value)} stands twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_MERGED:
            problem = f"a mapping of {len(node.value):,} keys, those merged by `<<` counted; allowed: {MOST_MERGED:,}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


# YAML 1.1 reads `no` as false, `1:40` as 100, `010` as 8 and `2026-01-01` as a date. Nothing here is a truth value or a date,
# so a bare word is that word, a number is what it looks like, and there is nothing else for a tag to make of it.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.endswith((":null", ":int", ":float", ":str", ":seq", ":map"))
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_NUMBER = re.compile(r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|\.inf)$|\.nan$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


_NO_VALUE = "a key without a value inside {...}; a comma ends a value there, so quote the text that has one"
_ADVICE = (
    (r"\t", "indent with blanks, not with a tab"),
    (r"\?\?", "quote a rule with `??` inside {...}"),
    (r"(^|[{,\s])\*\s*:", "quote the key '*'"),
    (r":\s*\*\s*($|[,}])|:\s*[@`%]|:\s[^\"'#]*:\s", "quote the text"),
)
"""What a line that is no YAML looks like, and what helps; the first that fits."""


def parse_yaml(text: str) -> Any:
    """The value that the text stands for.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except RecursionError:
        raise yaml.YAMLError("brackets or blocks nested too deeply; allowed: some hundred levels") from None


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file cannot be read, is not YAML, or is not a mapping at its top; shows the line.
    """
    text = ""
    try:
        if (size := path.stat().st_size) > LARGEST_YAML:
            raise InputError(f"{path}: {size:,} bytes; allowed: {LARGEST_YAML:,}")
        text = path.read_text(encoding="utf-8")
        data = parse_yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {_placed(error, text)}") from None
    if data is None:
        raise InputError(f"{path}: is empty; expected a mapping of keys at the top")
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of keys at the top, found {_KINDS.get(type(data)) or shown(data)}")
    return data


_KINDS: dict[type, str] = {list: "a list", dict: "a mapping"}


def yaml_fault(error: yaml.YAMLError) -> str:
    """What is wrong with YAML, in one line."""
    return " ".join(str(getattr(error, "problem", None) or error).split())[:200]


def _placed(error: yaml.YAMLError, text: str) -> str:
    """What is wrong, with the number of the line, what helps, and the line itself."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"not valid YAML: {yaml_fault(error)}"
    line = next(iter(text.splitlines()[mark.line : mark.line + 1]), "")
    known = yaml_fault(error) == _NO_VALUE
    helps = [f" ({advice})" for pattern, advice in _ADVICE if not known and re.search(pattern, line[:500])]
    place = f": {shown(line.strip())}" if line.strip() else ""
    return f"line {mark.line + 1}: not valid YAML: {yaml_fault(error)}{''.join(helps[:1])}{place}"


def validated(model: type[M], data: Mapping[str, Any], source: str) -> M:
    """`data` as a `model`.

    Raises:
        InputError: the first thing that is wrong, in one line: source, key, what is allowed, and the value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(_one_line(error.errors(include_url=False), data, source)) from None


def _one_line(errors: list[ErrorDetails], data: Mapping[str, Any], source: str) -> str:
    # A key that nobody knows is often why another one is missing.
    first = min(errors, key=lambda error: {"unknown_key": 0, "missing": 2}.get(error["type"], 1))
    place = ".".join(shown(part).strip("'") for part in _as_written(first, data))
    value = first["input"]
    got = (
        ""
        if first["type"] in ("missing", "unknown_key", "value_error")
        else f" (got {_KINDS.get(type(value)) or shown(value)})"
    )
    says = _PLAIN.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    more = f"; and {len(errors) - 1:,} more" if len(errors) > 1 else ""
    return f"{source}: {place + ': ' if place else ''}{says}{got}{more}"


_PLAIN = {
    "missing": "is missing",
    "model_type": "expected a mapping of keys",
    "dict_type": "expected a mapping of keys",
    "list_type": "expected a list",
    "string_type": "expected a text",
}
"""What pydantic says in words of Python."""


def _as_written(error: ErrorDetails, data: Any) -> Iterator[str]:
    """The keys down to the place of an error, as they stand in `data`: without the names of a model's alternatives."""
    for key in error["loc"]:
        if (isinstance(data, Mapping) and key in data) or (isinstance(data, list) and isinstance(key, int)):
            data = data[key]  # type: ignore[index]
            yield str(key)
    if error["type"] == "missing":
        yield str(error["loc"][-1])


def check_output(path: Path, *inputs: Path) -> None:
    """Refuse a place where nothing can be written, before the work whose result would be lost; makes nothing.

    Args:
        path: the file that is going to be written, in a folder that there is, or that can be made.
        inputs: files that are read, and never overwritten.

    Raises:
        InputError: `path` is a folder, is one of the inputs, also through a link, or cannot be written.
    """
    try:
        long = [part for part in path.parts if len(os.fsencode(part)) > LONGEST_FILE_NAME]
        if long or "\0" in str(path):
            raise InputError(f"{shown(str(path))}: is no name of a file; allowed: {LONGEST_FILE_NAME} bytes, and no NUL")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of a file")
        for source in inputs:
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(f"{path}: is the input {source}, which is not overwritten; give another name")
        target = path.resolve() if path.is_symlink() else path
        there = next(folder for folder in target.absolute().parents if folder.exists())
        if (not path.exists() or path.is_file()) and not _takes_files(there):
            raise InputError(f"{path}: cannot be written: {there} is no folder that can be written to")
    except (OSError, UnicodeError, RuntimeError) as error:  # the last one is a link that leads to itself
        raise InputError(
            f"{shown(str(path), 300)[1:-1]}: cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None


def _takes_files(folder: Path) -> bool:
    """Tried, as a folder that may be written to need not take files: /proc, a full disk."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and is removed when it does not.

    A new file has the mode that the umask gives it; one that is replaced keeps its own. A link is written through.

    Raises:
        InputError: `path` is a folder, or cannot be written.
        OSError: names `path`, not the temporary one.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe: nothing to replace
        with naming(path):
            yield path
        return
    check_output(path)
    target = path.resolve() if path.is_symlink() else path
    make_folder(target.parent)
    temporary = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(6)}{target.suffix[:20]}")
    with naming(path, temporary):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """An error of the system in the block that names no file, as a full disk does, or the temporary one, names `path`."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        says = os.strerror(error.errno) if error.errno else str(error)  # a library's own words name its buffers
        raise OSError(error.errno, says, str(path)) from error


def make_folder(folder: Path) -> None:
    """Make the folder, and those that it is in, where it is not there; and say so, as its name may be a slip of the pen.

    Raises:
        OSError: names the folder.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        logging.getLogger(__name__).info("made the folder %s", folder)


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
