"""The process in which a notebook runs: an IPython kernel that imports nothing from the current folder.

`notebook.py` starts this file as a script, with Python's safe path (`-P`): PARENT FOLDER ARGUMENT... Sockets and the connection
file are in FOLDER. The kernel ends when the process PARENT is gone or has removed FOLDER, and leaves no FOLDER behind.
"""

import importlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path

BETWEEN = 0.5
"""Seconds between two looks at whether the parent is still there."""


def main() -> None:
    """Be a kernel, until it is shut down."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    importlib.import_module("simlib.common.import_path").drop_first()
    parent, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ["IPYTHONDIR"] = str(folder / "ipython")  # no settings and no start-up files of the person's own
    threading.Thread(target=_end_with_parent, args=(parent, folder), daemon=True).start()
    launch = importlib.import_module("ipykernel.kernelapp").launch_new_instance
    launch(argv=sys.argv[3:])


def _end_with_parent(parent: int, folder: Path) -> None:
    while os.getppid() == parent and folder.is_dir():
        time.sleep(BETWEEN)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
