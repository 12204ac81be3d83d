"""Notebooks: as committed, and as the wrapper runs them."""

import json
import re

import nbformat
import pytest
from places import ROOT

from simlib.common.errors import InputError, RunError
from simlib.report.notebook import check_parameters, execute, find_notebook, make_report, render

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_have_no_outputs_no_functions_and_short_cells(path):
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            assert "def " not in source
        assert source.count("\n") < 16


def tiny(folder, *sources):
    """A notebook with a parameters cell and one cell for each source."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    parameters = nbformat.v4.new_code_cell("number: int = 1\nname: str = 'a'\nnames: list = []")
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in sources)]
    path = folder / "tiny.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_parameter_that_is_not_there_is_refused_before_anything_runs(tmp_path):
    notebook = tiny(tmp_path, "open('ran', 'w')")
    with pytest.raises(InputError, match=r"tiny.ipynb: no parameter 'nomber'; allowed: name, names, number"):
        execute(notebook, {"nomber": 2}, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("number", "two"), ("number", 1.5), ("number", True), ("name", 3), ("names", "a"), ("names", [1])]
)
def test_a_parameter_of_the_wrong_type_is_refused(tmp_path, name, value):
    with pytest.raises(InputError, match=f"parameter '{name}' is {re.escape(repr(value))}"):
        check_parameters(tiny(tmp_path), {name: value})


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    path = tmp_path / "no.ipynb"
    path.write_text("not json")
    with pytest.raises(InputError, match="not a notebook"):
        check_parameters(path, {})
    with pytest.raises(InputError, match="no such notebook; allowed: fix_impact"):
        find_notebook("fix-impact")


def test_a_failing_cell_is_one_line_and_keeps_the_partly_run_notebook(tmp_path):
    notebook = tiny(tmp_path, "number + 1", "raise ValueError('no luck')")
    page = tmp_path / "page.html"
    with pytest.raises(
        RunError, match=r"cell 4 failed: ValueError: no luck; the partly run notebook is .*page.failed.ipynb"
    ) as caught:
        make_report(notebook, {"number": 41}, page, "tiny")
    assert "\n" not in str(caught.value)
    assert not page.exists()
    partly = nbformat.read(tmp_path / "page.failed.ipynb", as_version=4)
    assert any(output.get("data", {}).get("text/plain") == "42" for cell in partly.cells for output in cell.get("outputs", []))


def test_a_page_has_the_outputs_and_no_inputs(tmp_path):
    page = tmp_path / "page.html"
    make_report(tiny(tmp_path, "print('seen', number * 2)"), {"number": 21}, page, "a <title>")
    text = page.read_text()
    assert "seen 42" in text
    assert "number * 2" not in text
    assert "<title>a &lt;title&gt;</title>" in text
    assert not list(tmp_path.glob(".*"))


def test_the_same_notebook_renders_to_the_same_bytes(tmp_path):
    execute(tiny(tmp_path, "number"), {}, tmp_path / "out.ipynb")
    for name in ("a", "b"):
        render(tmp_path / "out.ipynb", tmp_path / f"{name}.html", "t")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
