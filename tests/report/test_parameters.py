"""The notebooks' own check of their parameters, against papermill itself, which does not check."""

import inspect

import papermill
import pytest
from places import ROOT

from simlib.common.errors import InputError
from simlib.report import comparison, explore, fix_impact, interleavings, parameters, sensitivity, validation
from simlib.report.notebook import known_parameters

STUDIES = {
    "comparison": comparison.study,
    "explore": explore.study,
    "fix_impact": fix_impact.study,
    "interleavings": interleavings.study,
    "sensitivity": sensitivity.study,
    "validation": validation.study,
}


def notebook(name):
    return ROOT / "notebooks" / f"{name}.ipynb"


@pytest.mark.parametrize("name", STUDIES)
def test_a_notebook_has_the_parameters_of_its_study(name):
    assert list(known_parameters(notebook(name))) == list(inspect.signature(STUDIES[name]).parameters)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Passed unknown parameter", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", STUDIES)
def test_a_parameter_misspelt_through_papermill_itself_ends_in_an_error_before_anything_is_computed(name, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(
            str(notebook(name)), str(tmp_path / "out.ipynb"), {"sead": 7}, kernel_name="python3", progress_bar=False
        )
    assert caught.value.ename == "InputError"
    assert str(caught.value.evalue).startswith("no parameter 'sead' (7);")
    assert caught.value.exec_count == 3


def test_names_of_the_reader_and_of_ipython_are_no_parameters():
    namespace = {"In": [], "_i1": "", "case": "", "_i2": "", "stale_reads": 0, "interleavings": interleavings, "mine": 1}
    parameters.check(namespace, interleavings.study)
    with pytest.raises(InputError, match=r"no parameter 'cas' \('x'\); did you mean 'case'\? allowed: case, strategies"):
        parameters.check({"case": "", "cas": "x", "interleavings": interleavings}, interleavings.study)
