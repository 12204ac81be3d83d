"""What a reader takes away from a page: its numbers as files, and all that it takes to make the page again."""

import base64
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version

from simlib.common.shipped import CHECKOUT
from simlib.estimate.result import Result
from simlib.report.html import Html, safe

SECONDS = 10
"""For git to answer."""


def numbers(result: Result) -> Html:
    """Links that hold the numbers of a result: a table a strategy, and the JSON of `simlib run --json`."""
    files = {
        "strategies.csv": ("text/csv", result.to_frame().to_csv(index=False)),
        "result.json": ("application/json", json.dumps(result.to_json(), indent=1) + "\n"),
    }
    links = " ".join(_link(name, kind, text) for name, (kind, text) in files.items())
    return Html(f"<p>As files: {links}</p>")


def _link(name: str, kind: str, text: str) -> str:
    data = base64.b64encode(text.encode()).decode("ascii")
    return f'<a download="{safe(name)}" href="data:{kind};base64,{data}">{safe(name)}</a>'


def again(command: str) -> Html:
    """How to make the page again: what to check out, what to run, and with which versions it was made."""
    lines = [*_checkout(), "make env", command.replace("simlib ", ".venv/bin/simlib ", 1)] if CHECKOUT else [command]
    rows = "".join(f"<li>{safe(name)} {safe(number)}</li>" for name, number in versions().items())
    return Html(f"<pre>{chr(10).join(map(safe, lines))}</pre><p>Made with:</p><ul>{rows}</ul>")


def versions() -> Mapping[str, str]:
    """Program -> its version."""
    packages = ("simpy", "numpy", "numba", "pandas")
    return {"simlib": version("simlib"), "Python": platform.python_version()} | {name: version(name) for name in packages}


def _checkout() -> list[str]:
    """The commit, with its date in place of the page's: so that the same commit gives the same page."""
    commit, date = _git("log", "-1", "--format=%h"), _git("log", "-1", "--format=%cs")
    if not commit:
        return []
    changed = ", with changes that are not committed" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return [f"git checkout {commit}   # of {date}{changed}"]


def _git(*words: str) -> str:
    """What git says of the checkout; nothing if it is none, or if there is no git."""
    command = ["git", "-C", str(CHECKOUT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603 - words of ours
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
