"""The sections of the validation report, against the figures that they show."""

from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.model.compiled_model import simulate
from simlib.model.history import write_parquet
from simlib.report import validation_charts as charts
from simlib.report.notebook import execute, find_notebook
from simlib.report.validation import Fidelity, shipped_sources, study
from simlib.validate.assumptions import answer, theoretical, variants, workload_alone
from simlib.validate.predict import Half, halves
from simlib.validate.scores import Condition, Score
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


def test_every_section_is_html(small: Fidelity) -> None:
    sections = [name for name in vars(Fidelity) if not name.startswith("_") and callable(getattr(Fidelity, name))]
    assert {"heading", "headline", "diagonal", "grid", "races", "windows", "waits", "known_wrong", "assumptions"} <= set(
        sections
    )
    for name in sections:
        assert getattr(small, name)()._repr_html_().startswith("<"), name


def test_the_headline_and_the_diagonal_say_what_the_figures_say(small: Fidelity) -> None:
    text = small.headline().text
    for store, what in zip(small.stores, ("Store recordings", "Testbed"), strict=True):
        figures = [row for half in store.conditions for row in half]
        assert f"{sum(row.inside for row in figures)} of {len(figures)}" in text
        assert what in text
    rates = [row for store in small.stores for half in store.conditions for row in half if row.figure == "clobber_rate"]
    assert small.diagonal().caption.startswith(f"{sum(row.inside for row in rates)} of {len(rates)} ")
    assert len(small.diagonal().table) == len(rates)


def test_the_race_figure_has_every_held_out_range_and_says_which_test_nothing(small: Fidelity) -> None:
    figure = small.races()
    assert len(figure.table) == 2 * 2 * 10
    assert "20 of them are of fields that the build's rules never lose" in figure.caption
    assert "never" in small.windows().text


def test_the_grid_has_a_line_a_half_and_theory_only_for_one_process(small: Fidelity) -> None:
    assert small.grid().text.count(", odd</td>") == small.grid().text.count(", even</td>") == 2
    for store in small.stores:
        assert all((half["theory"] is None) == (store.name == SMALL) for half in store.answers)


def condition(observed: float, predicted: float, variance: float, n: int = 1000, inside: bool = True) -> Condition:
    return Condition("s, 1st half", "r", "clobber_rate", observed, predicted, 0.0, 2 * predicted, inside, n, variance)


def test_a_score_against_its_definition_by_hand() -> None:
    score = Score.of([condition(0.02, 0.05, 0.0001), condition(0.03, 0.02, 0.0001, inside=False)], timelines=2)
    assert (score.raw, score.noise) == pytest.approx((np.sqrt(0.0005), 0.01))
    assert score.error == pytest.approx(0.02)
    assert score.hidden == pytest.approx(np.sqrt(0.0004 + 1.645 * 0.0001))
    assert "more than the 0.20 pp aimed at" in score.sentence("testbed")
    assert "50.0 %" in score.sentence("testbed")
    noisy = Score.of([condition(0.02, 0.021, 0.0001)], timelines=1)
    assert "not that there is none" in noisy.sentence("testbed")
    exact = Score.of([condition(0.02, 0.0201, 1e-8)], timelines=1)
    assert "would have shown" in exact.sentence("testbed")


def test_a_score_of_predictions_with_a_known_error_against_that_error() -> None:
    # 400 predictions, off by 1 point each, of observations with a noise of 0.5 points: the noise must come off.
    noise = np.random.default_rng(3).normal(0, 0.005, 400)
    score = Score.of([condition(0.05 + error, 0.06, 0.005**2) for error in noise], timelines=400)
    # The mean of squares of (1 + noise) points has a standard error of about 2 x 1 x 0.5 / 20 = 0.05 square points.
    assert abs(score.error**2 - 0.01**2) < 4 * 0.05e-4


@pytest.fixture(scope="module")
def modelled() -> Half:
    workload = load_workload("handler-only", ["duration=60", "store.release=0.003"])
    return halves(simulate(workload, CASE, draw(workload, CASE, 5, 0)), CASE, "model")[0]


def test_what_assumptions_do_against_which_way_they_must_work(modelled: Half) -> None:
    found = variants(modelled, 4, seed=1)
    predicted = found["as predicted"]
    assert found["the lock is free as soon as a commit is seen"].stale < predicted.stale
    assert found["a commit is seen only when the lock is free"].stale > predicted.stale


def test_theory_against_the_workload_alone_that_it_is_about(modelled: Half) -> None:
    by_run = np.array([workload_alone(modelled, 1, 1, number).stale for number in range(12)])
    theory = theoretical(modelled)
    assert theory is not None
    # A calibration of Poisson arrivals may find them a little bursty or not; times and rates are the same.
    assert abs(by_run.mean() - theory.stale) < 4 * by_run.std(ddof=1) / np.sqrt(by_run.size)


def test_an_answer_of_two_runs_against_their_pooled_counts(modelled: Half) -> None:
    shown = modelled.observed
    counts = {key: (0, n) for key, (_, n) in shown.counts.items()}
    pooled = answer(modelled.rule, [shown, replace(shown, counts=counts)])
    assert pooled.clobber_rate == pytest.approx(answer(modelled.rule, [shown]).clobber_rate / 2)


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


def test_the_notebook_runs_with_tiny_parameters(tmp_path: Path) -> None:
    output = tmp_path / "out.ipynb"
    parameters = {"sources": [SMALL, "gateway-2026.6.11"], "testbed": [], "replicates": 2}
    execute(find_notebook("validation"), parameters, output)
    notebook = nbformat.read(output, as_version=4)
    sections = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("study.")]
    assert len(sections) > 10
    assert all(cell.outputs for cell in sections)
