"""`simlib atlas`."""

from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.options import Json, Out, Replicates, Seed, number
from simlib.cli.output import print_json, print_table, progress_bar, say
from simlib.common import bounds

Names = Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases of the atlas by name; none named: all.")]
Page = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write a page with a section for each case.")]
NOTE = "Rates and times are chosen, not measured: compare the cures of one case, and no two cases."


def atlas(
    names: Names = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    replicates: Replicates = None,
    jobs: Annotated[int | None, number(bounds.JOBS, "Processes; else as many as are worth their start.")] = None,
    as_json: Json = False,
    out: Out = None,
    page: Page = None,
) -> None:
    """Run public races of other programs with the cures that compete there: what each cure ends, and its price."""
    from simlib.common.files import check_output
    from simlib.common.shipped import find
    from simlib.report.atlas import atlas_json, atlas_names, atlas_table, make_atlas

    cases = atlas_names(names)
    for path in filter(None, (out, page)):
        check_output(path, *(find(kind, name) for kind in ("cases", "workloads") for name in cases))
    with progress_bar("cases", len(cases)) as step:
        entries = make_atlas(cases, seed, replicates, jobs, step)
    if page:
        from simlib.report.atlas_page import write_page

        write_page(entries, page)
        print(page)
    if as_json or out:
        print_json(atlas_json(entries), out)
    elif not page:
        print_table(atlas_table(entries).rows())
        say(NOTE)
