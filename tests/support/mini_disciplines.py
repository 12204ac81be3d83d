"""A whole-record save beside patches, under locks and guards that one can think through by hand."""

from typing import Any

from simlib.case.case import Case, compile_case
from simlib.case.case_file import CaseModel

WRONG, RIGHT, BROKEN, UNSHOWN = "wrong", "right", "broken", "unshown"
"""A save can clobber; it cannot; it can because its entry may be old at the commit; the same, but it
takes a second entry, or a change and a change back, and so no schedule is shown."""
DISCIPLINES: dict[str, tuple[dict[str, Any], str]] = {
    # What the strategy says of itself -> what becomes of a save of the whole stale entry.
    "one lock, nothing compared": ({}, WRONG),
    "a version": ({"guards": {"save": {"compare": "version"}}}, RIGHT),
    "a version, retried": ({"guards": {"save": {"compare": "version", "attempts": 5, "pause": 0.2}}}, RIGHT),
    "a version, but written all the same": ({"guards": {"save": {"compare": "version", "used_up": "write"}}}, WRONG),
    "bytes": ({"guards": {"save": {"compare": "bytes"}}}, RIGHT),
    "bytes in another order": ({"guards": {"save": {"compare": "reordered_bytes"}}}, RIGHT),
    "the fields it reads": ({"guards": {"save": {"compare": "read_set"}}}, RIGHT),
    "one field of two": ({"guards": {"save": {"compare": ["a"]}}}, WRONG),
    "what others own": ({"guards": {"save": {"compare": "owner"}}}, WRONG),
    "a lock from the snapshot on, which is read past the cache": (
        {"locks": [{"span": "transaction"}], "snapshots": {"save": "direct"}}, RIGHT,
    ),
    "a lock from the snapshot on, which a cache may show": ({"locks": [{"span": "transaction"}]}, WRONG),
    "a lock over the flow, for one site only": (
        {"locks": [{"span": "flow", "sites": ["save"]}], "snapshots": {"save": "direct"}}, BROKEN,
    ),
    "locks that do not exclude each other": (
        {
            "locks": [{"span": "transaction", "sites": ["save"]}, {"scope": "entry", "sites": ["patch"]}],
            "snapshots": {"save": "direct"},
        },
        BROKEN,
    ),
    "a lock per entry, from the snapshot on": (
        {"locks": [{"scope": "entry", "span": "transaction"}], "snapshots": {"save": "direct"}}, RIGHT,
    ),
    "a lock per entry, where the whole file is stored": (
        {"locks": [{"scope": "entry", "span": "transaction"}], "snapshots": {"save": "direct"}, "stores": "store"}, UNSHOWN,
    ),
    "a lock that is gone on without": (
        {"locks": [{"span": "transaction", "timeout": 1, "late": "go_on"}], "snapshots": {"save": "direct"}}, BROKEN,
    ),
    "no lock, UPDATE ... WHERE version = v": ({"locks": [], "guards": {"save": {"compare": "version"}}}, RIGHT),
    "no lock, SELECT version and then UPDATE": (
        {"locks": [], "guards": {"save": {"compare": "version", "atomic": False}}}, BROKEN,
    ),
    "no lock, the whole entry stored where its content is as it was": (
        {"locks": [], "guards": {"save": {"compare": "bytes"}}}, UNSHOWN,  # it may have changed and changed back
    ),
    "no lock, fields stored where the content is as it was": (
        {"locks": [], "stores": "fields", "guards": {"save": {"compare": "bytes"}}}, RIGHT,
    ),
    "no lock, the file stored if the entry's version is as it was": (
        {"locks": [], "stores": "store", "guards": {"save": {"compare": "version"}}}, UNSHOWN,
    ),
    "no lock, the file stored if its version is as it was": (
        {"locks": [], "stores": "store", "guards": {"save": {"compare": "version", "scope": "store"}}}, RIGHT,
    ),
    "only the fields in the request are written, whatever happened meanwhile": (
        {"locks": [], "stores": "fields", "sites": {"save": "reference", "patch": "reference"}}, RIGHT,
    ),
    "only the fields in the request are changed, but the entry is stored whole": (
        {"locks": [], "stores": "entry", "sites": {"save": "reference", "patch": "reference"}}, BROKEN,
    ),
}  # fmt: skip
WHOLE = {"sites": {"save": {"*": "request.* ?? stale.*"}, "patch": "reference"}}


def mini(what: str) -> Case:
    """The case with one strategy, `s`, whose discipline is that of DISCIPLINES."""
    intent = {"*": "request.* ?? fresh.*"}
    model: dict[str, Any] = {
        "case": "mini", "title": "t", "baseline": "s", "fields": {"a": {"domain": "d"}, "b": {"domain": "d"}},
        "sites": {"save": {"role": "unit", "snapshot": "own"}, "patch": {"role": "write", "snapshot": "none"}},
        "reference": {"save": intent, "patch": intent},
        "strategies": {"s": {"title": "t", **WHOLE, **DISCIPLINES[what][0]}},
        "flows": {"save": ["save"], "patch": ["patch"]}, "scopes": {"save+patch": ["save", "patch"]},
    }  # fmt: skip
    return compile_case(CaseModel.model_validate(model), "mini")
