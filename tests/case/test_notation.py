"""The page about the notation: its examples are cases that load, and its sources and conditions are those that there are."""

import re

import pytest
import yaml
from places import ROOT

from simlib.case.case import compile_case
from simlib.case.case_file import CaseModel
from simlib.case.notation import Names
from simlib.common.errors import InputError
from simlib.common.files import validated

PAGE = (ROOT / "docs" / "case-notation.md").read_text()
NAMES = Names(fields=("X", "Y"), request=("X", "Y"), effective=("X",))
SOURCES = re.findall(r"^\| `([^`]+)` \|", PAGE[: PAGE.index("## Conditions")], re.MULTILINE)


def test_every_source_of_the_page_is_one_and_every_source_that_an_error_names_is_on_the_page() -> None:
    for text in SOURCES:
        NAMES.source(text, "X")
    with pytest.raises(InputError) as refused:
        NAMES.source("wrong", "X")
    named = str(refused.value).split("allowed: ")[1]
    kinds = {source.split("(")[0].split(".")[0] for source in re.split(r", (?=\w+[.(]|undefined)", named)}
    assert kinds == {source.split("(")[0].split(".")[0] for source in SOURCES}


@pytest.mark.parametrize("example", [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)])
def test_every_example_of_the_page_loads(example: dict[str, dict[str, object]]) -> None:
    fields = {"user": {"domain": "d"}, "expires": {"domain": "d"}}
    data = {
        "case": "page", "title": "", "baseline": next(iter(example["strategies"])), "fields": fields,
        "sites": {site: {"role": "write", "snapshot": "own"} for site in example["reference"]},
    }  # fmt: skip
    case = compile_case(validated(CaseModel, data | example, "page"), "page")
    assert len(case.strategies) == len(example["strategies"])
