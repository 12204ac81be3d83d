"""`simlib check`."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlib.cli.compiling import announcing
from simlib.cli.inputs import load_inputs
from simlib.cli.options import CaseName, Json, Overrides, Seed, Workload, number
from simlib.cli.output import forewarn, print_json, progress_bar, say
from simlib.common import bounds
from simlib.common.errors import InputError, shown

if TYPE_CHECKING:
    from simlib.case.case import Case
    from simlib.estimate.gate import Decision

STATUS = {"pass": 0, "fail": 1, "undecided": 3}


def check(
    workload: Workload,
    strategy: Annotated[str, typer.Option("--strategy", metavar="NAME", help="The strategy that has to keep the limit.")],
    max_clobber_rate: Annotated[float | None, number(bounds.GATE_LIMIT, "A limit: a share of units of work, as 0.001.")] = None,
    max_lost_write_rate: Annotated[float | None, number(bounds.GATE_LIMIT, "A limit: a share of outside writes.")] = None,
    max_failed_rate: Annotated[
        float | None, number(bounds.GATE_LIMIT, "A limit: a share of units of work that fail loudly.")
    ] = None,
    max_noticed: Annotated[
        list[str], typer.Option(metavar="NAME=RATE", help="A limit of what a person notices, as the case names it.")
    ] = [],  # noqa: B006 - typer copies it
    confidence: Annotated[float, number(bounds.GATE_CONFIDENCE, "1 minus the probability of a wrong decision.")] = 0.95,
    case: CaseName = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    seed: Seed = 1,
    most: Annotated[int, number(bounds.GATE_REPLICATES, "Replicates at which it gives up.")] = 1024,
    require_proof: Annotated[bool, typer.Option(help="Fail as well unless it is proved that it cannot clobber.")] = False,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the decision as JUnit XML, too.")] = None,
) -> None:
    """Gate on rates: exit with 0 if all are below their limits, 1 if one is above, 3 if that could not be told."""
    rates = {"clobber_rate": max_clobber_rate, "lost_write_rate": max_lost_write_rate, "failed_rate": max_failed_rate}
    asked = rates | _noticed(max_noticed)
    limits = {outcome: limit for outcome, limit in asked.items() if limit is not None}
    model, compiled = load_inputs(workload, case, overrides, [strategy], junit)
    from simlib.estimate.gate import FIRST, gate
    from simlib.estimate.size import expected_size

    names = [strategy, compiled.baseline]
    forewarn(*(expected_size(model, compiled, names, count, "compiled").seconds for count in (min(FIRST, most), most)))

    with announcing(), progress_bar("replicates", most) as step:
        found = gate(model, compiled, strategy, limits, seed=seed, confidence=confidence, most=most, progress=step)
    if require_proof and found.decision == "pass":
        found = _proved(found, compiled, strategy)
    if junit:
        _write_junit(junit, found, f"{strategy} on {model.workload}")
    if as_json:
        print_json(found.to_json())
    else:
        say(f"{found.decision}: {found.reason}")
    raise typer.Exit(STATUS[found.decision])


def _noticed(given: list[str]) -> dict[str, float | None]:
    """Outcome -> its limit, from `NAME=RATE`.

    Raises:
        InputError: it is not so, or a name stands twice.
    """
    limits: dict[str, float | None] = {}
    for each in given:
        name, _, rate = each.rpartition("=")
        outcome = f"noticed.{name}"
        try:
            limit = float(rate)
        except ValueError:
            limit = math.nan
        if not name or math.isnan(limit):
            raise InputError(f"--max-noticed: {shown(each)} is no limit; allowed: NAME=RATE, as wrong_model=0.01")
        if outcome in limits:
            raise InputError(f"--max-noticed: {shown(name)} stands twice; give one limit")
        limits[outcome] = limit
    return limits


def _proved(found: "Decision", case: "Case", strategy: str) -> "Decision":
    """The decision, failed unless it is shown that no interleaving of the case's scopes clobbers."""
    from simlib.search.prove import prove

    proofs = prove(case, [strategy])
    safe = proofs.safe(strategy)
    known = (
        "proved" if safe else "but it can clobber" if proofs.strategies[strategy].counterexamples else "but it is not proved"
    )
    says = f"{found.reason}; {known}: {proofs.verdict(strategy)}"
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
