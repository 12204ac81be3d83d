"""Batches of tiny notebooks that need no model: one that works, one that fails, one that kills its kernel."""

from pathlib import Path

import nbformat

SHOW = (
    "class Found:\n"
    "    def _repr_mimebundle_(self, **_):\n"
    "        rates = {'mine': {'estimate': rate, 'low': rate * 0.9, 'high': rate * 1.1}}\n"
    "        return {'application/vnd.simlib.finding+json': {'verdict': verdict, 'rates': rates}, 'text/html': 'shown'}\n"
    "Found()"
)
CELLS = {
    "works": SHOW,
    "fails": "raise ValueError('<script>no</script> luck')",
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "kills": "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",  # the worker
}


def notebooks(folder: Path) -> None:
    """One notebook for each of these cells; each notes in the file `ran` that it ran."""
    for name, cell in CELLS.items():
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        parameters = nbformat.v4.new_code_cell("rate: float = 0.25\nverdict: str = 'fine'\nflag: bool = False\nmark: str = ''")
        parameters.metadata["tags"] = ["parameters"]
        note = f"if mark: open({str(folder / 'ran')!r}, 'a').write(mark + '\\n')\nprint('so far')"
        notebook.cells = [parameters, nbformat.v4.new_code_cell(note), nbformat.v4.new_code_cell(cell)]
        for number, one in enumerate(notebook.cells):
            one["id"] = f"cell-{number}"  # else random: another notebook each time
        nbformat.write(notebook, folder / f"{name}.ipynb")


def batch_file(folder: Path, members: str, more: str = "") -> str:
    """The path of a batch file with these members, beside the notebooks."""
    notebooks(folder)
    path = folder / "batch.yaml"
    path.write_text(f"batch: tiny\nnotebook: works.ipynb\n{more}\nmembers:\n{members}", encoding="utf-8")
    return str(path)
