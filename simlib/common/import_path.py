"""Where modules are looked for: never in the current folder, which may hold files of somebody else.

Until this is done any import may come from that folder, so this module imports only what Python itself has loaded by then.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is not loaded yet


def drop_first() -> None:
    """Take the first place off `sys.path`: the one in which this simlib was found, as after `python -m simlib`.

    If no other place has the very same simlib (a checkout that was not installed), its folder is searched last, after
    everything that is installed.
    """
    del sys.path[0]
    found = next((spec for finder in sys.meta_path if (spec := finder.find_spec("simlib", None))), None)
    if found is None or found.origin != os.path.join(_PACKAGE, "__init__.py"):  # noqa: PTH118
        sys.path.append(os.path.dirname(_PACKAGE))  # noqa: PTH120
