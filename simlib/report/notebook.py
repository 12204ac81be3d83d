"""From a notebook and parameters to one offline HTML page: papermill runs it, nbconvert renders it.

papermill only warns of a parameter that the notebook does not have, so `check_parameters` refuses it first.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from simlib.common.errors import InputError, RunError, SimlibError, allowed
from simlib.common.files import make_folder, replacing
from simlib.common.shipped import NOTEBOOKS
from simlib.common.text import visible
from simlib.report.finding import Finding, read_finding
from simlib.report.html import safe
from simlib.report.page import finish, sheet

CELL_SECONDS = 3600
LONGEST_PLACE = 70
"""Bytes of the name of a temporary folder: a Unix socket's path has at most 104 on macOS, 108 on Linux; we add some 30."""
SHORT_PLACE = "/tmp"  # noqa: S108 - a folder with a name of its own is made there, which nobody else can open
NOTEBOOK_ONLY = "notebook-only"
"""Tag of a cell for who has the notebook open; no page shows it."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""What a page cannot show, as it has no kernel; what else the output has is shown."""
_TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "list": list[str]}


def find_notebook(name: str) -> Path:
    """A shipped notebook by its name, or any by its path.

    Raises:
        InputError: there is none.
    """
    for path in (NOTEBOOKS / f"{name}.ipynb", Path(name)):
        if path.is_file():
            return path
    raise InputError(f"{name}: no such notebook; {allowed(sorted(path.stem for path in NOTEBOOKS.glob('*.ipynb')))}, or a path")


def known_parameters(notebook: Path) -> dict[str, tuple[str, str]]:
    """The parameters of a notebook: name -> its type, and the default as it is written there.

    Raises:
        InputError: it is no notebook.
    """
    import papermill

    try:
        known = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # papermill and nbformat raise many kinds for a file that is no notebook
        raise InputError(f"{notebook}: not a notebook: {' '.join(str(error).split())[:200]}") from None
    return {name: (one["inferred_type_name"].split("[")[0], one["default"]) for name, one in known.items()}


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the notebook does not have, or whose type is not that of the default.

    Raises:
        InputError: names the notebook, the parameter, its value, and what is allowed.
    """
    known = known_parameters(notebook)
    for name, value in parameters.items():
        if name not in known:
            raise InputError(f"{notebook.name}: no parameter '{name}'; {allowed(sorted(known))}")
        kind, _ = known[name]
        try:
            TypeAdapter(_TYPES.get(kind, Any)).validate_python(value, strict=True)
        except ValidationError:
            raise InputError(f"{notebook.name}: parameter '{name}' is {value!r}; allowed: {kind}") from None


def execute(notebook: Path, parameters: Mapping[str, Any], output: Path, *, progress: bool = False) -> None:
    """Run the notebook with the parameters and write the executed one to `output`, cell by cell.

    Raises:
        InputError: a parameter does not fit.
        RunError: a cell failed; `output` holds everything up to there.
    """
    check_parameters(notebook, parameters)
    with private_folder() as folder:
        _execute(notebook, parameters, output, folder, progress)


def _execute(notebook: Path, parameters: Mapping[str, Any], output: Path, folder: Path, progress: bool) -> None:
    import papermill

    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters=dict(parameters),
            kernel_name="python3",
            cwd=str(Path.cwd()),
            progress_bar=progress,
            log_output=False,
            execution_timeout=CELL_SECONDS,
            shutdown_kernel="immediate",
            kernel_manager_class=_kernel(folder),
            config=_places(folder),
        )
    except papermill.PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(str(error.evalue)) from None
        raise RunError(f"{notebook.name}: cell {error.exec_count} failed: {error.ename}: {error.evalue}") from None
    except RuntimeError as error:  # nbclient's, when the kernel dies or does not answer
        raise RunError(f"{notebook.name}: the kernel ended before it was done (out of memory?): {error}") from None


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder that only this user can look into, with a name short enough for the sockets in it.

    Raises:
        RunError: there is no such place.
    """
    try:
        usual = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise RunError(f"no folder for temporary files; set TMPDIR to one that can be written ({error.strerror})") from None
    place = usual if os.name != "posix" or len(os.fsencode(usual)) <= LONGEST_PLACE else SHORT_PLACE
    try:
        made = tempfile.TemporaryDirectory(prefix="simlib-", dir=place)
    except OSError as error:
        long = f"; {usual} has a longer name than the {LONGEST_PLACE} bytes that sockets allow" if place != usual else ""
        raise RunError(f"{place}: cannot be written: {error.strerror}{long}; set TMPDIR to another folder") from None
    with made as folder:
        yield Path(folder)


