"""What a stranger could feed to simlib: command lines on mutated files, each the same for the same seed, kind and number.

What must come of each, `tests/test_fuzz.py` says.
"""

import copy
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from mutations import (
    NAMES,
    NUMBERS,
    change_bytes,
    change_numbers,
    change_table,
    change_tree,
    json_text,
    rename_everywhere,
    yaml_text,
    zipped,
)
from places import ROOT

from simlib.case.case import load_case
from simlib.model.compiled_model import simulate
from simlib.model.history import write_parquet
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

COUNTS = {"yaml": 500, "recording": 500, "log": 120, "trace": 130, "parquet": 130, "races": 120, "options": 100, "slow": 10}
"""How many attempts there are of each kind."""
DATA = ROOT / "data"


@dataclass(frozen=True)
class Attempt:
    """A command line, and the files of the folder that it is run in; `fresh`: it starts processes itself."""

    name: str
    arguments: tuple[str, ...]
    files: dict[str, bytes]
    fresh: bool = False


@cache
def _tree(path: str) -> Any:
    return yaml.safe_load((DATA / path).read_text(encoding="utf-8"))


@cache
def _lines(name: str, count: int) -> tuple[str, ...]:
    with gzip.open(DATA / "recordings" / name, "rt", encoding="utf-8") as file:
        return tuple(line.rstrip("\n") for _, line in zip(range(count), file, strict=False))


def _workload(random: Random) -> Any:
    tree = copy.deepcopy(_tree(f"workloads/{random.choice(('quiet', 'multi-process', 'busy-team', 'handler-only'))}.yaml"))
    return tree | {"duration": 20, "replicates": 2}


def _case() -> Any:
    """The shipped case with fewer strategies and scopes, so that each change is more likely to matter."""
    tree = copy.deepcopy(_tree("cases/openclaw-70575.yaml"))
    for key, kept in (
        ("strategies", ("after-19328", "sketch-70575", "in-mutator")),
        ("scopes", ("handler+patch", "turn+patch")),
    ):
        tree[key] = {name: tree[key][name] for name in kept}
    tree["races"]["builds"] = {"2026.4.22": "after-19328"}
    return tree


def _changed_yaml(tree: Any, random: Random) -> bytes:
    changes = random.choice((0, 1, 1, 1, 2, 4))
    change = random.choice((change_tree, change_tree, change_numbers))
    data = yaml_text(change(tree, random, changes)).encode("utf-8", "surrogatepass")
    return change_bytes(data, random) if not changes or random.random() < 0.1 else data


def _names(workload: Any, case: Any) -> list[str]:
    """What a workload and a case are free to call as they like."""
    keys = [case[section] for section in ("fields", "request", "sites", "strategies", "flows", "scopes", "noticed", "words")]
    values = [name for names in workload["values"].values() if isinstance(names, list) for name in names]
    texts = [case["case"], case["title"], workload["workload"], workload["about"], *case["words"].values()]
    return [*(name for section in (*keys, workload["traffic"], workload["values"]) for name in section), *values, *texts]


def _pair(random: Random, which: str) -> dict[str, bytes]:
    """A workload and a case, one of them or both changed; or names changed wherever they stand in the two."""
    workload, case = _workload(random), _case()
    if which == "names":
        names = sorted({*_names(workload, case)} - {"record", "unit", "units", "process", "outside"})
        for _ in range(random.choice((1, 1, 2, 5))):
            workload, case = rename_everywhere([workload, case], names, random)
        changed = {"w.yaml": workload, "c.yaml": case}
        return {name: yaml_text(tree).encode("utf-8", "surrogatepass") for name, tree in changed.items()}
    return {
        name: _changed_yaml(tree, random) if which in (name, "both") else yaml_text(tree).encode()
        for name, tree in (("w.yaml", workload), ("c.yaml", case))
    }


def _yaml(random: Random) -> tuple[list[str], dict[str, bytes]]:
    which = random.choice(("w.yaml", "w.yaml", "w.yaml", "c.yaml", "c.yaml", "c.yaml", "names", "names", "both"))
    files = _pair(random, which)
    run = ["run", "w.yaml", "--replicates", "2", "--jobs", "1"]
    if which == "w.yaml":
        return random.choice(([*run, "--json"], run, [*run, "--engine", "simpy"])), files
    if which == "both":
        return [*run, "--case", "c.yaml", "--json"], files
    form = random.choice(("text", "json", "mermaid", "vitest", "figure"))
    words = random.choice(
        (
            run, [*run, "--json"], ["strategies"], ["strategies", "--json"],
            ["interleave", "--scope", "handler+patch"], ["interleave", "--scope", "handler+patch", "--json"],
            ["interleave", "--as", form, "--out", "out/put"],
            ["replay", "store-2026.4.22-two-processes"], ["calibrate", "t.csv", "-o", "o.yaml"],
            ["validate", "gateway-2026.4.22", "--replicates", "2"],
        )
    )  # fmt: skip
    files["t.csv"] = b"time,kind,session,fields\n0.5,handler,s1,label=x\n0.7,patch,s1,label=\n1.5,handler,s2,\n"
    return [*words, "--case", "c.yaml"], files


