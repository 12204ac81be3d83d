"""`--set KEY=VALUE`: one value of a workload file, set before the file is checked."""

from collections.abc import Mapping
from typing import Any

import yaml

from simlib.common.errors import LONGEST_SHOWN, InputError, choose, shown
from simlib.common.files import parse_yaml, yaml_fault


def set_value(data: dict[str, Any], override: str, source: str) -> None:
    """Set one value of a file that has been read; `override` is `key.key=value`, `source` names the file.

    Raises:
        InputError: `override` is not of that form, or names a place that is not there.
    """
    keys, equals, text = override.partition("=")
    if not equals or not keys:
        raise InputError(f"--set {_short(override)}: write key.key=value, as in traffic.patch.rate=2")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {_short(override)}: {shown(text)} is not a YAML value: {yaml_fault(error)}") from None
    *parents, last = keys.split(".")
    node: Any = data
    for number, key in enumerate(parents):
        node = _child(node, key, ".".join(parents[: number + 1]), override, source)
    if isinstance(node, dict):
        node[last] = value
    elif isinstance(node, list):
        node[_position(node, last, override, source)] = value
    else:
        raise InputError(f"--set {_short(override)}: {'.'.join(parents)} in {source} is {shown(node)}, which has no keys")


def _child(node: Any, key: str, place: str, override: str, source: str) -> Any:
    if isinstance(node, dict):
        if place == "store":
            return node.setdefault(key, {})  # the one optional mapping of a workload
        if key in node:
            return node[key]
    if isinstance(node, list):
        return node[_position(node, key, override, source)]
    known = [str(name) for name in node] if isinstance(node, Mapping) else []
    raise InputError(f"--set {_short(override)}: {source} has no {_short(place)}; {choose(key, known)}")


def _position(node: list[Any], key: str, override: str, source: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise InputError(
            f"--set {_short(override)}: {shown(key)} is not a position in that list of {source}; allowed: 0 to {len(node) - 1}"
        )
    return int(key)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
