"""`simlib interleave`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlib.cli.options import Json, OneCase, Strategies, number
from simlib.cli.output import complain, line_a_minute, print_json, print_table, print_text, progress_bar
from simlib.common import bounds
from simlib.common.errors import InputError, allowed
from simlib.common.shipped import CASE, REPORTS, find

if TYPE_CHECKING:
    from simlib.search.counterexample import Counterexample
    from simlib.search.proofs import Proofs

FORMS = ["text", "json", "mermaid", "vitest", "figure", "report"]
FOLDERS = ["vitest", "figure"]
"""Forms of which each counterexample is a file of its own."""


Scopes = Annotated[list[str], typer.Option("--scope", metavar="NAME", help="Only this one; may be given more than once.")]
StaleReads = Annotated[
    int | None,
    number(
        bounds.STALE_READS,
        "How many commits old an entry from a cache may be; 1 unless said. 0 assumes that caches are always up to date.",
    ),
]
Certificates = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write what was certified, as JSON that another program can check.")
]
Form = Annotated[str, typer.Option("--as", metavar="FORM", help=f"Show the shortest schedules: {', '.join(FORMS)}.")]
RequireSafe = Annotated[
    list[str], typer.Option(metavar="NAME", help="Exit with 1 unless it is proved that this strategy cannot clobber.")
]
Place = Annotated[Path | None, typer.Option(help="File to write, or folder for figures and tests.")]


def interleave(
    case: OneCase = CASE,
    strategies: Strategies = [],  # noqa: B006 - typer copies it
    scopes: Scopes = [],  # noqa: B006
    stale_reads: StaleReads = None,
    form: Form = "",
    as_json: Json = False,
    require_safe: RequireSafe = [],  # noqa: B006
    certificates: Certificates = None,
    out: Place = None,
) -> None:
    """Prove that a strategy cannot clobber, for any number of writers, or show how it does in every order of a few."""
    from simlib.case.case import load_case
    from simlib.common.files import check_output, replacing
    from simlib.report.notebook import find_notebook, make_report
    from simlib.search.certificate import to_json
    from simlib.search.proofs import require_safe as check_safe
    from simlib.search.prove import prove

    if form and form not in FORMS:
        raise InputError(f"--as {form}: not known; {allowed(FORMS)}")
    if form and as_json:
        raise InputError(f"--as {form}: not together with --json; `--as json` gives the schedules, --json what is reachable")
    compiled = load_case(case)
    page = out or REPORTS / "interleavings.html"
    if out or form in ("figure", "report"):
        check_output(page / "figure.svg" if form in FOLDERS else page, find("cases", case))
    if certificates:
        if out and certificates.absolute() == out.absolute():
            raise InputError(f"--certificates {certificates}: --out writes the same file; give another name")
        check_output(certificates, find("cases", case))
    with progress_bar("the search"):
        proofs = prove(compiled, strategies, scopes, stale_reads)
    if certificates:
        with replacing(certificates) as temporary:  # and no word on stdout, where the result goes
            temporary.write_text(json.dumps(to_json(compiled, proofs.certificates), indent=2) + "\n", encoding="utf-8")
    if form == "report":
        parameters = {"case": case, "strategies": strategies, "scopes": scopes, "stale_reads": proofs.stale_reads}
        with line_a_minute("the report"):
            make_report(find_notebook("interleavings"), parameters, page, f"simlib: interleavings, {compiled.name}")
        print(page)
    elif form:
        _show(proofs, form, out)
    elif as_json or out:
        print_json(proofs.to_json(), out)
    else:
        _tables(proofs)
    check_safe(proofs, require_safe)


def _tables(proofs: "Proofs") -> None:
    from simlib.report.interleavings import certificate_table, matrix, scope_table

    for title, table in [
        ("Proved for any number of writers:", certificate_table(proofs)),
        ("With a race, the shortest schedule:", matrix(proofs)),
        ("With no concurrency:", matrix(proofs, racing=False)),
        ("Searched:", scope_table(proofs)),
    ]:
        print(title)
        print_table(table.rows())
        print()


def _show(proofs: "Proofs", form: str, out: Path | None) -> None:
    """Print the shortest counterexamples, or write a file each, whose paths are printed."""
    from simlib.report.interleavings import figure, shortest_of_all
    from simlib.search.export import show, tell

    chosen: list[Counterexample] = shortest_of_all(proofs)
    if form == "json":
        print_json([tell(proofs.case, one) for one in chosen], out)
    elif form == "figure":
        _write({_name(one, "svg"): figure(proofs, one).svg for one in chosen}, out)
    elif form == "vitest" and out:
        _write({_name(one, "test.ts"): show(proofs.case, one, form).encode() for one in chosen}, out)
    elif form == "vitest" and chosen:
        print(show(proofs.case, chosen[0], form))
        if len(chosen) > 1:  # each is a module of its own
            complain(f"{len(chosen) - 1} more; --out FOLDER writes a file for each")
    else:
        print_text("\n".join(show(proofs.case, one, form) for one in chosen) or _none(proofs), out)


def _none(proofs: "Proofs") -> str:
    """What is said in place of schedules, where there are none."""
    unknown = [name for name in proofs.strategies if not proofs.safe(name)]
    return "\n".join(f"{name}: {proofs.verdict(name)}" for name in unknown) or "Nothing is reachable."


def _name(one: "Counterexample", ending: str) -> str:
    from simlib.common.files import file_name

    return f"{file_name(one.strategy)}-{one.kind}{'' if one.racing else '-no-race'}.{ending}"


def _write(files: dict[str, bytes], folder: Path | None) -> None:
    from simlib.common.files import replacing

    for name, content in files.items():
        path = (folder or REPORTS) / name
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        print(path)