def _changed_lines(lines: tuple[str, ...], random: Random) -> bytes:
    """Some lines changed as the JSON that they are; then perhaps the bytes; then perhaps zipped."""
    changed = list(lines)
    for _ in range(random.choice((0, 1, 1, 1, 2, 5))):
        at = random.choice((0, *(random.randrange(len(changed)) for _ in range(4))))
        tree, other = json.loads(lines[at]), json.loads(random.choice(lines))
        if random.random() < 0.3 and (shared := sorted(tree.keys() & other.keys())):
            key = random.choice(shared)
            tree[key] = other[key]
        else:
            tree = random.choice((change_tree, change_numbers))(tree, random, random.choice((1, 1, 2)))
        changed[at] = json_text(tree)
    for _ in range(random.choice((0, 0, 1, 3))):
        at, other = random.randrange(len(changed)), random.randrange(len(changed))
        changed[at : at + 1] = random.choice(([], [changed[other]], [changed[at]] * 2, [""], [changed[at], "garbage"]))
    data = "\n".join([*changed, ""]).encode("utf-8", "surrogatepass")
    if random.random() < 0.2:
        data = change_bytes(data, random)
    return zipped(data, random) if random.random() < 0.2 else data


def _recording(random: Random) -> tuple[list[str], dict[str, bytes]]:
    name = random.choice(("store-2026.4.22-two-processes.jsonl.gz", "store-2026.4.22-after-19328.jsonl.gz"))
    words = random.choice((
        ["replay", "r.jsonl"], ["replay", "r.jsonl", "--json"], ["calibrate", "r.jsonl", "-o", "o.yaml"],
        ["validate", "r.jsonl", "--replicates", "2", "--json"],
    ))  # fmt: skip
    return words, {"r.jsonl": _changed_lines(_lines(name, 61), random)}


def _log(random: Random) -> tuple[list[str], dict[str, bytes]]:
    lines = _lines("gateway-log-2026.4.22.jsonl.gz", 150)
    return random.choice((["calibrate", "l.log", "-o", "o.yaml"],) * 5 + (["validate", "l.log"],)), {
        "l.log": _changed_lines(lines, random)
    }


def _trace(random: Random) -> tuple[list[str], dict[str, bytes]]:
    kinds, fields = ("handler", "patch", "turn", "spawn"), ("channel", "to", "label", "modelOverride")
    rows = [
        {
            "time": 1.5 * number,
            "kind": random.choice(kinds),
            "session": f"s{number % 3}",
            "fields": {random.choice(fields): "x"},
        }
        for number in range(30)
    ]
    words = ["calibrate", "t.csv", "-o", "o.yaml"]
    if random.random() < 0.5:
        return words, {"t.csv": _changed_lines(tuple(map(json.dumps, rows)), random)}
    table = [["time", "kind", "session", "fields"]]
    table += [
        [str(row["time"]), row["kind"], row["session"], ";".join(f"{k}={v}" for k, v in row["fields"].items())] for row in rows
    ]
    for _ in range(random.choice((0, 1, 2, 30))):
        row = random.choice(table)
        odd = random.choice(
            (*NAMES, *map(str, NUMBERS), "9" * 5000, "1e999", "2026-11-22T08:20:00Z", "9999-12-31T23:59:59-23:59", '"')
        )
        row[random.randrange(len(row))] = odd
    data = "\n".join(map(",".join, table)).encode("utf-8", "surrogatepass")
    return words, {"t.csv": change_bytes(data, random) if random.random() < 0.4 else data}


@cache
def _history() -> pa.Table:
    """What a run of a shipped workload leaves behind."""
    case, workload = load_case("openclaw-70575"), load_workload("multi-process", ["duration=60"])
    with TemporaryDirectory() as folder:
        file = Path(folder) / "h.parquet"
        write_parquet(simulate(workload, case, draw(workload, case, 1, 0)), file, "after-19328")
        return pq.read_table(io.BytesIO(file.read_bytes()))


def _parquet(random: Random) -> tuple[list[str], dict[str, bytes]]:
    table = _history()
    for _ in range(changes := random.choice((0, 1, 1, 1, 3))):
        if table.num_columns and table.num_rows and table.schema.metadata:
            table = change_table(table, random)
    file = io.BytesIO()
    pq.write_table(table, file)
    data = file.getvalue() if changes and random.random() < 0.9 else change_bytes(file.getvalue(), random)
    return random.choice((["validate", "h.parquet", "--replicates", "2"], ["calibrate", "h.parquet", "-o", "o.yaml"])), {
        "h.parquet": data
    }


