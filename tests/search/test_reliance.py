"""What locks and guards give a write, against cases that one can think through by hand."""

from typing import Any

import pytest

from simlib.case.case import compile_case
from simlib.case.case_file import CaseModel
from simlib.search.certificate import certify

WRONG_BUT = {
    # What the strategy says of itself -> whether a write of the whole stale entry is right under it.
    "one lock, nothing compared": ({}, False),
    "a version": ({"guards": {"save": {"compare": "version"}}}, True),
    "a version, retried": ({"guards": {"save": {"compare": "version", "attempts": 5, "pause": 0.2}}}, True),
    "a version, but written all the same": ({"guards": {"save": {"compare": "version", "used_up": "write"}}}, False),
    "bytes": ({"guards": {"save": {"compare": "bytes"}}}, True),
    "bytes in another order": ({"guards": {"save": {"compare": "reordered_bytes"}}}, True),
    "the fields it reads": ({"guards": {"save": {"compare": "read_set"}}}, True),
    "one field of two": ({"guards": {"save": {"compare": ["a"]}}}, False),
    "what others own": ({"guards": {"save": {"compare": "owner"}}}, False),
    "a lock from the snapshot on, which is read past the cache": (
        {"locks": [{"span": "transaction"}], "snapshots": {"save": "direct"}}, True,
    ),
    "a lock from the snapshot on, which a cache may show": ({"locks": [{"span": "transaction"}]}, False),
    "a lock over the flow, for one site only": (
        {"locks": [{"span": "flow", "sites": ["save"]}], "snapshots": {"save": "direct"}}, False,
    ),
    "locks that do not exclude each other": (
        {
            "locks": [{"span": "transaction", "sites": ["save"]}, {"scope": "entry", "sites": ["patch"]}],
            "snapshots": {"save": "direct"},
        },
        False,
    ),
    "a lock per entry, from the snapshot on": (
        {"locks": [{"scope": "entry", "span": "transaction"}], "snapshots": {"save": "direct"}}, True,
    ),
    "a lock per entry, where the whole file is stored": (
        {"locks": [{"scope": "entry", "span": "transaction"}], "snapshots": {"save": "direct"}, "stores": "store"}, False,
    ),
    "a lock that is gone on without": (
        {"locks": [{"span": "transaction", "timeout": 1, "late": "go_on"}], "snapshots": {"save": "direct"}}, False,
    ),
    "no lock, UPDATE ... WHERE version = v": ({"locks": [], "guards": {"save": {"compare": "version"}}}, True),
    "no lock, SELECT version and then UPDATE": (
        {"locks": [], "guards": {"save": {"compare": "version", "atomic": False}}}, False,
    ),
    "no lock, the whole entry stored where its content is as it was": (
        {"locks": [], "guards": {"save": {"compare": "bytes"}}}, False,  # it may have changed and changed back
    ),
    "no lock, fields stored where the content is as it was": (
        {"locks": [], "stores": "fields", "guards": {"save": {"compare": "bytes"}}}, True,
    ),
    "no lock, the file stored if the entry's version is as it was": (
        {"locks": [], "stores": "store", "guards": {"save": {"compare": "version"}}}, False,
    ),
    "no lock, the file stored if its version is as it was": (
        {"locks": [], "stores": "store", "guards": {"save": {"compare": "version", "scope": "store"}}}, True,
    ),
    "only the fields in the request are written, whatever happened meanwhile": (
        {"locks": [], "stores": "fields", "sites": {"save": "reference", "patch": "reference"}}, True,
    ),
    "only the fields in the request are changed, but the entry is stored whole": (
        {"locks": [], "stores": "entry", "sites": {"save": "reference", "patch": "reference"}}, False,
    ),
}  # fmt: skip
WHOLE = {"sites": {"save": {"*": "request.* ?? stale.*"}, "patch": "reference"}}


@pytest.mark.parametrize("what", WRONG_BUT)
def test_a_discipline_makes_a_whole_record_save_right_or_it_does_not(what: str) -> None:
    says, expected = WRONG_BUT[what]
    intent = {"*": "request.* ?? fresh.*"}
    model: dict[str, Any] = {
        "case": "mini", "title": "t", "baseline": "s", "fields": {"a": {"domain": "d"}, "b": {"domain": "d"}},
        "sites": {"save": {"role": "unit", "snapshot": "own"}, "patch": {"role": "write", "snapshot": "none"}},
        "reference": {"save": intent, "patch": intent}, "strategies": {"s": {"title": "t", **WHOLE, **says}},
    }  # fmt: skip
    case = compile_case(CaseModel.model_validate(model), "mini")
    assert certify(case, case.strategies["s"])["save"].certified == expected
