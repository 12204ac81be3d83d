"""The comparison report, against the comparison that it is of; what is not paired has a page that says why."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from simlib.case.case import load_case
from simlib.cli import app
from simlib.common.errors import InputError
from simlib.common.shipped import CASE
from simlib.estimate.compare import compare, save
from simlib.estimate.experiment import run
from simlib.estimate.wording import rate_text
from simlib.report.comparison import NOT_PAIRED, Study, study
from simlib.report.comparison_charts import told_apart
from simlib.report.figure import Figure
from simlib.report.html import Html
from simlib.workload.workload import load_workload

NAMES = ("replace", "after-19328", "all-sites")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three results: one, the same with more patches, and one with another seed and a name that is markup."""
    folder, case = tmp_path_factory.mktemp("kept"), load_case(CASE)
    for name, seed, overrides in (("one", 1, []), ("busier", 1, ["traffic.patch.rate=3"]), ("other", 2, ["workload=<i>x</i>"])):
        workload = load_workload("busy-team", ["duration=60", *overrides])
        save(run(workload, case, NAMES, seed=seed, replicates=8, jobs=1), folder / f"{name}.parquet")
    return SimpleNamespace(**{path.stem: str(path) for path in folder.iterdir()})


@pytest.fixture(scope="module")
def found(kept: SimpleNamespace) -> Study:
    return study(kept.busier, kept.one)


def words(html: Html) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html.text))


def test_without_names_every_strategy_is_compared_with_itself_the_baseline_first(found: Study) -> None:
    assert list(found.found) == ["after-19328", "replace", "all-sites"]
    figure = found.strategies()
    assert isinstance(figure, Figure)
    for row, each in zip(figure.frame.to_dict("records"), found.found.values(), strict=True):
        assert (row["one"], row["other"]) == (each.one.rate.estimate, each.other.rate.estimate)
        assert (row["difference"], (row["difference_low"], row["difference_high"])) == (
            each.difference.estimate,
            each.difference.interval(),
        )


def test_the_axis_has_a_labelled_zero_within_it_and_a_filled_mark_where_the_interval_leaves_it_out(found: Study) -> None:
    for figure, of in (
        (found.strategies(), [each.difference for each in found.found.values()]),
        (found.fields(), [each for each in found.found["after-19328"].by_field.values() if _seen(each)]),
        (found.sites(), [each for each in found.found["after-19328"].by_site.values() if _seen(each)]),
        (found.outcomes(), [each for each in found.found["after-19328"].outcomes.values() if _seen(each)]),
    ):
        assert isinstance(figure, Figure)
        axes = figure.drawn.axes[0]
        low, high = axes.get_xlim()
        assert low < 0 < high
        assert axes.xaxis.get_major_formatter()(0) == "0: no difference"
        filled = [mark.get_facecolor()[0, :3].tolist() != [1, 1, 1] for mark in axes.collections]
        assert filled == [told_apart(each) for each in of]
        assert figure.svg.startswith(b"<?xml")


def _seen(difference) -> bool:  # type: ignore[no-untyped-def]
    return bool(difference.rate.totals.any() or difference.baseline.totals.any())


def test_the_caption_names_the_strategy_that_differs_most_with_its_difference(found: Study) -> None:
    told = {name: each.difference for name, each in found.found.items() if told_apart(each.difference)}
    most = max(told, key=lambda name: abs(told[name].estimate))
    figure = found.strategies()
    assert isinstance(figure, Figure)
    assert f"units than B with {most}: {rate_text(told[most])}. {len(told)} of 3 strategies are told apart." in figure.caption


def test_the_verdict_is_the_difference_and_its_finding_has_both_rates(found: Study) -> None:
    first = found.found["after-19328"]
    verdict = found.verdict()
    assert rate_text(first.one.rate) in words(verdict)
    assert "A has more than B by" in words(verdict)
    assert verdict.finding
    assert [share.estimate for share in verdict.finding.rates.values()] == [
        first.other.rate.estimate,
        first.one.rate.estimate,
    ]


def test_what_differs_in_the_inputs_is_said_and_the_command_that_does_it_again(found: Study, kept: SimpleNamespace) -> None:
    assert found.changed == ("traffic.patch.rate: 0.25 -> 3.0",)
    assert f"A : after-19328 on busy-team , from {kept.busier}" in words(found.heading())
    assert "traffic.patch.rate: 0.25 -&gt; 3.0" in found.inputs().text
    assert f"simlib compare {kept.busier} {kept.one} --seed 1 --report comparison.html" in found.method().text
    assert "Assumptions:" in found.method().text


def test_two_strategies_of_one_result_are_compared_with_each_other_alone(kept: SimpleNamespace) -> None:
    found = study(kept.one, strategy="replace", against="all-sites")
    assert list(found.found) == ["replace against all-sites"]
    assert found.changed[0] == "strategy: 'all-sites' -> 'replace'"
    assert found.found["replace against all-sites"].to_json() == compare(found.one, found.other).to_json()


def test_what_is_not_paired_has_a_page_with_the_reason_and_each_rate_and_the_command_fails(
    kept: SimpleNamespace, tmp_path: Path
) -> None:
    found = study(kept.one, kept.other)
    assert "are not paired: seed 1 and 2" in found.refused
    assert words(found.verdict()).count(rate_text(found.other.rate)) == 1
    for section in (found.strategies(), found.fields(), found.sites()):
        assert isinstance(section, Html)
        assert NOT_PAIRED in section.text
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["compare", kept.one, kept.other, "--report", str(page)])
    assert isinstance(done.exception, InputError)
    assert "are not paired: seed 1 and 2" in page.read_text()
    assert "<i>x</i>" not in page.read_text()
    assert "<script" not in page.read_text()


def test_a_report_does_not_overwrite_what_it_is_of(kept: SimpleNamespace) -> None:
    before = Path(kept.one).read_bytes()
    done = CliRunner().invoke(app, ["compare", kept.busier, kept.one, "--report", kept.one])
    assert "which is not overwritten" in str(done.exception)
    assert Path(kept.one).read_bytes() == before


def test_a_strategy_that_only_one_of_them_has_is_named_and_not_compared(kept: SimpleNamespace, tmp_path: Path) -> None:
    workload = load_workload("busy-team", ["duration=60"])
    save(run(workload, load_case(CASE), NAMES[:2], replicates=8, jobs=1), tmp_path / "fewer.parquet")
    found = study(kept.one, str(tmp_path / "fewer.parquet"))
    assert list(found.found) == ["after-19328", "replace"]
    assert "Only one of them has all-sites ." in words(found.verdict())


def test_nothing_to_compare_with_is_refused(kept: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="there is nothing to compare with; give a second result"):
        study(kept.one)