def _races(random: Random) -> tuple[list[str], dict[str, bytes]]:
    tree = copy.deepcopy(_tree(f"recordings/gateway-{random.choice(('', 'run-'))}2026.{random.choice(('4.22', '9.6'))}.json"))
    tree["trials"] = tree["trials"][: random.choice((0, 1, 2, 3, 20, 40, 40, 40, 40))]
    changes = random.choice((0, 1, 1, 2, 5, 20))
    change = random.choice((change_tree, change_numbers))
    data = json_text(change(tree, random, changes)).encode("utf-8", "surrogatepass")
    if random.random() < 0.15:
        data = change_bytes(data, random)
    return random.choice(
        (["validate", "g.json", "--replicates", "2", "--json"],) * 5 + (["calibrate", "g.json", "-o", "o.yaml"],)
    ), {"g.json": data}


def _odd(random: Random) -> str:
    return str(random.choice((*(name for name in NAMES if "\0" not in name and "\ud800" not in name), *NUMBERS)))[:2000]


def _options(random: Random) -> tuple[list[str], dict[str, bytes]]:
    """A good file, and options that are not."""
    keys = (
        "duration",
        "sessions.count",
        "store.gateways",
        "values.channel",
        "traffic.turn.rate",
        "times.patch.hold",
        "case",
        "x.y",
    )
    setting = f"{random.choice((*keys, _odd(random)))}={_odd(random)}"
    run, interleave = ["run", "w.yaml", "--jobs", "1"], ["interleave", "--scope", "handler+patch", "--strategy", "after-19328"]
    templates: tuple[tuple[list[str], str], ...] = (
        ([*run, "--set"], setting), ([*run, "--set"], setting), ([*run, "--set"], setting), ([*run, "--replicates"], ""),
        ([*run, "--seed"], ""), ([*run, "--strategy"], ""), ([*run, "--engine"], ""), ([*run, "--case"], ""),
        ([*run, "--out"], "out/"), (["run"], ""), ([], ""), (["workloads"], ""), (["schema", "--out", "out"], ""),
        (["replay"], ""), (["replay", "store-2026.4.22-two-processes", "--strategy"], ""), (["strategies", "--case"], ""),
        ([*interleave, "--stale-reads"], ""), ([*interleave, "--as"], ""), ([*interleave, "--require-safe"], ""),
        (["interleave", "--scope"], ""), (["validate"], ""), (["validate", "gateway-2026.4.22", "--replicates"], ""),
        (["calibrate", "-o", "o.yaml"], ""), (["calibrate", "store-2026.4.22-two-processes", "-o"], "out/"),
        (["testbed", "w.yaml", "--store", "none", "--seconds"], ""),
        (["testbed", "w.yaml", "--store", "none", "--entry-bytes"], ""),
    )  # fmt: skip
    words, last = random.choice(templates)
    last = last if "=" in last else last + _odd(random)
    return [*words, last], {"w.yaml": yaml_text(_workload(random)).encode()}


def _slow(random: Random) -> tuple[list[str], dict[str, bytes]]:
    """What starts processes of its own: a notebook's kernel, the testbed's gateways."""
    files = _pair(random, random.choice(("names", "names", "names", "w.yaml", "c.yaml")))
    return random.choice((
        ["report", "w.yaml", "--replicates", "2", "--recording", "", "--out", "out.html"],
        ["report", "w.yaml", "--case", "c.yaml", "--replicates", "2", "--recording", "", "--out", "out.html"],
        ["testbed", "w.yaml", "--seconds", "0.5"],
        ["testbed", "w.yaml", "--seconds", "0.5", "--store", "sqlite", "--out", "o.jsonl.gz"],
        ["testbed", "w.yaml", "--case", "c.yaml", "--seconds", "0.5"],
    )), files  # fmt: skip


KINDS: dict[str, Callable[[Random], tuple[list[str], dict[str, bytes]]]] = {
    "yaml": _yaml, "recording": _recording, "log": _log, "trace": _trace, "parquet": _parquet, "races": _races,
    "options": _options, "slow": _slow,
}  # fmt: skip


def attempt(seed: int, kind: str, number: int) -> Attempt:
    """The attempt of that number; nothing of it depends on the others."""
    arguments, files = KINDS[kind](Random(f"{seed} {kind} {number}"))  # noqa: S311
    return Attempt(f"{kind}-{number}", tuple(arguments), files, kind == "slow")


def lay_out(one: Attempt, folder: Path) -> dict[str, Any]:
    """Write its files, and describe it as a job of the fork server."""
    (folder / "here").mkdir(parents=True)
    for name, data in one.files.items():
        (folder / "here" / name).write_bytes(data)
    return {"folder": str(folder), "arguments": list(one.arguments), "fresh": one.fresh}
