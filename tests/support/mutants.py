"""Wrong lines, one at a time: how many of them the tests of a module notice.

    make mutants MODULE=simlib/estimate/intervals.py [TESTS=tests/estimate] [COUNT=40] [SEED=1]

A mutant is the module with one small change: an operator, a comparison, a number, a condition, or one of a pair of functions
taken for the other. A sample of them, the same for the same seed, is tried one by one: in a copy of the tree, each with the
module's own tests in a fresh process. What survives is printed: a line that no test holds, or a change that changes nothing.

Why not mutmut: it leaves out whatever has a decorator (each property, each compiled function) and whatever stands outside of
functions (constants, tables, the defaults of a dataclass), which is much of what matters here.
"""

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
COPIED, LINKED = ("simlib", "tests"), ("data", "notebooks", "benchmarks", "pyproject.toml", "README.md", "Makefile")
PATIENCE = 5.0
"""Times what the tests take by themselves; then a mutant counts as noticed, as it made them hang."""

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,), ast.Pow: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
PAIRS = (
    ("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("any", "all"), ("floor", "ceil"), ("zeros", "ones"),
    ("mean", "median"), ("sum", "mean"), ("left", "right"), ("cumsum", "cumprod"), ("var", "std"),
)  # fmt: skip
OTHER = {name: other for one, two in PAIRS for name, other in ((one, two), (two, one))}


@dataclass(frozen=True)
class Mutant:
    """A module with one change: at which line, what was there, what stands there instead, and the whole text."""

    line: int
    old: str
    new: str
    text: str


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    data = source.encode()
    for node in _code(ast.parse(source)):
        begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        for new in _changes(node):
            text = (data[:begin] + new.encode() + data[end:]).decode()
            found.append(Mutant(node.lineno, data[begin:end].decode(), new, text))
    return sorted(found, key=lambda mutant: mutant.line)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed: no annotation, no decorator, nothing in an f-string (no places there in Python 3.11)."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom):
                if hasattr(child, "lineno"):
                    yield child
                yield from _code(child)


def _changes(node: ast.AST) -> Iterator[str]:
    """What could stand in the place of this node."""
    match node:
        case ast.Compare(left, [operator], right):
            for other in OPERATORS[type(operator)]:
                yield f"({ast.unparse(ast.Compare(left, [other()], right))})"
        case ast.BinOp(left, operator, right):
            for other in OPERATORS.get(type(operator), ()):
                yield f"({ast.unparse(ast.BinOp(left, other(), right))})"
        case ast.BoolOp(operator, values):
            for other in OPERATORS[type(operator)]:
                yield f"({ast.unparse(ast.BoolOp(other(), values))})"
        case ast.UnaryOp(_, operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(bool() as value):
            yield str(not value)
        case ast.Constant(int() | float() as value):
            yield str(value + 1)
            if value:
                yield str(value - 1 if isinstance(value, int) else value / 2)
        case ast.Constant(str() as value) if value in OTHER:
            yield repr(OTHER[value])
        case ast.Name("min" | "max" | "any" | "all" as name):
            yield OTHER[name]
        case ast.Attribute(value, name) if name in OTHER:
            yield f"{ast.unparse(value)}.{OTHER[name]}"
        case ast.IfExp(test, body, orelse):
            yield f"({ast.unparse(ast.IfExp(test, orelse, body))})"
        case ast.AugAssign(target, operator, value):
            for other in OPERATORS.get(type(operator), ()):
                yield ast.unparse(ast.AugAssign(target, other(), value))
        case ast.Expr(ast.Call()):
            yield "pass"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"


def make_copy(folder: Path) -> Path:
    """A tree to break: the package and its tests copied, the rest linked."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def fails(tree: Path, tests: list[str], seconds: float | None = None) -> str:
    """What the tests say in a fresh process: empty if nothing, else the name of the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", *tests]
    # No bytecode: a file that is changed twice in a second looks unchanged to Python.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "time-out"
    if not process.returncode:
        return ""
    failed = [line.split(" - ")[0].split("::")[-1] for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0] if failed else f"exit status {process.returncode}"


def own_tests(module: Path) -> list[str]:
    """The test file of a module, by its name; for a lack of one, the tests of its room."""
    room = ROOT / "tests" / module.parent.name
    own = room / f"test_{module.stem}.py"
    return [str((own if own.exists() else room).relative_to(ROOT))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", type=Path)
    parser.add_argument("--tests", nargs="*")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    module = options.module.resolve().relative_to(ROOT)
    tests = options.tests or own_tests(module)
    every = mutants((ROOT / module).read_text(encoding="utf-8"))
    chosen = random.Random(options.seed).sample(every, min(options.count, len(every)))  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            trees.put(make_copy(Path(folder) / str(number)))
        seconds = 0.0
        for _ in range(options.jobs):  # also compiles what is compiled, once a tree
            began = time.monotonic()
            if failed := fails(tree := trees.get(), tests):
                sys.exit(f"{' '.join(tests)}: fails without any change: {failed}")
            seconds = time.monotonic() - began
            trees.put(tree)

        def tried(mutant: Mutant) -> str:
            tree = trees.get()
            try:
                (tree / module).write_text(mutant.text, encoding="utf-8")
                return fails(tree, tests, PATIENCE * seconds + 10)
            finally:
                try:
                    shutil.copy2(ROOT / module, tree / module)
                finally:  # should the copy fail, nobody waits for the tree for ever
                    trees.put(tree)

        with ThreadPoolExecutor(options.jobs) as pool:
            killers = list(pool.map(tried, chosen))
    survivors = [mutant for mutant, killer in zip(chosen, killers, strict=True) if not killer]
    for mutant in sorted(survivors, key=lambda mutant: mutant.line):
        print(f"{module}:{mutant.line}: {' '.join(mutant.old.split())}  ->  {' '.join(mutant.new.split())}")
    killed = len(chosen) - len(survivors)
    print(f"{module}: {killed} of {len(chosen)} mutants killed ({len(every)} in all), {killed / max(1, len(chosen)):.0%}")


if __name__ == "__main__":
    main()
