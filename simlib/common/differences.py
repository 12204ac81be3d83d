"""What differs between two sets of settings, in lines that a person reads."""

from collections.abc import Mapping
from typing import Any

from simlib.common.errors import shown


def flat(data: Any, place: str = "") -> dict[str, Any]:
    """Nested mappings as one, whose keys are those on the way joined by dots.

    Examples:
        >>> flat({"store": {"gateways": 2}, "duration": 60})
        {'store.gateways': 2, 'duration': 60}
    """
    if not isinstance(data, Mapping) or not data:
        return {place: data}
    return {k: v for key, value in data.items() for k, v in flat(value, f"{place}.{key}" if place else str(key)).items()}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two flat mappings, a line each.

    Examples:
        >>> changes({"duration": 60, "seed": 1}, {"duration": 90, "seed": 1})
        ['duration: 60 -> 90']
    """
    return [
        f"{key}: {_said(before.get(key))} -> {_said(now.get(key))}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]


def _said(value: object) -> str:
    return "nothing" if value is None else shown(value)
