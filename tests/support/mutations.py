"""What can be wrong with a file that a stranger sends: small changes to bytes, to trees (YAML, JSON), lines and tables.

Each takes a `random.Random`, so that the same seed gives the same change.
"""

import gzip
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

Tree = Any


def literal(text: str) -> str:
    """A value that stands in the file just so, unquoted; see `as_written`."""
    return f"@{text}@"


def as_written(text: str) -> str:
    """Take the quotes off what is `literal`."""
    return re.sub(r"""(["'])@([^"'\n]*?)@\1""", r"\2", text)


NAMES = (
    "", " ", "a" * 20_000, "../../x", "/etc/passwd", "CON", "a/b", "a\nb", "a\tb", "\x00", "\x1b[31mred\x1b[0m", "\u202eleft",
    "$x^$", "$", "a_b^c", "<script>alert(1)</script>", "&amp;", "{0}%s", "a b", "a: b", "a, b", "*", "#", "~", "é", "日本",
    "\ud800", "\ufeff", "\u2028", "null", "true", "__proto__", "default", "=1+1", "-", "--help", "0", "1.5",
)  # fmt: skip
NUMBERS = (
    -1, 0, 1, 2, 3.7, 1e-9, 1000, 10**6, 10**9, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(10**30), 1e308, -1e308,
    5e-324, float("inf"), float("-inf"), float("nan"), -0.0, True, False, None,
)  # fmt: skip
LITERALS = tuple(
    literal(text)
    for text in (
        "1e999", "-1e999", "9" * 5_000, "NaN", "Infinity", "-.inf", ".nan", "1e-400", "0x1F", "1_000", "010", "1:30", "[]",
        "[" * 3_000 + "]" * 3_000, "[" * 100_000, "{a: " * 2_000, "a ?? b", "request.* ?? fresh.*", "*nobody", "&a [*a]",
        "!!set {a}", "2026-01-01", "!!python/object/apply:os.getcwd []", "!!int x", "!!float x", "!!timestamp x",
        "!!binary x", "!new y", "<<", "? a", "%", "|", ",",
    )
)  # fmt: skip
STRUCTURES: tuple[Tree, ...] = (
    [], {}, [None], [[]], {"a": {}}, {"": None}, [1, "a", None], {"a": [{"b": 1}]}, list(range(300)),
    {f"k{n}": n for n in range(300)},
)  # fmt: skip


def value(random: Random) -> Tree:
    """A value that is not expected."""
    return random.choice(random.choice((NAMES, NUMBERS, NUMBERS, LITERALS, STRUCTURES)))


