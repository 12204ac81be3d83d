"""What a notebook found, against hand-written outputs and against the estimates it is made of."""

import nbformat
import numpy as np
import pytest

from simlib.common.errors import InputError
from simlib.estimate.intervals import Rate
from simlib.report.finding import MIME, Finding, Share, read_finding
from simlib.report.html import Html


def notebook(*bundles):
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs), nbformat.v4.new_markdown_cell("")])


def test_the_last_finding_counts_and_none_is_an_empty_one():
    one, two = (Html("x", Finding(verdict=word))._repr_mimebundle_() for word in ("one", "two"))
    assert read_finding(notebook(one, two, {"text/plain": "x"})).verdict == "two"
    assert read_finding(notebook({"text/plain": "x"})) == Finding()
    assert Html("x")._repr_mimebundle_() == {}


def test_the_order_of_the_rates_survives_a_file_that_sorts_keys():
    rates = {"z": Share(estimate=0.2), "a": Share(estimate=0.1)}
    finding = Finding(verdict="x", rates=rates, failed_units=rates)
    written = nbformat.writes(notebook(Html("x", finding)._repr_mimebundle_()))
    read = read_finding(nbformat.reads(written, as_version=4))
    assert read == finding
    assert list(read.rates) == list(read.failed_units) == ["z", "a"]


def test_a_verdict_on_very_many_strategies_is_cut_and_no_failure():
    assert Finding(verdict="x" * 10_000).verdict == "x" * 10_000
    assert Finding(verdict="x" * 10_001).verdict == "x" * 9_999 + "…"


def test_rates_may_be_a_mapping_as_a_notebook_of_ones_own_writes_them():
    found = read_finding(notebook({MIME: {"rates": {"a": {"estimate": 0.1}}}}))
    assert found.rates == {"a": Share(estimate=0.1)}


@pytest.mark.parametrize(
    "data",
    [{"rates": [1]}, {"rates": [["a"]]}, {"rates": [["a", 1]]}, {"verdikt": "x"}, {"rates": {"a": {"estimate": 2}}}, [1]],
)
def test_what_is_no_finding_is_refused_in_one_line(data):
    with pytest.raises(InputError, match="the finding of the notebook: ") as caught:
        read_finding(notebook({MIME: data}))
    assert "\n" not in str(caught.value)


def test_a_share_is_the_estimate_with_its_interval():
    rate = Rate(np.array([2.0, 4.0, 3.0]), np.array([100.0, 100.0, 100.0]))
    share = Share.of(rate)
    assert (share.estimate, share.low, share.high) == (rate.estimate, *rate.interval())
    assert Share.of(Rate(np.array([2.0]), np.array([100.0]))) == Share(estimate=0.02)


def test_two_shares_are_apart_if_their_intervals_have_nothing_in_common():
    low, middle, high = (Share(estimate=e, low=e - 0.1, high=e + 0.1) for e in (0.2, 0.35, 0.5))
    assert [low.apart(middle), low.apart(high), high.apart(low)] == [False, True, True]
    assert Share(estimate=0.2).apart(Share(estimate=0.3))
