"""The engine knows no program: the names of the shipped case stand in its file, and nowhere in the package."""

import ast
import re
from pathlib import Path

import pytest

import simlib
from simlib.case.case import load_case
from simlib.common.shipped import shipped_names

PACKAGE = Path(simlib.__file__).parent
CASES = [load_case(name) for name in shipped_names("cases") if not name.startswith("atlas-")]
"""Those of the atlas call things by English words."""
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").is_file())

TELLING = {"handler", "inbound", "turn", "agent", "agents", "upstream", "Upstream", "OpenClaw", *(case.name for case in CASES)}
"""Plain words, of the case or of who wrote the program, that mean this program wherever they stand."""


def names_of(case):
    """Every name that the program gave: sites, fields, request keys, flows, and what its logs and races call things."""
    sections = case.sections
    found = {*case.sites, *case.fields, *case.request, *case.effective, *case.flows}
    if sections.recordings:
        found |= set(sections.recordings.kinds)
    if sections.log:
        found |= {sections.log.unit.method, sections.log.outside.method, sections.log.unit.failed}
    if sections.races:
        races = sections.races
        found |= {*races.lost.values(), *races.builds, races.unit.sent, races.outside.sent, races.outside.ok}
    names = sections.regression_test
    default = type(names)()
    return found | {value for key, value in names if value != getattr(default, key) and " " not in value}


NAMES = set().union(*map(names_of, CASES))
NOWHERE = sorted({name for name in NAMES if re.search(r"[a-z][A-Z]|[_.:]", name)} | TELLING)
"""Names that mean the program wherever they stand: in code, comments or docstrings."""
PLAIN = sorted(NAMES - set(NOWHERE))
"""Names that are English words, or a library's: they must not be what a literal is, or a key of a rule."""

EXCEPTIONS = {
    ("common/shipped.py", "openclaw-70575"): "the case that commands are about unless they are told otherwise",
    ("case/case_file.py", "turn"): "the older spelling of the role `unit` in case files, which is still read",
    ("case/discipline.py", "patch"): "what an attempt at a transaction repeats: all of it, or the patch alone",
    ("common/workers.py", "spawn"): "how multiprocessing starts a process",
    ("sweep/sweep_file.py", "to"): "English: the other end of a range",
}


def files_of(room):
    """The modules of a room, or the top of the package, with their paths from there."""
    paths = PACKAGE.glob("*.py") if room == "." else (PACKAGE / room).rglob("*.py")
    return [(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(paths)]


def literals(text):
    """(line, text) of every string in the code, and of the pieces between the placeholders of one."""
    return [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def told(found):
    """What was found and is no exception, as place:line: name."""
    return [f"{place}:{line}: {name}" for place, line, name in found if (place, name) not in EXCEPTIONS]


@pytest.mark.parametrize("room", [".", *ROOMS])
def test_no_telling_name_of_the_case_stands_in_code_comments_or_docstrings(room):
    pattern = re.compile(rf"(?<![\w.-])({'|'.join(re.escape(name) for name in NOWHERE)})(?![\w-])")
    found = [
        (place, number, match[1])
        for place, text in files_of(room)
        for number, line in enumerate(text.splitlines(), start=1)
        for match in pattern.finditer(line)
    ]
    assert told(found) == []


@pytest.mark.parametrize("room", [".", *ROOMS])
def test_no_plain_name_of_the_case_is_a_literal_or_a_key_of_a_rule(room):
    keyed = re.compile(rf"\b(?:stale|fresh|request|entry)\.({'|'.join(map(re.escape, PLAIN))})\b")
    found = [
        (place, line, name)
        for place, text in files_of(room)
        for line, value in literals(text)
        for name in ([value] if value in PLAIN else []) + [match[1] for match in keyed.finditer(value)]
    ]
    assert told(found) == []


@pytest.mark.parametrize(("place", "name"), EXCEPTIONS)
def test_every_exception_is_still_needed(place, name):
    assert re.search(rf"\b{name}\b", (PACKAGE / place).read_text(encoding="utf-8"))


def test_the_names_that_are_looked_for_are_those_of_the_case():
    named = {
        "lastChannel",
        "run_start",
        "thinkingLevel",
        "accountId",
        "sessions.patch",
        "agent:main:main",
        "updateSessionStore",
    }
    assert named <= set(NOWHERE)
    assert {"label", "space", "channel", "patch", "to", "spawn"} <= set(PLAIN)
