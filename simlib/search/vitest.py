"""A counterexample as a regression case for vitest: stale entry, fresh store, request, expected entry.

The case runs as it is, with the strategy's rules as the code under test, and fails; an engineer puts the real write site in
their place. What it calls things, the section `regression_test` of the case file says.
"""

import json
from collections.abc import Mapping
from typing import Any

from simlib.case.case import Case
from simlib.case.rules import Rule

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
{effective}
function patchOf(stale: Entry, fresh: Entry, request: Entry): Entry {{
  const patch: Entry = {{}};
{rules}
  return patch;
}}

describe("{site} write-back", () => {{
  it("leaves {field} as a serial execution would", async () => {{
    const store = freshStore();
    await {update}(store, (current) => {{
      const fresh = current[{key}];
      current[{key}] = {{ ...fresh, ...patchOf(staleEntry, fresh, request) }};
    }});
    expect(store[{key}]).toEqual(expectedEntry);
  }});
}});"""

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
    """
    names = case.sections.regression_test
    written = case.strategy(told["strategy"]).rules[told["site"]]
    shown = {told["field"]}.union(*(told[part] for part in ("stale", "fresh", "request", "written", "expected")))
    rules = [line for field, rule in written.items() if field in shown for line in _assignment(field, rule)]
    uses_effective = any("effective(" in line for line in rules)
    return _TEMPLATE.format(
        comment="\n".join(f"// {line}" for line in comment.splitlines()),
        key=names.key_name,
        store_key=json.dumps(names.store_key),
        update=names.update,
        site=told["site"],
        field=told["field"],
        stale=_literal(told["stale"]),
        fresh=_literal(told["fresh"]),
        request=_literal(told["request"]),
        expected=_literal(told["expected"]),
        effective=_effective(case) if uses_effective else "",
        rules="\n".join(f"  {line}" for line in rules),
    )


def _literal(values: Mapping[str, str | None]) -> str:
    return "{ " + ", ".join(f"{key}: {json.dumps(value)}" for key, value in values.items()) + " }" if values else "{}"


def _assignment(field: str, rule: Rule) -> list[str]:
    """One rule as a statement; the notation is TypeScript already, but for `*` and the conditions."""
    value = rule.value.replace(".*", f".{field}")
    conditions = []
    if rule.when == "requested":
        conditions.append(f'"{field}" in request')
    elif rule.when == "defined":
        conditions.append(f"({value}) != null")
    if rule.unless:
        conditions.append(f"{rule.unless.replace('.*', f'.{field}')} == null")
    test = f"if ({' && '.join(conditions)}) " if conditions else ""
    # A request clears with null, an entry has no null.
    value = value if value.endswith("undefined") else f"{value} ?? undefined"
    return [f"{test}patch.{field} = {value};"]


def _effective(case: Case) -> str:
    context = case.context

    def either(entry: tuple[int, ...], request: tuple[int, ...], asked: str) -> str:
        names = [f"entry.{case.fields[column]}" for column in entry]
        return " ?? ".join([*names, *(f"{asked}.{case.request[column]}" for column in request)])

    return _EFFECTIVE.format(
        effective=case.sections.regression_test.effective,
        conflict_entry=either(context.conflict_entry, (), "") or "undefined",
        conflict_request=either((), context.conflict_request, "request") or "undefined",
        values="\n".join(
            f"    {name}: {either(context.entry[number], context.request[number], 'usable')},"
            for number, name in enumerate(case.effective)
        ),
    )
