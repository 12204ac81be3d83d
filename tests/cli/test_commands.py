"""The command line as a user meets it: a subprocess, its output, its exit status, one line an error."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from places import ROOT

from simlib.workload.schema import FOLDER, schemas


def simlib(*arguments, cwd=None, timeout=120):
    return subprocess.run(
        [sys.executable, "-m", "simlib", *arguments], capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """What a first call says of compiling is test_compiled's; here it is done."""
    for workload in ("quiet", "multi-process"):  # one gateway, and several
        simlib("run", workload, "--replicates", "1", "--set", "duration=10")


def test_run_prints_a_table_on_stdout_and_nothing_on_stderr():
    done = simlib("run", "quiet", "--replicates", "2", "--set", "duration=100")
    assert done.returncode == 0
    assert done.stdout.startswith("strategy ")
    assert done.stderr == ""


def test_run_json_is_the_same_bytes_twice():
    arguments = ("run", "busy-team", "--replicates", "2", "--set", "duration=30", "--json")
    first, second = simlib(*arguments), simlib(*arguments)
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)["workload"] == "busy-team"


def test_run_writes_its_json_to_a_file(tmp_path):
    done = simlib("run", "quiet", "--replicates", "2", "--set", "duration=10", "--out", str(tmp_path / "new" / "a.json"))
    assert done.returncode == 0
    assert json.loads((tmp_path / "new" / "a.json").read_text())["replicates"] == 2


def test_set_changes_the_workload():
    more, less = (
        json.loads(
            simlib(
                "run",
                "handler-only",
                "--replicates",
                "2",
                "--set",
                "duration=5",
                "--set",
                f"traffic.patch.rate={rate}",
                "--json",
            ).stdout
        )
        for rate in (30, 0)
    )
    assert (
        more["strategies"]["after-19328"]["clobber_rate"]["estimate"]
        > less["strategies"]["after-19328"]["clobber_rate"]["estimate"]
    )


