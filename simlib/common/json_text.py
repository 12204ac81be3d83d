"""JSON from strangers: what Python reads beyond the standard, or reads wrongly without a word, is refused."""

import json
import math
from sys import intern
from typing import Any

LONGEST_NUMBER = 40
"""Characters; the longest that Python itself writes has 24."""


def parse_json(text: str | bytes) -> Any:
    """The value that the text stands for.

    Raises:
        ValueError: it is not JSON, or stands for no value that can be computed with: NaN, a number that is too large, a key
            that stands twice, brackets nested too deeply. The message says which, in a few words.

    Examples:
        >>> parse_json('{"lock": 6.015}')
        {'lock': 6.015}
        >>> parse_json('{"lock": 1e999}')
        Traceback (most recent call last):
        ValueError: the number 1e999 is too large
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]} (character {error.pos + 1})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not text in UTF-8 (byte {error.start + 1})") from None
    except RecursionError:
        raise ValueError("brackets nested too deeply; allowed: some hundred levels") from None


def _refuse(name: str) -> float:
    raise ValueError(f"not valid JSON: {name} is no number there")


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters; allowed: {LONGEST_NUMBER}")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:LONGEST_NUMBER]} is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as a dict. The lines of a file have the same keys: each is kept in memory once."""
    found = {intern(key): value for key, value in pairs}
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.80} stands twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer, parse_float=_float, object_pairs_hook=_object)
