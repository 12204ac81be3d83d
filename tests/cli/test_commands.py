"""The command line as a user meets it: a process, its output, its exit status, one line an error."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from command_line import simlib
from places import ROOT

from simlib.workload.schema import FOLDER, schemas


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


def test_the_limit_stands_in_the_table_and_in_the_json_where_it_is_asked_for() -> None:
    words = ("run", "handler-only", "--replicates", "2", "--set", "duration=20", "--strategy", "after-19328", "--limit")
    header, row, *_ = simlib(*words).stdout.splitlines()
    found = json.loads(simlib(*words, "--json").stdout)["strategies"]["after-19328"]["throughput_limit"]
    assert header.endswith("limit, agent turns a second")
    assert row.endswith(f"  {found['stable']:.3g} to {found['unstable']:.3g}")
    assert 1 < found["unstable"] / found["stable"] < 1.05


def test_what_a_guard_costs_stands_in_the_table_where_a_strategy_has_one(tmp_path):
    """A handler whose patch is rejected where anybody has committed meanwhile, with and without a second attempt."""
    lines = (ROOT / "data" / "cases" / "openclaw-70575.yaml").read_text()
    guard = "    guards: {handler: {compare: version, attempts: 2}}\n    sites:\n"
    head, tail = lines.split("\n  after-19328:\n")
    case = tmp_path / "mine.yaml"
    case.write_text(head + "\n  after-19328:\n" + tail.replace("    sites:\n", guard, 1))
    words = ("--replicates", "3", "--set", "duration=60", "--strategy", "all-sites", "--strategy", "after-19328")
    plain, guarded = (simlib("run", "handler-only", *words, *extra) for extra in ((), ("--case", str(case))))
    assert plain.returncode == guarded.returncode == 0, guarded.stderr
    assert "conflicts" not in plain.stdout
    header = guarded.stdout.splitlines()[0]
    more = ("conflicts (95 %)", "false (95 %)", "retries per agent turn", "failed agent turns (95 %)", "latency p99")
    assert re.search(" +".join(map(re.escape, more)) + "$", header)
    done = simlib("run", "handler-only", *words, "--case", str(case), "--json")
    strategies = json.loads(done.stdout)["strategies"]
    found, free = strategies["after-19328"], strategies["all-sites"]
    false, conflicts = (found[what] for what in ("false_conflict_rate", "conflict_rate"))
    assert 0 < false["estimate"] < conflicts["estimate"] < conflicts["high"] < 1
    assert found["failed_rate"]["estimate"] < found["retries_per_unit"]
    assert 0 < found["latency"]["p50"] < found["latency"]["p95"] < found["latency"]["p99"]
    assert found["stable"] is True
    assert found["clobber_rate"]["estimate"] == 0
    assert free["conflict_rate"] == {"estimate": None, "low": None, "high": None}
    assert free["retries_per_unit"] == 0


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
        (("run", "bussy-team"), r"bussy-team: no such file.*did you mean 'busy-team'\? allowed: .*busy-team"),
        (
            ("run", "quiet", "--strategy", "in-mutater"),
            r"strategy 'in-mutater' is not in case openclaw-70575; did you mean 'in-mutator'\? allowed: replace",
        ),
        (
            ("run", "quiet", "--set", "traffic.patch.rat=2"),
            r"quiet.yaml with --set: traffic.patch: unknown key 'rat'; did you mean 'rate'",
        ),
        (("run", "quiet", "--set", "traffic.patch.rate=-2"), r"traffic.patch.rate: .*greater than or equal to 0.*-2"),
        (("run", "quiet", "--set", "nonsense"), r"--set nonsense: write key.key=value"),
        (("run", "quiet", "--seed", "x"), r"--seed.*'x'"),
        (("run", "quiet", "--replicates", "0"), r"--replicates.*greater than or equal to 1.*'0'"),
        (("run", "quiet", "--case", "nope"), r"nope: no such file"),
        (("run",), r"Missing argument"),
        (("run", "quiet", "--set", "duration=1e12"), r"duration: .*less than or equal to 1000000000 \(got 1000000000000.0\)"),
        (("run", "quiet", "--jobs", "256", "--set", "duration=1e8"), r"quiet.yaml: some .* of memory in 256 processes; this"),
        (("run", "quiet", "--set", "duration=8e6", "--replicates", "1000000"), r"quiet.yaml: .* days; allowed: 7"),
        (("report", "quiet", "--set", "duration=8e6", "--replicates", "1000000"), r"quiet.yaml: .* days; allowed: 7"),
        (("run", "quiet", "--set", "duration=1e9"), r"duration: 1e\+09 s with these rates .* allowed: 20,000,000 a replicate"),
        (("run", "quiet", "--replicates", "1000000000"), r"--replicates.*less than or equal to 1000000 .*'1000000000'"),
        (("run", "quiet", "--seed", "1" + "0" * 40), r"--seed.*less than or equal to 9223372036854775807"),
        (("run", "quiet", "--seed", "-1"), r"--seed.*greater than or equal to 0.*'-1'"),
        (("run", "quiet", "--jobs", "1000000"), r"--jobs.*less than or equal to 256 .*'1000000'"),
        (("run", "quiet", "--set", "store.gateways=1000000000"), r"store.gateways: .* 1000 \(got 1000000000\)"),
        (("run", "quiet", "--set", "about=" + "[" * 3000), r"--set about=\[+\.\.\.: .*nested too deeply"),
        (("testbed", "quiet", "--seconds", "1e12"), r"--seconds.*less than or equal to 86400 .*'1e12'"),
        (("testbed", "quiet", "--seconds", "nan"), r"--seconds.*'nan'"),
        (("testbed", "quiet", "--entry-bytes", "3000000000"), r"--entry-bytes.* 10000000 .*'3000000000'"),
        (("validate", "--replicates", "1000000000"), r"--replicates.*less than or equal to 1000 .*'1000000000'"),
        (("interleave", "--stale-reads", "1" + "0" * 30), r"--stale-reads.*less than or equal to 16 "),
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
        (("run", "/dev/zero"), r"/dev/zero: is no regular file"),
        (("replay", str(ROOT)), r": is no regular file"),
        (
            ("calibrate", "gateway.log", "-o", "x.yaml"),
            r"gateway.log: no such recording; .* or a path of a recording, a history .* a log or a trace",
        ),
        (("run", "quiet", "--set", "duration=nan"), r"quiet.yaml with --set: duration: .*\(got 'nan'\)"),
        (("run", "quiet", "--set", "duration=5e-324"), r"duration: .*greater than or equal to 0.001"),
        (("check", "quiet", "--strategy", "all-sites", "--max-clobber-rate", "nan"), r"--max-clobber-rate.*'nan'"),
        (("check", "quiet", "--strategy", "all-sites", "--max-clobber-rate", "1e-320"), r"--max-clobber-rate.*'1e-320'"),
        (("compare", "quiet"), r"compare: give a second result or workload, or --against STRATEGY"),
        (
            ("sweep", "nope", "--out", "x"),
            r"nope: no such file, and no shipped one of that name in data/sweeps; allowed: crossover, full, small",
        ),
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_failing_workload_does_not_stop_the_others(tmp_path):
    done = simlib(
        "report", "nope", "quiet", "--replicates", "2", "--set", "duration=10", "--recording", "", "--out", str(tmp_path)
    )  # fmt: skip
    assert done.returncode == 1
    assert (tmp_path / "fix-impact-quiet.html").is_file()
    assert done.stdout == f"{tmp_path / 'fix-impact-quiet.html'}\n"
    assert "nope: no such file" in done.stderr
    assert "1 of 2 reports failed" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run", "quiet", "--replicates", "1000000", "--out", "FILE/a.json"),
        ("replay", "store-2026.4.22-after-19328", "--out", "FILE/a.json"),
        ("report", "quiet", "--replicates", "1000000", "--out", "FILE/a.html"),
        ("interleave", "--out", "FILE/a.json"),
        ("interleave", "--as", "figure", "--out", "FILE"),
        ("calibrate", "store-2026.4.22-after-19328", "-o", "FILE/a.yaml"),
        ("validate", "store-2026.4.22-after-19328", "--out", "FILE/a.json"),
        ("testbed", "quiet", "--seconds", "10000", "-o", "FILE/a.parquet"),
        ("testbed", "quiet", "--seconds", "10000", "--grid", "FILE"),
        ("schema", "--out", "FILE"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(words, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    done = simlib(*(word.replace("FILE", str(blocker)) for word in words))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is no folder that can be written to" in done.stderr


def test_an_input_is_never_overwritten(tmp_path):
    for name in ("handler-only.yaml", "case.yaml"):
        source = ROOT / "data" / ("cases/openclaw-70575.yaml" if name == "case.yaml" else f"workloads/{name}")
        (tmp_path / name).write_bytes(source.read_bytes())
    workload, case = str(tmp_path / "handler-only.yaml"), str(tmp_path / "case.yaml")
    for out in (workload, case):
        before = (tmp_path / out).read_bytes()
        done = simlib("run", workload, "--case", case, "--out", out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "which is not overwritten" in done.stderr
        assert (tmp_path / out).read_bytes() == before


def test_json_with_a_file_writes_the_file(tmp_path):
    out = tmp_path / "proof.json"
    done = simlib("interleave", "--scope", "handler+patch", "--strategy", "in-mutator", "--json", "--out", str(out))
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert "in-mutator" in out.read_text()


def test_certificates_go_to_a_file_of_their_own_and_results_to_stdout(tmp_path):
    out = tmp_path / "certificates.json"
    asked = ("interleave", "--scope", "handler+patch", "--strategy", "in-mutator", "--json", "--certificates", str(out))
    done = simlib(*asked)
    told, written = (
        json.loads(done.stdout)["certificates"]["in-mutator"],
        json.loads(out.read_text())["strategies"]["in-mutator"],
    )
    assert [one["certified"] for one in told.values()] == [one["certified"] for one in written.values()]
    refused = simlib(*asked, "--out", str(out))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--out writes the same file" in refused.stderr


def test_a_workload_and_its_case_beside_it_work_from_anywhere(tmp_path):
    (tmp_path / "pair").mkdir()
    case = (ROOT / "data" / "cases" / "openclaw-70575.yaml").read_text().replace("case: openclaw-70575", "case: mine")
    workload = (ROOT / "data" / "workloads" / "handler-only.yaml").read_text()
    (tmp_path / "pair" / "mine.case.yaml").write_text(case)
    for named in ("mine.case.yaml", "mine.case"):
        (tmp_path / "pair" / "w.yaml").write_text(workload.replace("case: openclaw-70575", f"case: {named}"))
        done = simlib("run", "pair/w.yaml", "--replicates", "1", "--set", "duration=1", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["case"] == "mine"


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
    assert re.fullmatch("simlib: this may take some .* min\nsimlib: interrupted\n", error)
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


def test_no_input_is_overwritten_whatever_the_option_that_names_it(tmp_path):
    inputs = {}
    for name, source in (
        ("w.yaml", "workloads/quiet.yaml"),
        ("r.jsonl.gz", "recordings/store-2026.4.22-two-processes.jsonl.gz"),
    ):
        inputs[name] = (ROOT / "data" / source).read_bytes()
        (tmp_path / name).write_bytes(inputs[name])
    for words in (
        ("check", "w.yaml", "--strategy", "all-sites", "--max-clobber-rate", "0.1", "--junit", "w.yaml"),
        ("run", "w.yaml", "--save", "w.yaml"),
        ("report", "quiet", "--recording", "r.jsonl.gz", "--out", "r.jsonl.gz"),
    ):
        done = simlib(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "which is not overwritten" in done.stderr
    assert {name: (tmp_path / name).read_bytes() for name in inputs} == inputs


def test_a_link_that_leads_to_itself_is_no_output(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    done = simlib("run", "quiet", "--out", "one", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be written: Symlink loop" in done.stderr or "symbolic links" in done.stderr


def test_a_gate_on_an_overloaded_lock_says_so_in_its_line():
    words = ("check", "handler-only", "--set", "traffic.patch.rate=400", "--set", "duration=20", "--strategy", "all-sites")
    done = simlib(*words, "--max-clobber-rate", "0.1")
    assert "the lock is asked for 2." in done.stdout.splitlines()[0]
