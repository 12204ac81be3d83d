"""A counterexample for people and programs: as text, JSON, a Mermaid diagram, or a regression case for vitest."""

import json
import re
from collections.abc import Mapping
from typing import Any

from simlib.case.case import Case
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import InputError, allowed
from simlib.common.text import visible
from simlib.model.history import Values
from simlib.search.counterexample import Counterexample, judge, last_moment
from simlib.search.vitest import regression_case

Named = dict[str, str | None]
"""Field or request key -> what a person calls the value; None for a key that is cleared."""


def show(case: Case, counterexample: Counterexample, form: str) -> str:
    """The counterexample as text in one of the FORMS (`text`, `json`, `mermaid`, `vitest`), with a newline at its end.

    Raises:
        InputError: the form is not known.
        RunError: replay does not confirm the counterexample.
    """
    if form not in FORMS:
        raise InputError(f"--as {form}: not known; {allowed(list(FORMS))}")
    return str(FORMS[form](case, tell(case, counterexample))) + "\n"


def tell(case: Case, counterexample: Counterexample) -> dict[str, Any]:
    """The counterexample in names, as `--as json` prints it.

    `steps` are numbered by position; a step has its flow (its name and its number by arrival), site and action; a read and a
    commit say which commit their snapshot `shows` (the number of its step; 0: the initial entry) and the `snapshot` itself;
    a commit also has the request, and the entry that it leaves behind, and if it is merged over an entry that is no longer the
    newest, the step after which that was read (`over`). `stale`, `fresh`, `request`, `written` and `expected` are those of the
    last commit. Only defined fields are listed.

    Raises:
        RunError: replay does not confirm the counterexample.
    """
    one = counterexample
    outcomes, _ = judge(case, one)
    moment, values = last_moment(case, outcomes), outcomes.history.values

    def entry(codes: Codes) -> Named:
        return _named(case, values, dict(zip(case.fields, codes.tolist(), strict=True)), least=UNDEFINED + 1)

    arrival = list(dict.fromkeys(step.flow for step in one.steps))
    commits, entries = [0], [entry(outcomes.history.initial[0])]
    steps: list[dict[str, Any]] = []
    for number, step in enumerate(one.steps, start=1):
        told: dict[str, Any] = {
            "flow": f"{one.scope.flows[step.flow][0]} {arrival.index(step.flow) + 1}",
            "site": step.site,
            "action": "commit" if step.commits else "read",
            "shows": commits[step.shows + 1],
            "snapshot": entries[step.shows + 1],
        }
        if step.commits:
            entries.append(entry(outcomes.entries[len(commits) - 1]))
            commits.append(number)
            if step.over is not None:
                told["over"] = commits[step.over + 1]
            told |= {"request": _named(case, values, step.request, least=UNDEFINED), "entry": entries[-1]}
        steps.append(told)
    request = dict(zip(case.request, moment.request.tolist(), strict=True))
    return {
        **{name: getattr(one, name) for name in ("strategy", "site", "field", "kind", "racing")},
        "scope": one.scope.name,
        "initial": entries[0],
        "steps": steps,
        "stale": entry(moment.stale),
        "fresh": entry(moment.fresh),
        "request": _named(case, values, request, least=ABSENT + 1),
        "written": entry(moment.written),
        "expected": entry(moment.expected),
    }


def _named(case: Case, values: Values, codes: Mapping[str, int], least: int) -> Named:
    """The names of the values whose code is at least `least`."""
    return {
        key: values.name(case.domains[key], code) if code > UNDEFINED else None for key, code in codes.items() if code >= least
    }


def _list(values: Named, nothing: str = "nothing") -> str:
    return ", ".join(f"{key} = {value or 'undefined'}" for key, value in values.items()) or nothing


def _title(told: Mapping[str, Any]) -> str:
    race = "race" if told["racing"] else "no race needed"
    return (
        f"{told['strategy']}: {told['field']} {told['kind']} at {told['site']} ({race}), "
        f"{len(told['steps'])} steps in scope {told['scope']}"
    )


