"""`--set KEY=VALUE`, and whatever else gives a value of a workload file another one before the file is checked."""

from collections.abc import Mapping
from typing import Any

import yaml

from simlib.common.errors import LONGEST_SHOWN, InputError, choose, shown
from simlib.common.files import parse_yaml, yaml_fault


def set_override(data: dict[str, Any], override: str, source: str) -> None:
    """Set one value of a file that has been read; `override` is `key.key=value`, `source` names the file.

    Raises:
        InputError: `override` is not of that form, or names a place that is not there.
    """
    keys, equals, text = override.partition("=")
    who = f"--set {_short(override)}"
    if not equals or not keys:
        raise InputError(f"{who}: write key.key=value, as in traffic.patch.rate=2")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"{who}: {shown(text)} is not a YAML value: {yaml_fault(error)}") from None
    set_value(data, keys, value, who, source)


def set_value(data: dict[str, Any], keys: str, value: Any, who: str, source: str) -> None:
    """Set the value at `key.key` of a file that has been read; errors begin with `who` asks, and name `source`, the file.

    Raises:
        InputError: there is no such place.
    """
    *parents, last = keys.split(".")
    node: Any = data
    for number, key in enumerate(parents):
        node = _child(node, key, ".".join(parents[: number + 1]), who, source)
    if isinstance(node, dict):
        node[last] = value
    elif isinstance(node, list):
        node[_position(node, last, who, source)] = value
    else:
        raise InputError(f"{who}: {'.'.join(parents)} in {source} is {shown(node)}, which has no keys")


def _child(node: Any, key: str, place: str, who: str, source: str) -> Any:
    if isinstance(node, dict):
        if place == "store":
            return node.setdefault(key, {})  # the one optional mapping of a workload
        if key in node:
            return node[key]
    if isinstance(node, list):
        return node[_position(node, key, who, source)]
    known = [str(name) for name in node] if isinstance(node, Mapping) else []
    raise InputError(f"{who}: {source} has no {_short(place)}; {choose(key, known)}")


def _position(node: list[Any], key: str, who: str, source: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise InputError(f"{who}: {shown(key)} is not a position in that list of {source}; allowed: 0 to {len(node) - 1}")
    return int(key)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
