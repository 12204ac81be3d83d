"""`simlib check`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlib.cli.compiling import announcing
from simlib.cli.inputs import load_inputs
from simlib.cli.options import CaseName, Json, Overrides, Seed, Workload, number
from simlib.cli.output import print_json, progress_bar, say
from simlib.common import bounds

if TYPE_CHECKING:
    from simlib.case.case import Case
    from simlib.estimate.gate import Decision

STATUS = {"pass": 0, "fail": 1, "undecided": 3}


def check(
    workload: Workload,
    strategy: Annotated[str, typer.Option("--strategy", metavar="NAME", help="The strategy that has to keep the limit.")],
    max_clobber_rate: Annotated[float, number(bounds.GATE_LIMIT, "The limit: a share of units of work, as 0.001.")],
    confidence: Annotated[float, number(bounds.GATE_CONFIDENCE, "1 minus the probability of a wrong decision.")] = 0.95,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    most: Annotated[int, number(bounds.GATE_REPLICATES, "Replicates at which it gives up.")] = 1024,
    require_proof: Annotated[bool, typer.Option(help="Fail as well if any interleaving of small scopes clobbers.")] = False,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the decision as JUnit XML, too.")] = None,
) -> None:
    """Gate on a clobber rate: exit with 0 if it is below the limit, 1 if it is above, 3 if that could not be told."""
    model, compiled = load_inputs(workload, case, overrides, [strategy], junit)
    from simlib.estimate.gate import gate

    with announcing(), progress_bar("replicates", most) as step:
        found = gate(model, compiled, strategy, max_clobber_rate, seed=seed, confidence=confidence, most=most, progress=step)
    if require_proof and found.decision == "pass":
        found = _proved(found, compiled, strategy)
    if junit:
        _write_junit(junit, found, f"{strategy} on {model.workload}")
    if as_json:
        print_json(found.to_json())
    else:
        say(f"{found.decision}: {found.reason}")
    raise typer.Exit(STATUS[found.decision])


def _proved(found: "Decision", case: "Case", strategy: str) -> "Decision":
    """The decision, failed if an interleaving of the case's scopes clobbers."""
    from simlib.search.prove import prove

    proofs = prove(case, [strategy])
    safe = proofs.strategies[strategy].safe
    says = f"{found.reason}; {'proved: ' if safe else 'but it can clobber: '}{proofs.verdict(strategy)}"
    return replace(found, decision="pass" if safe else "fail", reason=says)


def _write_junit(path: Path, found: "Decision", name: str) -> None:
    """One test case: an undecided gate is an error, as the test did not come to an end."""
    from xml.etree import ElementTree as Xml

    from simlib.common.files import replacing

    counts = {"failures": str(int(found.decision == "fail")), "errors": str(int(found.decision == "undecided"))}
    suite = Xml.Element("testsuite", {"name": "simlib check", "tests": "1"} | counts)
    case = Xml.SubElement(suite, "testcase", {"classname": "simlib.check", "name": name})
    if found.decision == "pass":
        Xml.SubElement(case, "system-out").text = found.reason
    else:
        Xml.SubElement(case, {"fail": "failure", "undecided": "error"}[found.decision], {"message": found.reason})
    with replacing(path) as temporary:
        Xml.ElementTree(suite).write(temporary, encoding="utf-8", xml_declaration=True)