def _verdict(told: Mapping[str, Any], mark: str = ";") -> str:
    field = told["field"]
    return (
        f"{told['kind']}: {field} is {told['written'].get(field, 'undefined')}{mark} "
        f"a serial execution leaves {told['expected'].get(field, 'undefined')}"
    )


def as_text(case: Case, told: Mapping[str, Any]) -> str:
    """A numbered list of steps."""
    lines = [_title(told), f"  0. the entry has {_list(told['initial'])}"]
    for number, step in enumerate(told["steps"], start=1):
        who = f"  {number}. {step['flow']}: {step['site']}"
        if step["action"] == "read":
            lines.append(f"{who} reads {_list(step['snapshot'])}{_age(told, number)}")
        else:
            asks = f"asks for {_list(step['request'])}{_age(told, number)}"
            lines.append(f"{who} {asks}, commits{_over(step)}; the entry has {_list(step['entry'])}")
    return "\n".join(map(visible, [*lines, f"  {_verdict(told)}"]))


def _age(told: Mapping[str, Any], number: int) -> str:
    """A remark on a snapshot from the cache that was out of date when it was read."""
    step = told["steps"][number - 1]
    newest = max(
        (at for at, other in enumerate(told["steps"][: number - 1], start=1) if other["action"] == "commit"), default=0
    )
    read_before = any((other["flow"], other["action"]) == (step["flow"], "read") for other in told["steps"][: number - 1])
    if step["shows"] == newest or (step["action"] == "commit" and read_before):
        return ""
    return f" (from the cache, as after step {step['shows']})"


def _over(step: Mapping[str, Any]) -> str:
    """A remark on a commit that is merged over an entry which is no longer the newest."""
    return f" over the entry as after step {step['over']}" if "over" in step else ""


def as_json(case: Case, told: Mapping[str, Any]) -> str:
    """What `tell` returns, indented."""
    return json.dumps(told, indent=2)


def as_mermaid(case: Case, told: Mapping[str, Any]) -> str:
    """A `sequenceDiagram` to paste into a pull request."""
    flows = list(dict.fromkeys(step["flow"] for step in told["steps"]))
    lanes = [(f"F{number}", flow) for number, flow in enumerate(flows)]
    lanes.insert(1, ("S", "store"))
    lines = [f"participant {lane} as {name}" for lane, name in lanes]
    lines.append(f"Note over S: {_list(told['initial'], 'empty entry')}")
    for number, step in enumerate(told["steps"], start=1):
        lane = f"F{flows.index(step['flow'])}"
        if step["action"] == "read":
            lines.append(f"{lane}->>S: {step['site']} reads{_age(told, number)}")
            lines.append(f"S-->>{lane}: {_list(step['snapshot'])}")
        else:
            asked = f"asked for {_list(step['request'])}{_age(told, number)}"
            lines.append(f"{lane}->>S: {step['site']} commits{_over(step)}, {asked}")
            lines.append(f"Note over S: {_list(step['entry'], 'empty entry')}")
    lines.append(f"Note over S: {_verdict(told, mark=',')}")
    return "\n".join(["sequenceDiagram", *(f"    {_as_entities(visible(line))}" for line in lines)])


def _as_entities(line: str) -> str:
    """Each sign with a meaning in Mermaid (a semicolon ends a statement), HTML or a formula as the number of its character."""
    return re.sub(r"[;#<&\"$%`|\\{}]", lambda sign: f"#{ord(sign[0])};", line)


def as_vitest(case: Case, told: Mapping[str, Any]) -> str:
    """A regression case in TypeScript."""
    return regression_case(case, told, as_text(case, told))


FORMS = {"text": as_text, "json": as_json, "mermaid": as_mermaid, "vitest": as_vitest}
"""Form -> how it is made from a case and what `tell` says."""
