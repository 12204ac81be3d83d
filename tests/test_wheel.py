"""The built wheel against the checkout: installed elsewhere, with no checkout in sight, it does the same."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from places import ROOT


def call(*words: object, cwd: Path) -> str:
    """What a command prints on stdout, in an environment that knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["JUPYTER_PATH"] = str(Path(sys.prefix, "share", "jupyter"))  # where nbconvert's own files are
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def simlib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment that has the wheel, and sees the dependencies of the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    call(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    call(*pip, "install", "--no-deps", "--target", site, wheel, cwd=folder)
    # A path in a .pth file brings what is there, but runs no .pth file in it: not the one of our own editable install.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = folder / "env" / "bin" / "simlib"
    command.write_text(f"#!{folder}/env/bin/python\nfrom simlib.__main__ import main\nmain()\n")
    command.chmod(0o755)
    return command


@pytest.mark.slow
def test_an_installed_wheel_runs_replays_and_reports_in_another_folder(simlib: Path, tmp_path: Path) -> None:
    where = call(simlib.with_name("python"), "-c", "import simlib; print(simlib.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(simlib.parents[1])
    little = ("--replicates", "2", "--set", "duration=20")
    ours = call(sys.executable, "-m", "simlib", "run", "busy-team", *little, "--json", cwd=ROOT)
    assert call(simlib, "run", "busy-team", *little, "--json", cwd=tmp_path) == ours
    assert "reproduced: " in call(simlib, "replay", "store-2026.4.22-after-19328", cwd=tmp_path)
    page = call(simlib, "report", "busy-team", *little, cwd=tmp_path).strip()
    assert page == "reports/fix-impact-busy-team.html"
    assert "<figcaption>" in (tmp_path / page).read_text(encoding="utf-8")
    assert call(simlib, "new-case", "cart", cwd=tmp_path).startswith("cart.yaml\ncart-traffic.yaml\n")
    assert call(simlib, "workloads", cwd=tmp_path) == call(sys.executable, "-m", "simlib", "workloads", cwd=ROOT)
