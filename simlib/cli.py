"""The command line: thin commands over the library. Results go to stdout, everything else to stderr.

Exit status: 0; 1 for a failed run or a failed gate; 2 for wrong usage or input; 130 when interrupted. Heavy imports happen
inside the commands, so that `simlib --help` is quick.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from simlib.errors import RunError, SimlibError

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="How often does a stale write clobber a fresh one, and does the fix end it?",
)

Workloads = Annotated[list[str], typer.Argument(metavar="WORKLOAD...", help="Names in data/workloads, or paths.")]
Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help="A name in data/workloads, or a path.")]
CaseName = Annotated[
    str, typer.Option("--case", metavar="CASE", help="A name in data/cases, or a path; else the workload's own.")
]
Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the workload.")]
Seed = Annotated[int, typer.Option(help="Root of all random streams.", min=0)]
Replicates = Annotated[int | None, typer.Option(help="How many; else as the workload says.", min=1)]
Strategies = Annotated[
    list[str], typer.Option("--strategy", metavar="NAME", help="Only this one; may be given more than once.")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]


@app.callback()
def options(debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False) -> None:
    """Options that come before the command."""
    if debug:
        os.environ["SIMLIB_DEBUG"] = "1"


@app.command()
def report(
    workloads: Workloads,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    strategies: Strategies = [],  # noqa: B006
    recording: Annotated[
        str, typer.Option(help="Recording for the counterfactual; '' for none.")
    ] = "store-2026.4.22-after-19328-long",
    out: Annotated[Path | None, typer.Option(help="File, or folder if there are several workloads; else reports/.")] = None,
) -> None:
    """Write a fix-impact report for each workload: one self-contained HTML file."""
    from simlib.files import ROOT
    from simlib.impact import check_input
    from simlib.report import find_notebook, make_report

    folder = out if out and (len(workloads) > 1 or out.is_dir() or not out.suffix) else None
    failures: list[SimlibError] = []
    for workload in workloads:
        name = Path(workload).stem
        page = folder / f"fix-impact-{name}.html" if folder else out or ROOT / "reports" / f"fix-impact-{name}.html"
        parameters: dict[str, Any] = {
            "workload": workload,
            "case": case,
            "seed": seed,
            "replicates": replicates or 0,
            "strategies": strategies,
            "overrides": overrides,
            "recording": recording,
        }
        try:
            check_input(**parameters)
            make_report(
                find_notebook("fix_impact"), parameters, page, f"simlib: fix impact, {name}", progress=sys.stderr.isatty()
            )
        except SimlibError as error:
            if len(workloads) == 1:
                raise
            failures.append(error)
            _complain(f"{workload}: {error}")
        else:
            print(page)
    if failures:
        raise RunError(f"{len(failures)} of {len(workloads)} reports failed; the others are written")


@app.command()
def run(
    workload: Workload,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006
    seed: Seed = 1,
    replicates: Replicates = None,
    strategies: Strategies = [],  # noqa: B006
    jobs: Annotated[int | None, typer.Option(help="Processes; else as many as are worth their start.", min=1)] = None,
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file instead of stdout.")] = None,
) -> None:
    """Simulate a workload and estimate every strategy's clobber rate."""
    from simlib.case import load_case
    from simlib.charts import rate_text
    from simlib.experiment import run as run_experiment
    from simlib.workload import load_workload

    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    with progress_bar("replicates", replicates or model.replicates) as step:
        result = run_experiment(model, compiled, strategies, seed=seed, replicates=replicates, jobs=jobs, progress=step)
    if as_json or out:
        _print_json(result.to_json(), out)
        return
    rows = []
    for name in result.strategies:
        difference = result.difference(name)
        rows.append(
            {
                "strategy": name,
                "clobber rate (95 %)": rate_text(result.clobber_rate(name)),
                f"against {result.baseline}": rate_text(difference) if difference else "baseline",
                "lost writes (95 %)": rate_text(result.lost_write_rate(name)),
                "wait p99": f"{1000 * result.price(name)['wait_p99']:.1f} ms",
            }
        )
    _print_table(rows)
    print(f"{result.transactions:,} transactions in {len(result.replicates)} replicates, seed {seed}")