def places(tree: Tree) -> list[tuple[Tree, Any]]:
    """Every (container, key) of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, child in items for place in ((tree, key), *places(child))]


def _typo(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice(
        (text[:at] + text[at + 1 :], text[:at] + random.choice("aeX_ .-") + text[at:], text.upper(), text + "s")
    )


def _renamed(container: Tree, key: Any, new: Any) -> None:
    if isinstance(container, list):
        container.insert(0, new)
        return
    items = [(new if name == key else name, child) for name, child in container.items()]
    container.clear()
    container.update(items)


def _delete(container: Tree, key: Any, random: Random) -> None:
    del container[key]


def _replace(container: Tree, key: Any, random: Random) -> None:
    container[key] = value(random)


def _same_type(container: Tree, key: Any, random: Random) -> None:
    old = container[key]
    if isinstance(old, str):
        container[key] = random.choice(NAMES)
    elif isinstance(old, int | float):
        container[key] = random.choice([number for number in NUMBERS if number is not None and number >= 0])
    else:
        _swap(container, key, random)


def _misspell(container: Tree, key: Any, random: Random) -> None:
    _renamed(container, key, _typo(str(key), random))


def _rename(container: Tree, key: Any, random: Random) -> None:
    _renamed(container, key, random.choice(NAMES))


def _misspell_value(container: Tree, key: Any, random: Random) -> None:
    container[key] = _typo(str(container[key]), random)


def _scale(container: Tree, key: Any, random: Random) -> None:
    old = container[key]
    number = old if isinstance(old, int | float) and not isinstance(old, bool) else 1
    container[key] = random.choice((-number, number * 1000, number / 1000, number + 1, number - 1, str(number)))


def _wrap(container: Tree, key: Any, random: Random) -> None:
    old = container[key]
    container[key] = random.choice(([old], {"value": old}, [old, old], {str(old)[:50]: old}))


def _swap(container: Tree, key: Any, random: Random) -> None:
    other = random.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key], container[other] = container[other], container[key]


def _add(container: Tree, key: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[random.choice(NAMES)] = value(random)
    else:
        container.append(value(random))


TREE_CHANGES: tuple[Callable[[Tree, Any, Random], None], ...] = (
    _delete, _replace, _replace, _misspell, _rename, _misspell_value, _same_type, _same_type, _same_type, _scale, _scale, _wrap,
    _swap, _add,
)  # fmt: skip


def change_tree(tree: Tree, random: Random, times: int = 1) -> Tree:
    """The tree (changed in place) with so many changes anywhere in it; sometimes something else altogether."""
    for _ in range(times):
        if not (found := places(tree)) or random.random() < 0.01:
            return value(random)
        random.choice(TREE_CHANGES)(*random.choice(found), random)
    return tree


def change_numbers(tree: Tree, random: Random, times: int = 1) -> Tree:
    """The tree (changed in place) with some of its numbers changed and nothing else; so it may well be accepted."""
    found = [
        (part, key) for part, key in places(tree) if isinstance(part[key], int | float) and not isinstance(part[key], bool)
    ]
    for container, key in random.sample(found, min(times, len(found))):
        random.choice((_same_type, _scale))(container, key, random)
    return tree


def rename_everywhere(tree: Tree, names: list[str], random: Random) -> Tree:
    """The tree with another name wherever one of these stands, in keys and in texts; so it may well be accepted."""
    old, new = random.choice(names), random.choice(NAMES)
    pattern = re.compile(rf"(?<![\w-]){re.escape(old)}(?![\w-])")

    def renamed(part: Tree) -> Tree:
        if isinstance(part, dict):
            return {renamed(key): renamed(child) for key, child in part.items()}
        if isinstance(part, list):
            return [renamed(child) for child in part]
        return pattern.sub(lambda _: new, part) if isinstance(part, str) else part

    return renamed(tree)


def yaml_text(tree: Tree) -> str:
    """The tree as YAML, anything `literal` as it is."""
    return as_written(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=None))


def json_text(tree: Tree) -> str:
    """The tree as JSON on one line, anything `literal` as it is."""
    return as_written(json.dumps(tree, ensure_ascii=False))


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 5, 50))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    odd = random.choice(
        (b"\t", b"\x00", b"\xff\xfe", b"\xc3", b"\r", b"\n", b"\x1b[2J", "\u202e".encode(), b'"', b"}", b"[", b": ", b"- ")
    )
    return data[:at] + odd + data[at:]


def _cut(data: bytes, random: Random) -> bytes:
    begin, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[end:]


def _repeat_line(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    at = random.randrange(len(lines))
    return b"".join([*lines[: at + 1], *lines[at : at + random.choice((1, 1, 3))], *lines[at + 1 :]])


def _swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _encode(data: bytes, random: Random) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(random.choice(("utf-16", "utf-32", "latin-1", "cp037", "utf-8-sig")), "replace")


def _replace_all(data: bytes, random: Random) -> bytes:
    return random.choice(
        (b"", b"\n", b"\x00" * 100, b"null", b"[]", b"{}", b"x", b"PAR1", b"\x1f\x8b", b"---\n---\n", b"{" * 100_000)
    )


BYTE_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _truncate, _truncate, _flip, _flip, _flip, _insert, _insert, _cut, _repeat_line, _swap_lines, _encode, _replace_all,
)  # fmt: skip


def change_bytes(data: bytes, random: Random) -> bytes:
    """One change to the bytes of a file, whatever is in it."""
    return random.choice(BYTE_CHANGES)(data, random)


def zipped(data: bytes, random: Random) -> bytes:
    """The file gzipped, well or not."""
    packed = gzip.compress(data, mtime=0)
    return random.choice(
        (packed, packed, _truncate(packed, random), _flip(packed, random), packed + packed, packed + b"x" * 100)
    )


COLUMN_VALUES = (-1, -2, -100, 1, 5, 127, 2**15, 2**31 - 1, -(2**31), 2**40, float("nan"), float("inf"), -1.5, 1e308, None)
COLUMN_TYPES = (
    pa.string(), pa.int8(), pa.int64(), pa.uint64(), pa.float64(), pa.float16(), pa.bool_(), pa.list_(pa.int64()), pa.null(),
    pa.timestamp("s"), pa.decimal128(38, 2), pa.dictionary(pa.int32(), pa.string()),
)  # fmt: skip


def change_table(table: pa.Table, random: Random) -> pa.Table:
    """One change to a table: a column dropped, retyped, emptied; values out of range; rows gone; metadata broken."""
    number = random.randrange(min(table.num_columns, random.choice((11, table.num_columns))))  # the request's keys come last
    name, cells = table.column_names[number], table.column(number).to_pylist()
    match random.randrange(10):
        case 0:
            return table.remove_column(number)
        case 1:
            return table.set_column(number, name, _column(cells, random.choice(COLUMN_TYPES)))
        case 2 | 3 | 4:
            for _ in range(random.choice((1, 1, 3, len(cells)))):
                cells[random.randrange(len(cells))] = random.choice(COLUMN_VALUES)
            return table.set_column(number, name, _column(cells, table.schema.field(number).type))
        case 5:
            return table.slice(0, random.choice((0, 0, 1, 2)))
        case 6:
            return table.take(np.array(random.sample(range(len(cells)), len(cells)), dtype=np.int64))
        case 7:
            return table.rename_columns(
                [random.choice((*table.column_names, "")) if one == name else one for one in table.column_names]
            )
        case _:
            about = json.loads(table.schema.metadata[b"simlib"])
            text = json_text(change_tree(about, random, random.choice((1, 1, 3)))).encode("utf-8", "surrogatepass")
            return table.replace_schema_metadata(random.choice(({"simlib": text},) * 8 + ({"simlib": b"\xff"}, {}, None)))


def _column(cells: list[Any], kind: pa.DataType) -> pa.Array:
    """The cells as a column of that type, or of the type that they need if they do not fit."""
    for make in (
        lambda: pa.array(cells).cast(kind),
        lambda: pa.array(cells),
        lambda: pa.array([float(cell or 0) for cell in cells]),
    ):
        try:
            return make()
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
    return pa.nulls(len(cells), kind)
