"""`simlib batch`."""

from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.compiling import announcing, try_engine
from simlib.cli.options import Json, number
from simlib.cli.output import complain, line_a_minute, print_json, say
from simlib.common import bounds
from simlib.common.errors import RunError


def batch(
    name: Annotated[str, typer.Argument(metavar="BATCH", help="A name in data/batches, or a path.")],
    out: Annotated[Path, typer.Option(help="Folder that holds everything; made if it is not there.")],
    jobs: Annotated[int | None, number(bounds.JOBS, "Processes; else as many as there are cores.")] = None,
    force: Annotated[bool, typer.Option(help="Make every report again.")] = False,
    index_only: Annotated[bool, typer.Option(help="Only write the list of what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Make a report for each parameter set of a batch, and the list of all; what is finished is kept."""
    from simlib.common.lock import locked
    from simlib.common.shipped import NOTEBOOKS
    from simlib.report.batch import needed, run_batch
    from simlib.report.batch_file import INDEX, load_batch
    from simlib.report.batch_folder import read_records
    from simlib.report.index import write_index

    loaded, members = load_batch(name)
    if index_only:
        with locked(out, "batch"):
            write_index(out, complain)
    else:
        if any(member.notebook.parent == NOTEBOOKS for member in needed(members, out, force)):
            with announcing():
                try_engine()
        with line_a_minute("the batch"):  # beside a line for each report
            run_batch(loaded, members, out, jobs=jobs, again=force, say=complain)
    known = read_records(out)
    found = [(member, known.get(member.name)) for member in members]
    failed = sum(record is not None and record.state == "failed" for _, record in found)
    if as_json:
        rows = [
            {
                "name": member.name,
                "state": record.state if record else "missing",
                "report": str(out / f"{member.stem}.html") if record else None,
                "seconds": record.seconds if record else None,
            }
            for member, record in found
        ]
        print_json({"members": rows})
    else:
        say(str(out / f"{INDEX}.html"))
    if failed and not index_only:
        raise RunError(f"{failed:,} of {len(members):,} reports failed; {out / f'{INDEX}.html'} says why")
