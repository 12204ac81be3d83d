"""A counterexample as a regression case for vitest: stale entry, fresh store, request, expected entry.

The case runs as it is, with the strategy's rules as the code under test, and fails; an engineer puts the real write site in
their place. What it calls things, the section `regression_test` of the case file says.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from simlib.case.case import Case
from simlib.case.rules import Rule
from simlib.common.errors import InputError
from simlib.common.text import visible

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_UPDATED = """
// Stands for what the program makes of an old value and a request.
const updated = (old?: string | null, asked?: string | null) => (asked === undefined ? old : `${old} + ${asked}`);
"""
_OVERLAY = re.compile(r"overlay\s*\(\s*(stale|fresh)\s*,\s*request\s*\)")
_UPDATE = re.compile(r"\bupdate\s*\(")
_TEMPLATE = """\
{comment}
import {{ describe, expect, it }} from "vitest";

type Entry = Record<string, string | null | undefined>;
type Store = Record<string, Entry>;

const {key} = {store_key};
// What {site} read before it waited for the lock.
const staleEntry: Entry = {stale};
// What the store holds when the lock is granted.
const freshStore = (): Store => ({{ [{key}]: {fresh} }});
const request: Entry = {request};
// What a serial execution commits.
const expectedEntry: Entry = {expected};

// Adapt from here: use your own store and write site instead of these stand-ins.
async function {update}(store: Store, mutate: (store: Store) => void): Promise<void> {{
  mutate(store);
}}
{effective}{updated}
function patchOf(stale: Entry, fresh: Entry, request: Entry): Entry {{
  const patch: Entry = {{}};
{rules}
  return patch;
}}

describe({title}, () => {{
  it({promise}, async () => {{
    const store = freshStore();
    await {update}(store, (current) => {{
      const fresh = current[{key}];
      current[{key}] = {{ ...fresh, ...patchOf(staleEntry, fresh, request) }};
    }});
    expect(store[{key}]).toEqual(expectedEntry);
  }});
}});"""

_ASSIGNMENT = "{test}patch{member} = {value};"
_EFFECTIVE = """
// The {effective} of an entry, its gaps filled from the request.
function effective(entry: Entry, request: Entry = {{}}): Entry {{
  const stored = {conflict_entry};
  const asked = {conflict_request};
  const usable = stored == null || asked == null || stored === asked ? request : {{}};
  return {{
{values}
  }};
}}
"""


def regression_case(case: Case, told: Mapping[str, Any], comment: str) -> str:
    """The text of the TypeScript file.

    Args:
        case: the case, for the rules.
        told: the counterexample in names, as `export.tell` gives it.
        comment: lines that explain it, put at the top.

    Raises:
        InputError: the case calls a constant or a function what TypeScript cannot.
    """
    names = case.sections.regression_test
    for key, name in (("key_name", names.key_name), ("update", names.update)):
        if not _IDENTIFIER.fullmatch(name):
            raise InputError(f"case {case.name}: regression_test.{key}: '{name}'; allowed: letters, digits, _ and $")
    written = case.strategy(told["strategy"]).rules[told["site"]]
    shown = {told["field"]}.union(*(told[part] for part in ("stale", "fresh", "request", "written", "expected")))
    rules = [line for field, rule in written.items() if field in shown for line in _assignment(field, rule)]
    uses_effective = any("effective(" in line for line in rules)
    return _TEMPLATE.format(
        comment="\n".join(f"// {line}" for line in comment.split("\n")),
        key=names.key_name,
        store_key=json.dumps(names.store_key),
        update=names.update,
        site=visible(told["site"]),
        title=json.dumps(f"{told['site']} write-back"),
        promise=json.dumps(f"leaves {told['field']} as a serial execution would"),
        stale=_literal(told["stale"]),
        fresh=_literal(told["fresh"]),
        request=_literal(told["request"]),
        expected=_literal(told["expected"]),
        effective=_effective(case) if uses_effective else "",
        updated=_UPDATED if any("updated(" in line for line in rules) else "",
        rules="\n".join(f"  {line}" for line in rules),
    )


def _literal(values: Mapping[str, str | None]) -> str:
    return "{ " + ", ".join(f"{_key(key)}: {json.dumps(value)}" for key, value in values.items()) + " }" if values else "{}"


def _key(name: str) -> str:
    """The name as a key of an object literal; quoted unless it is an identifier."""
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _member(name: str) -> str:
    """The name as what follows an object."""
    return f".{name}" if _IDENTIFIER.fullmatch(name) else f"[{json.dumps(name)}]"


def _assignment(field: str, rule: Rule) -> list[str]:
    """One rule as a statement; the notation is TypeScript already, but for `*`, `overlay`, `update` and the conditions."""

    def typescript(text: str) -> str:
        named = text.replace(".*", _member(field))
        return _UPDATE.sub("updated(", _OVERLAY.sub(r"({ ...\1, ...request })", named))

    value = typescript(rule.value)
    conditions = []
    if rule.when == "requested":
        conditions.append(f"{json.dumps(field)} in request")
    elif rule.when == "defined":
        conditions.append(f"({value}) != null")
    for texts, one_holds, exists in ((rule.unless, "== null", "=== 0"), (rule.only_if, "!= null", "> 0")):
        for text in texts:
            is_entry = text.strip() in ("stale", "fresh")
            conditions.append(f"Object.keys({text}).length {exists}" if is_entry else f"{typescript(text)} {one_holds}")
    test = f"if ({' && '.join(conditions)}) " if conditions else ""
    # A request clears with null, an entry has no null.
    value = value if value.endswith("undefined") else f"{value} ?? undefined"
    return [_ASSIGNMENT.format(test=test, member=_member(field), value=value)]


def _effective(case: Case) -> str:
    context = case.context

    def either(entry: tuple[int, ...], request: tuple[int, ...], asked: str) -> str:
        names = [f"entry{_member(case.fields[column])}" for column in entry]
        return " ?? ".join([*names, *(f"{asked}{_member(case.request[column])}" for column in request)])

    return _EFFECTIVE.format(
        effective=visible(case.sections.regression_test.effective),
        conflict_entry=either(context.conflict_entry, (), "") or "undefined",
        conflict_request=either((), context.conflict_request, "request") or "undefined",
        values="\n".join(
            f"    {_key(name)}: {either(context.entry[number], context.request[number], 'usable')},"
            for number, name in enumerate(case.effective)
        ),
    )
