"""The pages of documentation: their commands run, their links lead somewhere, the site loads nothing from elsewhere."""

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from documents import TAKE_LONG, blocks, call, commands
from places import ROOT

import simlib
from simlib import load_case, load_workload, run
from simlib.case.skeleton import NAME, SKELETON
from simlib.estimate.wording import percent, span
from simlib.search.prove import prove

DOCS = ROOT / "docs"
PAGES = {page.stem: page for page in sorted(DOCS.glob("*.md"))}
TOLD = [page for page in PAGES if page != "commands" and commands(PAGES[page])]
"""Pages whose commands are steps of one way; those of `commands` stand each for itself, in test_docs."""
LINKED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES.values()]


def walk(page: str, folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    for trace in blocks(PAGES[page].read_text(), "csv"):
        (folder / "trace.csv").write_text(trace)
    for command in commands(PAGES[page]):
        if command.split()[1] not in leave_out:
            done = call(command, folder)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert done.stdout, command


def test_the_way_from_a_handler_to_a_gate_can_be_walked_in_a_fresh_folder(tmp_path):
    walk("own-case", tmp_path, TAKE_LONG)


@pytest.mark.slow
@pytest.mark.parametrize("page", TOLD)
def test_the_commands_of_a_page_work_in_their_order(page, tmp_path):
    walk(page, tmp_path)


def test_the_strategies_shown_for_ones_own_case_do_what_is_said_of_them(tmp_path):
    """Put into the skeleton as they stand: the store that sets single fields ends it, the handler's cure its own part."""
    shown = "".join(blocks(PAGES["own-case"].read_text(), "yaml"))
    case = tmp_path / "mine.yaml"
    skeleton = (SKELETON / f"{NAME}.yaml").read_text()
    case.write_text(skeleton.replace("\nstrategies:\n", f"\nstrategies:\n{shown}", 1))
    names = ["read-again", "set-fields", "replica", "tabs"]
    assert names == re.findall(r"^  ([\w-]+):$", shown, re.M)
    certificates = prove(load_case(str(case)), names).certificates
    certified = {name: {site for site, found in sites.items() if found.certified} for name, sites in certificates.items()}
    assert certified == {"read-again": {"save"}, "set-fields": {"save", "job"}, "replica": set(), "tabs": set()}
    settings = ["store.gateways=3", "times.save.lag=0.5"]
    workload = load_workload(str(SKELETON / f"{NAME}-traffic.yaml"), settings)
    rates = run(workload, load_case(str(case)), [*names, "save-whole"], replicates=6).clobber_rate
    assert rates("set-fields").estimate == 0
    assert rates("read-again").estimate < rates("save-whole").estimate < rates("replica").estimate < rates("tabs").estimate


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in a link."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.stem)
def test_links_between_files_lead_to_a_file_and_a_heading_that_are_there(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.stem)
def test_files_that_a_page_names_are_there(page):
    for name in re.findall(r"`((?:data|docs|simlib|tests|notebooks)/[\w./-]+\.\w+)`", page.read_text()):
        assert "/ROOM/" in name or (ROOT / name).exists(), name


class Loads(HTMLParser):
    """What a browser would fetch for a page, by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(values.get("href") or "")
        self.fetched.append(values.get("src") or "")


def test_the_reference_has_every_public_name_and_its_example_runs():
    text = PAGES["api"].read_text()
    named = set(re.findall(r"^::: simlib\.[\w.]+\.(\w+)$", text, re.M))
    assert named == {*simlib.__all__, "Result"}
    for example in blocks(text, "py"):
        subprocess.run([sys.executable, "-c", example], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra `docs`")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.glob("*.html"))
    assert {page.stem for page in pages} == {*PAGES, "404"}
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert not [place for place in loads.fetched if "//" in place], page.name
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name
    assert "load_workload" in (tmp_path / "api.html").read_text(encoding="utf-8")


def test_the_citation_names_the_version_and_the_license_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{citation["version"]}"\n' in project
    assert f'\nlicense = "{citation["license"]}"\n' in project
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


EXAMPLE = ROOT / "reports" / "example.html"


@pytest.mark.slow
def test_the_example_has_the_numbers_that_the_code_gives_today():
    """Against a run with the options of `make example`; if this fails after a change that is meant, `make example` again."""
    (command,) = re.findall(r"simlib report (.+) --out reports/example\.html$", (ROOT / "Makefile").read_text(), re.M)
    words = command.split()
    assert words[1] == "--replicates"
    workload = load_workload(words[0])
    result = run(workload, load_case(workload.case), replicates=int(words[2]))
    page = html.unescape(re.sub(r"<[^>]+>", " ", EXAMPLE.read_text(encoding="utf-8")))
    for strategy in result.strategies:
        rate = result.clobber_rate(strategy)
        low, high = rate.interval() or (0.0, 0.0)
        assert (percent(rate.estimate) if rate.estimate else percent(high)) in page, strategy
        assert not rate.estimate or span(low, high) in page, strategy
