"""The page in a real browser with the network off: every picture is there, and it is wide enough to read on a phone."""

import re
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
  const shown = [...document.querySelectorAll('figure svg')].map(one => one.getBoundingClientRect().width);
  document.body.dataset.pictures = shown.filter(width => width).join(' ');
  const letters = [...document.querySelectorAll('figure svg text')].map(one => one.getBoundingClientRect().height);
  document.body.dataset.letters = Math.min(...letters.filter(height => height));
  document.body.dataset.shut = [...document.querySelectorAll('nav a')].filter(
    link => !document.getElementById(decodeURIComponent(link.hash.slice(1)))).length;
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
    names = ("pictures", "letters", "shut", "overflow")
    return {name: body.split(f'data-{name}="', 1)[1].split('"', 1)[0] for name in names}


def test_every_picture_is_drawn_with_the_network_off_and_the_contents_lead_somewhere(page):
    seen = opened(page, 1400)
    widths = [float(width) for width in seen["pictures"].split()]
    assert len(widths) == 9
    assert min(widths) > 600
    assert seen["shut"] == "0"


@pytest.mark.parametrize("width", [360, 600])
def test_on_a_narrow_screen_nothing_is_wider_and_the_pictures_are_the_narrow_ones(page, width):
    seen = opened(page, width)
    assert float(seen["overflow"]) <= 0
    assert len(seen["pictures"].split()) == 9
    assert float(seen["letters"]) > 8


def test_printed_it_is_whole(page, tmp_path):
    """The command to make it again is on paper, and so are the numbers that a screen folds away."""
    paper = tmp_path / "page.pdf"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={paper}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    folded = tmp_path / "folded.html"
    folded.write_text(page.read_text().replace("details::details-content", "nothing"))
    command[-2:] = [f"--print-to-pdf={tmp_path / 'folded.pdf'}", folded.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    pages = [len(re.findall(rb"/Type\s*/Page\b", file.read_bytes())) for file in (paper, tmp_path / "folded.pdf")]
    assert pages[0] > pages[1] > 3
