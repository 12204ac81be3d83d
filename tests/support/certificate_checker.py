"""An independent checker of certificates: `python certificate_checker.py CASE.yaml CERTIFICATES.json`.

Plain Python with its own reading of a case file; it shares no code with what it checks, and takes a certificate's word for
nothing: it derives anew what locks and guards give, and tries every case by its own rules. It does not know every notation (no
`overlay`, `update`, `only_if`), and only locks that all sites take; else it says no.
"""

import json
import re
import sys
from itertools import product
from pathlib import Path

import yaml

ABSENT, NOTHING = "absent", (None, "absent")
CONTEXT = re.compile(r"effective\((\w+)(?:, *(request))?\)\.(\w+)")


def rule_of(table, field):
    """The rule of a field (None: there is none); `*` in it is the field's name."""
    named = {name.strip(): rule for key, rule in table.items() for name in key.split(",")}
    rule = named.get(field, named.get("*"))
    rule = {"value": rule} if isinstance(rule, str) else rule
    return rule and {key: re.sub(r"\.\s*\*", "." + field, text) for key, text in rule.items()}


def parts(text):
    return [one.strip() for one in text.split("??") if one.strip()]


def mentions(case, rule):
    """The plain sources that a rule looks at, those of the delivery context written out."""
    for source in parts((rule or {}).get("value", "")) + parts((rule or {}).get("unless", "")):
        if not (found := CONTEXT.fullmatch(source)):
            yield source
            continue
        effective = case["effective"]
        sources = parts(effective["values"][found[3]])
        sources += parts(effective["conflict"]["entry"]) + parts(effective["conflict"]["request"]) if found[2] else []
        yield from (one.replace("entry.", found[1] + ".") for one in sources if found[2] or one.startswith("entry."))


def first(values):
    return next((value for value in values if value not in NOTHING), None)


def look(case, source, world):
    if not (found := CONTEXT.fullmatch(source)):
        return world.get(source)

    def of(sources):
        return first(world.get(one.replace("entry.", found[1] + ".")) for one in sources)

    effective = case["effective"]
    ours, theirs = of(parts(effective["conflict"]["entry"])), of(parts(effective["conflict"]["request"]))
    asks = found[2] and (ours is None or theirs is None or ours == theirs)
    return of(one for one in parts(effective["values"][found[3]]) if asks or one.startswith("entry."))


def left(case, field, rule, world):
    """What a commit leaves in the field."""
    before = world["fresh." + field]
    if rule is None or (rule.get("when") == "requested" and world[parts(rule["value"])[0]] == ABSENT):
        return before
    if "unless" in rule and look(case, rule["unless"], world) not in NOTHING:
        return before
    value = first(look(case, source, world) for source in parts(rule["value"]))
    return before if value is None and rule.get("when") == "defined" else value


WHOLE = ("version", "reordered_bytes")


def same_fields(case, strategy, site):
    """The fields in which snapshot and store agree at each commit, and those that the write leaves as they are.

    None where the entry that is merged over may not be the newest.
    """
    guard = strategy.get("guards", {}).get(site, {})
    locks, stores = strategy.get("locks", [{}]), strategy.get("stores", "entry")
    fit = ("store",) if stores == "store" else ("store", "entry")
    sound = [one for one in locks if one.get("scope", "store") in fit and one.get("late", "fail") == "fail"]
    alone = any(not one.get("sites") for one in sound)
    compares = guard.get("compare", []) if guard.get("used_up") != "write" else []
    if not alone:
        compares = compares if guard.get("atomic", True) and not locks else []
        if stores != "fields" and not (compares in WHOLE and (stores == "entry" or guard.get("scope") == "store")):
            return None
    snapshot = strategy.get("snapshots", {}).get(site, case["sites"][site]["snapshot"])
    wide = snapshot == "direct" and any(not one.get("sites") and one.get("span", "merge") != "merge" for one in sound)
    if compares in WHOLE or wide or (snapshot == "none" and alone):
        return set(case["fields"]), set()
    if compares == "owner":
        serial = case["reference"].get(site, {})
        return set(), {field for field in case["fields"] if not rule_of(serial, field)}
    table = strategy["sites"][site] if isinstance(strategy["sites"][site], dict) else case["reference"].get(site, {})
    rules = {field: rule for field in case["fields"] if (rule := rule_of(table, field))}
    read = {one[6:] for rule in rules.values() for one in mentions(case, rule) if one.startswith("stale.")}
    words = {"bytes": case["fields"], "read_set": read, "write_set": rules}
    return set(compares if isinstance(compares, list) else words.get(compares, ())), set()


def check_site(case, strategy, site, values):
    """How many cases there are if the site is right in all of them; None: it is not."""
    given = same_fields(case, strategy, site)
    if given is None:
        return None
    same, kept = given
    serial = case["reference"].get(site, {})
    ours = serial if strategy["sites"][site] == "reference" else strategy["sites"][site]
    total = 0
    for field in case["fields"]:
        rule, right = rule_of(ours, field), rule_of(serial, field)
        looked_at = {one for one in [*mentions(case, rule), *mentions(case, right)] if one != "undefined"}
        looked_at |= {re.sub("^stale", "fresh", one) for one in looked_at} | {"fresh." + field}
        free = sorted(one for one in looked_at if not (one.startswith("stale.") and one[6:] in same))
        choices = [[*NOTHING[: 2 if one.startswith("request.") else 1], *range(values)] for one in free]
        for combination in product(*choices):
            world = dict(zip(free, combination, strict=True))
            world |= {"stale." + one: world["fresh." + one] for one in same if "fresh." + one in world}
            leaves = left(case, field, rule, world)
            if field in kept and leaves != world["fresh." + field]:
                continue
            if leaves != left(case, field, right, world):
                return None
            total += 1
    return total


def check(case, certificates):
    """The (strategy, site) of every certificate that is not to be believed."""
    return [
        (name, site)
        for name, sites in certificates["strategies"].items()
        for site, one in sites.items()
        if one["certified"] and check_site(case, case["strategies"][name], site, certificates["values"]) != one["cases"]
    ]


if __name__ == "__main__":
    refused = check(yaml.safe_load(Path(sys.argv[1]).read_text()), json.loads(Path(sys.argv[2]).read_text()))
    sys.exit(f"not to be believed: {refused}" if refused else 0)