@app.command()
def replay(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="A name in data/recordings, or a path.")],
    case: CaseName = "openclaw-70575",
    strategies: Strategies = [],  # noqa: B006
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file instead of stdout.")] = None,
) -> None:
    """Replay a recording of a real store: is it reproduced exactly, and what would each strategy have done?"""
    from simlib.case import load_case
    from simlib.counterfactual import counterfactual
    from simlib.page import percent
    from simlib.recording import find_recording, read_recording

    compiled = load_case(case)
    counter = counterfactual(compiled, read_recording(find_recording(recording), compiled), strategies)
    check = counter.check
    if as_json or out:
        _print_json(counter.to_json(compiled), out)
    else:
        _print_table(
            [
                {
                    "strategy": name + (" (recorded)" if name == counter.recording.rule else ""),
                    "clobbering requests": f"{count:,} of {counter.turns:,}",
                    "clobber rate": percent(count / counter.turns) if counter.turns else "n/a",
                    "lost writes": f"{counter.lost[name]:,} of {counter.writes:,}",
                }
                for name, count in counter.clobbered.items()
            ]
        )
        print(
            f"reproduced: {check.entries_reproduced:,} of {check.committed:,} committed entries, "
            f"{check.clobbered_reproduced:,} of {check.clobbered_recorded:,} clobbered fields"
        )
        for mismatch in check.mismatches:
            print(f"  {mismatch}")
    if not check.exact:
        raise RunError(f"{recording}: replay with {counter.recording.rule} does not reproduce it exactly")


@app.command("strategies")
def list_strategies(case: CaseName = "openclaw-70575", as_json: Json = False) -> None:
    """List a case's strategies, with their rules under --json."""
    from simlib.case import load_case

    compiled = load_case(case)
    if as_json:
        _print_json(
            {
                "case": compiled.name,
                "baseline": compiled.baseline,
                "strategies": {
                    name: {
                        "title": strategy.title,
                        "source": strategy.source,
                        "about": strategy.about,
                        "in_lock": sorted(strategy.in_lock),
                        "rules": {
                            site: {field: str(rule) for field, rule in rules.items()} for site, rules in strategy.rules.items()
                        },
                    }
                    for name, strategy in compiled.strategies.items()
                },
            }
        )
        return
    _print_table([{"strategy": s.name, "what": s.title, "source": s.source} for s in compiled.strategies.values()])


@app.command("workloads")
def list_workloads(as_json: Json = False) -> None:
    """List the shipped workloads."""
    from simlib.files import shipped_names
    from simlib.workload import load_workload

    models = [load_workload(name) for name in shipped_names("workloads")]
    if as_json:
        _print_json({"workloads": {model.workload: model.model_dump(mode="json", exclude_defaults=True) for model in models}})
        return
    _print_table([{"workload": model.workload, "case": model.case, "what": model.about} for model in models])


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Folder to write workload.schema.json and case.schema.json to.")] = None,
) -> None:
    """Print the JSON Schema of a workload, or write both schemas for editors."""
    from simlib.schema import schemas, write_schemas

    if out:
        for path in write_schemas(out):
            print(path)
    else:
        _print_json(schemas()["workload"])


# ---- output ------------------------------------------------------------------------------------------------------------------


def _print_json(data: Any, out: Path | None = None) -> None:
    from simlib.files import replacing

    text = json.dumps(data, indent=2, allow_nan=False)
    if out is None:
        print(text)
        return
    with replacing(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(out)


def _print_table(rows: "list[dict[str, str]]") -> None:
    """Columns two blanks apart; plain text, so that it can be cut and searched."""
    header = list(rows[0]) if rows else []
    lines = [header, *([row[name] for name in header] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, if that is a terminal; yields the function that moves it by one."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _complain(message: str) -> None:
    print(f"simlib: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        status = app(standalone_mode=False) or 0  # typer returns the status of its own exits, 130 for Ctrl-C among them
    except Exception as error:
        if os.environ.get("SIMLIB_DEBUG"):
            traceback.print_exc()
        status = _status(error)
    if status == INTERRUPTED:
        _complain("interrupted")
    sys.exit(status)


def _status(error: Exception) -> int:
    """Say what went wrong in one line; returns the exit status."""
    if isinstance(error, SimlibError):
        _complain(str(error))
        return error.exit_status
    if isinstance(error, TyperException):
        message = str(getattr(error, "format_message", error.__str__)()).replace("\n", " ")
        _complain(message + _given(error))
        return 2
    if isinstance(error, OSError):
        _complain(f"{error.filename or 'output'}: {error.strerror or error}")
        return 1
    _complain(f"{type(error).__name__}: {error} (this is a bug in simlib; --debug before the command shows where)")
    return 1


def _given(error: TyperException) -> str:
    """The value of the option that typer refused; its own message leaves that out."""
    options = getattr(getattr(error, "param", None), "opts", [])
    values = [value for option, value in pairwise(sys.argv) if option in options]
    return f" (got {values[-1]!r})" if values else ""
