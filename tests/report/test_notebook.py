"""Notebooks: as committed, and as the wrapper runs them."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from places import ROOT
from processes import wait_until

from simlib.common.errors import InputError, RunError
from simlib.report import notebook as notebooks
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
    with pytest.raises(InputError, match="no such notebook; allowed: comparison, contents, explore, fix_impact"):
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


def test_what_is_for_the_notebook_only_is_not_on_the_page(tmp_path):
    notebook = nbformat.v4.new_notebook()
    for kind, tags in (("page", []), ("notebook", ["notebook-only"])):
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"words of the {kind}", metadata={"tags": tags}))
        notebook.cells.append(nbformat.v4.new_code_cell(f"print('a', '{kind}')", metadata={"tags": tags}))
    nbformat.write(notebook, tmp_path / "two.ipynb")
    make_report(tmp_path / "two.ipynb", {}, tmp_path / "page.html", "t")
    page = (tmp_path / "page.html").read_text()
    assert [kind in page for kind in ("words of the page", "a page")] == [True, True]
    assert [kind in page for kind in ("words of the notebook", "a notebook")] == [False, False]


def test_a_page_shows_what_a_widget_shows_without_a_kernel_and_has_no_script(tmp_path):
    cell = """import ipywidgets
class Moved:
    def _repr_mimebundle_(self, **_):
        return {**ipywidgets.IntSlider()._repr_mimebundle_(), "text/html": "<p>as it stood</p>"}
Moved()"""
    make_report(tiny(tmp_path, cell), {}, tmp_path / "page.html", "t")
    body = (tmp_path / "page.html").read_text().split("<body")[1]
    assert "<p>as it stood</p>" in body
    assert "<script" not in body


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The current folder, with files of a stranger whose names are those of modules; each of them would leave a mark."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for module in ("typing", "signal", "json", "yaml", "numpy", "zmq", "IPython", "multiprocessing"):
        (folder / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); raise SystemExit('{module}')")
    monkeypatch.chdir(folder)
    return folder


def test_a_notebook_imports_nothing_from_the_current_folder(tmp_path, elsewhere):
    cell = "import json, os, sys, yaml, numpy\nassert not {'', os.getcwd()} & set(sys.path), sys.path\nos.getcwd()"
    execute(tiny(tmp_path, cell), {}, tmp_path / "out.ipynb")
    assert str(elsewhere) in (tmp_path / "out.ipynb").read_text()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("workloads",),
        pytest.param(
            ("run", "quiet", "--replicates", "4", "--set", "duration=1", "--jobs", "2"), marks=pytest.mark.slow, id="processes"
        ),
    ],
)
def test_the_program_imports_nothing_from_the_current_folder(tmp_path, elsewhere, command):
    done = subprocess.run([sys.executable, "-m", "simlib", *command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, (tmp_path / "ran").exists()) == (0, False), done.stderr


def test_a_temporary_folder_with_a_name_too_long_for_sockets_is_left_alone(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with tempfile.TemporaryDirectory(dir=notebooks.SHORT_PLACE) as short:
        monkeypatch.setattr(notebooks, "SHORT_PLACE", short)
        execute(
            tiny(tmp_path, "import glob, os\nlen(glob.glob(os.environ['IPYTHONDIR'] + '/../kernel-*'))"),
            {},
            tmp_path / "out.ipynb",
        )
        assert '"text/plain": [\n       "5"' in (tmp_path / "out.ipynb").read_text()  # sockets, and so no TCP
        assert not [*Path(short).iterdir(), *long.iterdir()]


def test_no_place_for_sockets_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "x" * 100)
    monkeypatch.setattr(notebooks, "SHORT_PLACE", str(tmp_path / "nowhere"))
    with pytest.raises(RunError, match=r"nowhere: cannot be written: .*longer name than the 70 bytes.*set TMPDIR") as caught:
        execute(tiny(tmp_path), {}, tmp_path / "out.ipynb")
    assert "\n" not in str(caught.value)


def test_a_kernel_that_dies_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"tiny.ipynb: the kernel ended before it was done .*page.failed.ipynb"):
        make_report(tiny(tmp_path, "import os; os._exit(9)"), {}, tmp_path / "page.html", "t")


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_notebook_that_is_interrupted_leaves_no_process_and_no_file(tmp_path, number):
    mark = tmp_path / "mark"
    cell = f"import os, threading\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\nthreading.Event().wait()"
    with tempfile.TemporaryDirectory() as place:
        script = (
            "import sys; from pathlib import Path; from simlib.common import interrupts; from simlib.report import notebook"
        )
        script += "; interrupts.answer(); notebook.execute(Path(sys.argv[1]), {}, Path(sys.argv[2]))"
        command = [sys.executable, "-c", script, str(tiny(tmp_path, cell)), str(tmp_path / "out.ipynb")]
        running = subprocess.Popen(command, env={**os.environ, "TMPDIR": place}, stderr=subprocess.DEVNULL)
        wait_until(lambda: mark.exists() and mark.read_text(), "the cell runs")
        kernel = Path("/proc") / mark.read_text()
        running.send_signal(number)
        running.wait(60)
        wait_until(lambda: not kernel.exists(), "the kernel ends")
        wait_until(lambda: not [*Path(place).iterdir()], "its folder is gone")
