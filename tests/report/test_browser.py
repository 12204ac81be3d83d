"""The page in a real browser with the network off: every picture is there, and it is wide enough to read on a phone."""

import shutil
import subprocess

import pytest

from simlib.report.notebook import find_notebook, make_report

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000",
]  # fmt: skip
PROBE = """<script>addEventListener('load', () => {
  document.body.dataset.pictures = [...document.images].map(image => image.naturalWidth).join(' ');
  document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
})</script></body>"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; .ci/run installs it")]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report with a script that notes what the browser made of it; the page itself forbids scripts."""
    folder = tmp_path_factory.mktemp("page")
    parameters = {"workload": "busy-team", "replicates": 3, "overrides": ["duration=100"]}
    make_report(find_notebook("fix_impact"), parameters, folder / "page.html", "t")
    text = (folder / "page.html").read_text().replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    (folder / "probed.html").write_text(text.replace("</body>", PROBE))
    return folder / "probed.html"


def opened(page, width):
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},900",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    body = done.stdout.split("<body", 1)[1].split(">", 1)[0]
    return {name: body.split(f'data-{name}="', 1)[1].split('"', 1)[0] for name in ("pictures", "overflow")}


def test_every_picture_is_drawn_with_the_network_off(page):
    widths = [int(width) for width in opened(page, 1200)["pictures"].split()]
    assert len(widths) == 8
    assert min(widths) > 100


def test_nothing_is_wider_than_a_narrow_window(page):
    assert int(opened(page, 600)["overflow"]) <= 0