def test_replay_is_exact_and_says_so():
    done = simlib("replay", "store-2026.4.22-after-19328", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0
    assert data["exact"] is True
    assert data["entries_reproduced"] == data["committed"] == 2500
    assert data["clobbered_fields_reproduced"] == data["clobbered_fields_recorded"] == 52
    assert set(data["counterfactual"]) == {"replace", "before-19328", "after-19328", "sketch-70575", "in-mutator", "all-sites"}


def test_replay_that_is_not_exact_exits_with_1(tmp_path):
    import gzip

    source = ROOT / "data" / "recordings" / "store-2026.4.22-two-processes.jsonl.gz"
    lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    lines[0] = lines[0].replace('"before-19328"', '"in-mutator"')
    path = tmp_path / "wrong.jsonl"
    path.write_text("\n".join(lines))
    done = simlib("replay", str(path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["mismatches"]
    assert "does not reproduce" in done.stderr


def test_strategies_and_workloads_list_what_is_shipped():
    data = json.loads(simlib("strategies", "--json").stdout)
    assert (
        data["strategies"]["sketch-70575"]["rules"]["handler"]["channel"]
        == "request.channel, when defined, unless stale.channel"
    )
    shipped = {"quiet", "busy-team", "channel-hop", "spawn-storm", "multi-process", "handler-only"}
    assert shipped <= set(json.loads(simlib("workloads", "--json").stdout)["workloads"])


def test_the_committed_schemas_are_those_of_the_models():
    for name, schema in schemas().items():
        assert json.loads((FOLDER / f"{name}.schema.json").read_text()) == schema


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "bussy-team"), r"bussy-team: no such file.*allowed: busy-team"),
        (
            ("run", "quiet", "--strategy", "in-mutater"),
            r"strategy 'in-mutater' is not in case openclaw-70575; allowed: replace",
        ),
        (
            ("run", "quiet", "--set", "traffic.patch.rat=2"),
            r"quiet.yaml: traffic.patch: unknown key 'rat'; did you mean 'rate'",
        ),
        (("run", "quiet", "--set", "traffic.patch.rate=-2"), r"traffic.patch.rate: .*greater than or equal to 0.*-2"),
        (("run", "quiet", "--set", "nonsense"), r"--set nonsense: write key.key=value"),
        (("run", "quiet", "--seed", "x"), r"--seed.*'x'"),
        (("run", "quiet", "--replicates", "0"), r"--replicates.*greater than or equal to 1.*'0'"),
        (("run", "quiet", "--case", "nope"), r"nope: no such file"),
        (("run",), r"Missing argument"),
        (("run", "quiet", "--set", "duration=1e12"), r"duration: with these rates .* allowed: 20,000,000 a replicate"),
        (("run", "quiet", "--replicates", "1000000000"), r"replicates: 1000000000 is too many; allowed: 1 to 1,000,000"),
        (
            ("run", "quiet", "--replicates", "1", "--set", "duration=1", "--out", str(ROOT)),
            r": is a folder; give the name of a file",
        ),
        (("report", "quiet", "busy-team", "--out", "a.html"), r"--out a.html: is one file for 2 reports; give a folder"),
        (("report", "quiet", "quiet"), r"two of the workloads would write this report"),
        (("interleave", "--as", "mermaid", "--json"), r"--as mermaid: not together with --json"),
        (("interleave", "--scope", "nope"), r"scope 'nope' is not in case openclaw-70575; allowed: handler\+patch"),
        (("run", "quiet", "--bogus"), r"No such option"),
        (("replay", "nope"), r"nope: no such recording"),
        (("report", "quiet", "--recording", "nope"), r"nope: no such recording"),
        (("frobnicate",), r"No such command"),
    ],
)
def test_wrong_input_is_one_line_on_stderr_and_status_2(arguments, message):
    done = simlib(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("simlib: ")
    assert done.stderr.count("\n") == 1
    assert re.search(message, done.stderr)


def test_output_to_a_device_leaves_the_device(tmp_path):
    done = simlib("run", "quiet", "--replicates", "1", "--set", "duration=1", "--out", "/dev/null")
    assert done.returncode == 0
    assert not os.path.isfile("/dev/null")  # noqa: PTH113 - a device


def test_a_gate_that_is_not_met_exits_with_1():
    safe = simlib("interleave", "--scope", "handler+patch", "--require-safe", "in-mutator")
    unsafe = simlib("interleave", "--scope", "handler+patch", "--require-safe", "sketch-70575")
    assert (safe.returncode, unsafe.returncode) == (0, 1)
    assert "strategy sketch-70575 is not safe" in unsafe.stderr


def test_a_copied_case_with_other_strategies_gets_a_report_without_the_recording(tmp_path):
    source = (ROOT / "data" / "cases" / "openclaw-70575.yaml").read_text().replace("after-19328", "mine")
    case = tmp_path / "mine.yaml"
    case.write_text(source)
    done = simlib("report", "quiet", "--case", str(case), "--replicates", "2", "--set", "duration=10", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "No recording was asked for" in (tmp_path / "fix-impact-quiet.html").read_text()


def test_debug_shows_the_traceback():
    assert "Traceback" in simlib("--debug", "run", "bussy-team").stderr
    assert "Traceback" not in simlib("run", "bussy-team").stderr


def test_a_failing_workload_does_not_stop_the_others(tmp_path):
    done = simlib(
        "report", "nope", "quiet", "--replicates", "2", "--set", "duration=10", "--recording", "", "--out", str(tmp_path)
    )  # fmt: skip
    assert done.returncode == 1
    assert (tmp_path / "fix-impact-quiet.html").is_file()
    assert done.stdout == f"{tmp_path / 'fix-impact-quiet.html'}\n"
    assert "nope: no such file" in done.stderr
    assert "1 of 2 reports failed" in done.stderr


def test_a_folder_that_cannot_be_written_is_one_line_and_status_1(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    done = simlib("run", "quiet", "--replicates", "2", "--set", "duration=10", "--out", str(blocker / "a.json"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "file" in done.stderr


def test_a_full_disk_is_one_line_and_status_1():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "simlib", "strategies", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_control_c_ends_with_130_and_leaves_nothing_half_written(tmp_path):
    out = tmp_path / "a.json"
    command = [sys.executable, "-m", "simlib", "run", "busy-team", "--replicates", "100000", "--jobs", "1", "--out", str(out)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    # Wait until the numbers are being crunched: a signal during the imports proves nothing.
    while time.monotonic() < deadline and _cpu_seconds(running.pid) < 3:
        os.sched_yield()
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert error == "simlib: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a device
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/b"])
def test_a_strategys_name_never_decides_where_a_file_is_written(name, tmp_path):
    source = (ROOT / "data" / "cases" / "openclaw-70575.yaml").read_text()
    case, out = tmp_path / "mine.yaml", tmp_path / "deep" / "out"
    case.write_text(re.sub(r"(?<![\w-])after-19328(?![\w-])", f'"{name}"', source))
    scope = ("--scope", "handler+patch", "--as", "vitest", "--out", str(out))
    done = simlib("interleave", "--case", str(case), "--strategy", name, *scope)
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path != case]
    assert written
    assert all(path.parent == out for path in written)
