"""The fix-impact page, made with few replicates: its order, its honesty, and that it needs nothing but itself."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from places import ROOT

from simlib.common.errors import InputError
from simlib.estimate.wording import rate_text
from simlib.report import fix_impact as impact
from simlib.report.figure import Figure
from simlib.report.html import Html
from simlib.report.impact_method import ASSUMPTIONS
from simlib.report.notebook import find_notebook, make_report
from simlib.report.page import sheet

HEADINGS = [
    "What it rests on",
    "In words",
    "What would change it",
    "What it costs",
    "By how much",
    "How often",
    "The strategies",
    "Which fields, and how",
    "Which write site does it",
    "One of them, step by step",
    "What a real store's timeline says",
    "The inputs",
    "The rules",
    "How it was computed",
]


class Page(HTMLParser):
    """Tags with their attributes, headings, and all text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        self._open.append(tag)
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" in self._open:
            return
        self.text += data
        if "h2" in self._open:
            self.headings[-1] += data.replace("¶", "")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "page.html"
    parameters = {"workload": "busy-team", "replicates": 4, "overrides": ["duration=200"]}
    make_report(find_notebook("fix_impact"), parameters, path, "simlib: fix impact, busy-team")
    return path


@pytest.fixture(scope="module")
def page(made):
    return Page(made.read_text())


@pytest.fixture(scope="module")
def study():
    recording = "store-2026.4.22-two-processes"
    return impact.study("busy-team", replicates=3, overrides=["duration=200"], recording=recording)


def test_the_sections_come_in_their_order(page):
    assert page.headings == HEADINGS


def test_the_page_is_one_file_under_a_megabyte_that_asks_for_nothing(made, page):
    assert made.stat().st_size < 1_000_000
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "base", "form")]
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "data:")[:5] in ("data:",) or attributes[name][0] == "#", (tag, attributes)
    assert "url(" not in made.read_text().split("</style>")[0]


def test_every_figure_has_a_picture_with_alt_text_a_caption_and_its_numbers(page):
    counts = {tag: sum(seen == tag for seen, _ in page.tags) for tag in ("figure", "svg", "figcaption")}
    assert (counts["figure"], counts["svg"], counts["figcaption"]) == (9, 18, 9)
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(len(one["aria-label"]) > 40 and one["role"] == "img" for one in pictures)
    assert ["hidden" in one for one in pictures] == [False, True] * 9
    assert page.text.count("The numbers") == 9


def test_no_style_stands_in_the_page_but_the_one_sheet_that_its_policy_names(made, page):
    text = made.read_text()
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_the_contents_lead_to_every_section(page):
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a" and attributes["href"].startswith("#")]
    names = {attributes["id"] for tag, attributes in page.tags if tag == "h2"}
    assert len(names) == len(HEADINGS)
    assert set(links) == names


def test_the_card_decides_and_the_strip_says_what_it_rests_on(study):
    text = re.sub(r"<[^>]+>", "", study.card().text)
    assert "Do not merge sketch-70575: it writes " in text
    assert "wrongly with no race at all. in-mutator is not enough. all-sites ends it, by proof." in text
    rows = dict(re.findall(r'<th scope="row"><code>([\w-]+)</code>(.*?)</tr>', study.evidence().text))
    assert list(rows) == ["after-19328", "sketch-70575", "in-mutator", "all-sites", "replace", "before-19328"]
    assert "Build 2026.6.11" in rows["in-mutator"]
    assert "Build 2026.9.6" in rows["all-sites"]
    assert "lost in 0 of 90" in rows["all-sites"]
    assert "It has no <code>run_start</code> and <code>run_end</code>" in rows["in-mutator"]
    assert "annot, for any number of writers" in rows["all-sites"]


@pytest.mark.slow
def test_a_sheet_beside_the_page_is_the_only_thing_it_asks_for(tmp_path):
    parameters = {"workload": "handler-only", "replicates": 2, "overrides": ["duration=5"], "recording": ""}
    make_report(find_notebook("fix_impact"), parameters, tmp_path / "page.html", "t", external=tmp_path / "simlib.css")
    text = (tmp_path / "page.html").read_text()
    assert "<style" not in text
    assert text.count('<link rel="stylesheet" href="simlib.css">') == 1
    assert "style-src 'self'" in text
    assert (tmp_path / "simlib.css").read_text() == sheet()


def test_the_verdict_names_every_strategy_with_a_number(study):
    text = re.sub(r"<[^>]+>", "", study.verdict().text)
    for name in study.result.strategies:
        assert name in text
    assert re.search(r"after-19328 clobbers at least one field in \d", text)
    assert re.search(r"all-sites: no clobber in [\d,]+ agent turns \(at most [\d.]+ %\)", text)


def test_the_report_says_why_the_sketch_is_not_enough(study):
    text = re.sub(r"<[^>]+>", "", study.why().text)
    sketch = next(line for line in text.split("sketch-70575: ")[1:]).split("in-mutator:")[0]
    assert "the effective context is itself stale" in sketch.lower()
    assert "the guard looks at the stale entry" in sketch
    assert re.search(r"handler [^;]*\d+ reverted", sketch)
    assert re.search(r"[\d,]+ erased with no race", sketch)


