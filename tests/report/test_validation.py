"""The sections of the validation report, against the figures that they show."""

from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.estimate.wording import percent
from simlib.model.compiled_model import simulate
from simlib.model.history import write_parquet
from simlib.report import validation_charts as charts
from simlib.report.html import marked
from simlib.report.notebook import execute, find_notebook
from simlib.report.validation import Fidelity, study
from simlib.report.validation_sources import shipped_sources
from simlib.report.validation_tables import bias
from simlib.validate.scores import Condition
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")
SMALL = "store-2026.4.22-two-processes"


def saved_run(folder: Path, *overrides: str) -> str:
    """A history that the model made, saved as the testbed saves its runs."""
    workload = load_workload("handler-only", ["duration=12", *overrides])
    path = folder / "run.parquet"
    write_parquet(simulate(workload, CASE, draw(workload, CASE, 5, 0)), path)
    return str(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Fidelity:
    folder = tmp_path_factory.mktemp("testbed")
    return study([SMALL, "gateway-2026.4.22", "gateway-2026.9.6"], testbed=[saved_run(folder)], replicates=3)


class Tags(HTMLParser):
    """The tags that are open; those of a page's piece must all be closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        if tag not in ("img", "br", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def words_of(section: object) -> str:
    """What a section says, its HTML being whole."""
    tags = Tags()
    tags.feed(section._repr_html_())  # type: ignore[attr-defined]
    assert not tags.open
    return " ".join(tags.text)


def test_every_section_is_whole_and_says_something(small: Fidelity) -> None:
    sections = [name for name in vars(Fidelity) if not name.startswith("_") and callable(getattr(Fidelity, name))]
    assert len(sections) > 10
    for name in sections:
        assert len(words_of(getattr(small, name)()).split()) > 10, name


def test_the_sections_have_the_numbers_of_the_study(small: Fidelity) -> None:
    known_wrong, grid, assumptions = (words_of(getattr(small, name)()) for name in ("known_wrong", "grid", "assumptions"))
    for store in small.stores:
        assert store.name in known_wrong
        assert f"{store.unmodelled.together:.2f} x" in known_wrong
        for answers in store.answers:
            assert percent(answers["observed"].stale) in grid
    for half, answers in small.assumed.items():
        assert half in assumptions
        assert all(percent(answer.clobber_rate) in assumptions for answer in answers.values())
    outside = [row for _, figures, _ in small._groups() for row in figures if not row.inside]
    assert len(outside) == len(small.outside().frame) if outside else "No figure" in small.outside().text


def test_the_bias_section_has_the_mean_of_every_kind_of_figure(small: Fidelity) -> None:
    rows = [row for store in small.stores for half in store.conditions for row in half if row.figure == "clobber_rate"]
    text = words_of(small.bias())
    assert percent(float(np.mean([row.observed for row in rows]))) in text
    assert f"{sum(row.inside for row in rows)} of {len(rows)}" in text
    assert all(name in text for name in ("lost_write_rate", "stale_snapshots", "lock_wait.p50", "lock_wait.p99"))


def test_the_headline_and_the_diagonal_say_what_the_figures_say(small: Fidelity) -> None:
    text = small.headline()._repr_html_()
    for store, what in zip(small.stores, ("Store recordings", "Testbed"), strict=True):
        figures = [row for half in store.conditions for row in half]
        assert f"{sum(row.inside for row in figures)} of {len(figures)}" in text
        assert what in text
    finding = small.heading().finding
    assert finding
    assert finding.verdict.startswith("**Store recordings**")
    assert all(marked(part) in text for part in finding.verdict.split(". "))
    rates = [row for store in small.stores for half in store.conditions for row in half if row.figure == "clobber_rate"]
    assert small.diagonal().caption.startswith(f"{sum(row.inside for row in rates)} of {len(rates)} ")
    assert len(small.diagonal().frame) == len(rates)


def test_the_race_figure_has_every_held_out_range_and_says_which_test_nothing(small: Fidelity) -> None:
    figure = small.races()
    assert len(figure.frame) == 2 * 2 * 10
    assert "20 of them are of fields that the build's rules never lose" in figure.caption
    assert "never" in small.windows()._repr_html_()


def test_the_grid_has_a_line_a_half_and_theory_only_for_one_process(small: Fidelity) -> None:
    assert small.grid()._repr_html_().count(", odd</th>") == small.grid()._repr_html_().count(", even</th>") == 2
    for store in small.stores:
        assert all((half["theory"] is None) == (store.name == SMALL) for half in store.answers)


def condition(figure: str, observed: float, predicted: float, inside: bool = True) -> Condition:
    return Condition("s, 1st half", "r", figure, observed, predicted, 0.0, 2 * predicted, inside, 1000, 0.0)


def test_a_line_of_the_bias_table_by_hand() -> None:
    rows = [condition("lost_write_rate", 0.01, 0.02), condition("lost_write_rate", 0.03, 0.05, inside=False)]
    table = bias({"lost_write_rate": rows})
    assert list(table.frame.itertuples(index=False, name=None)) == [("lost_write_rate", 0.02, 0.035, 1, 2)]
    assert table.rows()[0] == {
        "figure": "lost_write_rate", "observed, mean": "2.00 %", "predicted, mean": "3.50 %", "off": "+75.0 %",
        "inside": "1 of 2",
    }  # fmt: skip
    waits = bias({"lock_wait.p50": [condition("lock_wait.p50", 0.004, 0.003)]}).rows()[0]
    assert (waits["observed, mean"], waits["predicted, mean"], waits["off"]) == ("4.00 ms", "3.00 ms", "−25.0 %")
    assert bias({"lost_write_rate": [condition("lost_write_rate", 0.0, 0.01)]}).rows()[0]["off"] == "n/a"


def test_figures_of_nothing_are_drawn() -> None:
    for figure in (charts.diagonal([]), charts.races([]), charts.medians([])):
        assert figure.svg.startswith(b"<?xml")


def test_the_shipped_sources_are_the_eleven_files() -> None:
    assert len(shipped_sources()) == 5 + 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"replicates": 1}, "replicates: 1 is too small"),
        ({"sources": ["nothing"]}, "no such recording"),
        ({"sources": ["gateway-log-2026.4.22.truth"]}, "shows no commits|cannot be read|not a recording"),
    ],
)
def test_bad_input_is_refused(arguments: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        study(**arguments)


@pytest.mark.slow
def test_the_notebook_runs_with_tiny_parameters(tmp_path: Path) -> None:
    output = tmp_path / "out.ipynb"
    parameters = {"sources": [SMALL, "gateway-2026.6.11"], "testbed": [], "replicates": 2}
    execute(find_notebook("validation"), parameters, output)
    notebook = nbformat.read(output, as_version=4)
    sections = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("study.")]
    assert len(sections) > 10
    assert all(cell.outputs for cell in sections)
