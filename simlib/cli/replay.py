"""`simlib replay`."""

from typing import Annotated

import typer

from simlib.cli.options import Json, OneCase, Out, Strategies
from simlib.cli.output import print_json, print_table, say
from simlib.common.errors import RunError
from simlib.common.shipped import CASE, find


def replay(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="A name in data/recordings, or a path.")],
    case: OneCase = CASE,
    strategies: Strategies = [],  # noqa: B006
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Replay a recording of a real store: is it reproduced exactly, and what would each strategy have done?"""
    from simlib.case.case import load_case
    from simlib.common.files import check_output
    from simlib.estimate.wording import percent
    from simlib.replay.counterfactual import counterfactual
    from simlib.replay.recording import find_recording, read_recording
    from simlib.report.table import Columns, Table

    compiled, path = load_case(case), find_recording(recording)
    if out:
        check_output(out, path, find("cases", case))
    counter = counterfactual(compiled, read_recording(path, compiled), strategies)
    check = counter.check
    if as_json or out:
        print_json(counter.to_json(compiled), out)
    else:
        columns: Columns = {
            "strategy": lambda row: row["strategy"] + (" (recorded)" if row["strategy"] == counter.recording.rule else ""),
            "clobbering requests": lambda row: f"{row['clobbered_units']:,} of {row['units']:,}",
            "clobber rate": lambda row: percent(row["clobber_rate"]),
            "lost writes": lambda row: f"{row['lost_writes']:,} of {row['writes']:,}",
        }
        print_table(Table(counter.to_frame(), columns).rows())
        print(
            f"reproduced: {check.entries_reproduced:,} of {check.committed:,} committed entries, "
            f"{check.clobbered_reproduced:,} of {check.clobbered_recorded:,} clobbered fields"
        )
        if counter.left_out:
            say(f"not judged: {', '.join(counter.left_out)}: their guards, locks or snapshots would have made another timeline")
        for mismatch in check.mismatches:
            say(f"  {mismatch}")
    if not check.exact:
        raise RunError(f"{recording}: replay with {counter.recording.rule} does not reproduce it exactly")