def test_fields_that_show_nothing_are_said_to(study):
    counts = sum(study.result.by_field(name).sum(axis=1) for name in study.result.strategies)
    silent = [field for field, count in zip(study.case.fields, counts, strict=True) if not count]
    text = re.sub(r"<[^>]+>", "", study.kinds().text)
    assert silent
    assert all(field in text.partition("erased:")[0] for field in silent)
    assert not any(field in text for field in set(study.case.fields) - set(silent))


def test_a_workload_without_runs_says_what_it_cannot_speak_of():
    text = impact.study("handler-only", replicates=2, overrides=["duration=5"]).verdict().text
    assert "Not in this workload" in text
    assert "<code>run_start</code> and <code>run_end</code>" in text


def test_a_run_without_turns_says_so():
    text = impact.study("quiet", replicates=2, overrides=["duration=0.001"]).verdict().text
    assert "There was no agent turn in this run" in text


def test_a_baseline_without_clobbers_is_not_said_to_clobber():
    text = re.sub(r"<[^>]+>", "", impact.study("busy-team", replicates=2, strategies=["all-sites"]).verdict().text)
    assert re.match(
        r"all-sites: no clobber in [\d,]+ agent turns \(at most [\d.]+ %\). Proved: cannot, for any number of writers", text
    )


def test_a_difference_is_only_claimed_when_its_interval_excludes_zero(study):
    text = re.sub(r"<[^>]+>", "", study.verdict().text)
    for name in study.result.strategies:
        difference = study.result.difference(name)
        if difference is None or study.result.clobber_rate(name).estimate == 0:
            continue
        interval = difference.interval()
        claimed = not re.search(rf"{name}: [^;]+; (no difference|as many as)", text)
        assert claimed == (not interval.low <= 0 <= interval.high)


def test_the_method_gives_seed_versions_assumptions_and_the_command(study):
    text = re.sub(r"<[^>]+>", "", study.method().text)
    assert "simlib report busy-team --seed 1 --replicates 3 --set duration=200" in text
    assert "simpy 4" in text
    assert re.search(r"SimPy and compiled histories identical: [\d,]+ transactions", text)
    for assumption in ASSUMPTIONS:
        assert assumption.split(".")[0].replace("`", "")[:30] in text


def test_every_section_that_is_a_figure_has_a_finding(study):
    for section in (study.rates(), study.fields(), study.sites(), study.shortest(), study.price(), study.recorded()):
        assert isinstance(section, Figure)
        assert section.caption.endswith(".")
        assert len(section.frame)


def test_the_table_of_strategies_is_made_of_the_results_own_numbers(study):
    table, own = study.strategies(), study.result.to_frame()
    assert table.frame[own.columns.to_list()].equals(own)
    medians = [study.result.stood(name)[0] for name in study.result.strategies]
    assert list(table.frame["stood_s"]) == pytest.approx(medians, nan_ok=True)
    for name, cell in zip(own["strategy"], table.shown["clobber rate"], strict=True):
        assert cell.text.startswith(rate_text(study.result.best_rate(name)).split(" (")[0])


@pytest.mark.slow
def test_a_run_without_clobbers_is_a_page_too(tmp_path):
    path = tmp_path / "page.html"
    parameters = {
        "workload": "quiet",
        "replicates": 2,
        "overrides": ["duration=10"],
        "strategies": ["all-sites"],
        "recording": "",
    }
    make_report(find_notebook("fix_impact"), parameters, path, "t")
    assert Page(path.read_text()).headings == HEADINGS


@pytest.mark.slow
def test_names_from_a_workload_cannot_inject_anything(tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    source = (ROOT / "data" / "workloads" / "quiet.yaml").read_text()
    workload = tmp_path / "evil.yaml"
    workload.write_text(
        source.replace("workload: quiet", f'workload: "{evil}"').replace("[telegram, webchat]", f'["{evil}", webchat]'),
    )
    path = tmp_path / "page.html"
    make_report(find_notebook("fix_impact"), {"workload": str(workload), "replicates": 2, "recording": ""}, path, evil)
    page = Page(path.read_text())
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert evil in page.text


def test_the_study_checks_its_input_before_it_runs():
    for arguments, message in [
        ({"workload": "bussy-team"}, "no such file"),
        ({"workload": "quiet", "strategies": ["nope"]}, "strategy 'nope'"),
        ({"workload": "quiet", "recording": "nope"}, "no such recording"),
        ({"workload": "quiet", "seed": -1}, "seed: -1"),
    ]:
        with pytest.raises(InputError, match=message):
            impact.study(**arguments)


def test_a_guard_beside_a_lock_has_its_crossing_in_the_report_and_others_have_none() -> None:
    figure = impact.study("atlas-prisma", replicates=3).crossover()
    assert isinstance(figure, Figure)
    assert "predicate-retry" in figure.caption
    assert "row-lock" in figure.caption
    assert impact.study("quiet", replicates=2, overrides=["duration=60"]).crossover() == Html("")