def _kernel(folder: Path) -> Any:
    """The manager of kernels that are this Python with `kernel.py`, whatever kernels the machine has; their files in `folder`.

    They listen on Unix sockets where there are any. TCP ports can be taken by another process between their choice and their
    use, and anybody on the machine can connect to them.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    command = [sys.executable, "-P", str(Path(__file__).with_name("kernel.py")), str(os.getpid()), str(folder)]
    started = KernelSpec(argv=[*command, "-f", "{connection_file}"], display_name="simlib", language="python")

    class Manager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return started

    return Manager


def _places(folder: Path) -> Any:
    """Where the manager puts its files: all into `folder`."""
    from traitlets.config import Config

    sockets = {"transport": "ipc", "ip": str(folder / "kernel")} if os.name == "posix" else {}
    return Config({"KernelManager": {"connection_file": str(folder / "connection.json"), **sockets}})


def render(executed: Path, page: Path, title: str, *, error: str = "", external: Path | None = None) -> Finding:
    """Write the executed notebook as one HTML file without its inputs. The same notebook gives the same bytes.

    Args:
        executed: the notebook; where there is none, the page is of the error alone.
        page: the file to write.
        title: of the page.
        error: why the notebook ended early; it stands on top.
        external: a file beside the page that gets its sheet; None: the sheet is in the page.

    Returns:
        what the notebook found.
    """
    import nbformat
    from nbconvert import HTMLExporter

    nodes: Any = nbformat  # it has no types
    notebook = nodes.read(executed, as_version=4) if executed.is_file() else nodes.v4.new_notebook()
    if error:
        notebook.cells.insert(0, _error_cell(title, error))
    finding = Finding() if error else read_finding(notebook)
    notebook.metadata["title"] = visible(title)
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if _is_on_page(cell)]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # papermill's are random
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    exporter = HTMLExporter(  # type: ignore[no-untyped-call] # nbconvert has no types
        template_name="template",
        extra_template_basedirs=[str(Path(__file__).parent)],
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    with replacing(page) as temporary:
        temporary.write_text(finish(body, external.name if external else ""), encoding="utf-8")
    if external:
        with replacing(external) as temporary:
            temporary.write_text(sheet(), encoding="utf-8")
    return finding


def _is_on_page(cell: Any) -> bool:
    return NOTEBOOK_ONLY not in cell.metadata.get("tags", []) and (cell.cell_type == "markdown" or bool(cell.get("outputs")))


def _error_cell(title: str, error: str) -> Any:
    import nbformat

    words = f'<h1>{safe(title)}</h1><div class="verdict"><p><strong>Failed.</strong> {safe(error)}</p></div>'
    shown = nbformat.v4.new_output("display_data", data={"text/html": words})  # type: ignore[no-untyped-call]
    return nbformat.v4.new_code_cell("", outputs=[shown])  # type: ignore[no-untyped-call]


def partly_run(page: Path) -> Path:
    """Where the notebook of a page is left if it fails."""
    return page.with_suffix(".failed.ipynb")


def make_report(
    notebook: Path,
    parameters: Mapping[str, Any],
    page: Path,
    title: str,
    *,
    progress: bool = False,
    external: Path | None = None,
) -> Finding:
    """Run the notebook and write its page; on a failing cell, leave the partly run notebook beside where the page would be.

    Returns:
        what the notebook found.

    Raises:
        InputError: a parameter does not fit, or the notebook says so while it runs.
        RunError: a cell failed; the message says where the partly run notebook is.
    """
    make_folder(page.parent)
    partly = partly_run(page)
    check_parameters(notebook, parameters)
    with private_folder() as folder:
        executed = folder / notebook.name
        try:
            _execute(notebook, parameters, executed, folder, progress)
        except SimlibError as error:
            with replacing(partly) as temporary:
                temporary.write_bytes(executed.read_bytes())
            raise type(error)(f"{error}; the partly run notebook is {partly}") from None
        finding = render(executed, page, title, external=external)
    partly.unlink(missing_ok=True)
    return finding
