"""Every kind of page in a real browser, against what axe-core asks for people who cannot see it; and nothing is requested."""

import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from simlib.report.notebook import find_notebook, make_report, render

CHROMIUM = shutil.which("chromium")
SIZES = [(1280, 900), (412, 900), (360, 800)]
PAGES = ["fix_impact", "interleavings", "comparison", "error"]
GRAVE = ("serious", "critical")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; .ci/run installs it")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    evil = '<script>alert(1)</script>"\u202e'
    make_report(
        find_notebook("fix_impact"),
        {"workload": "busy-team", "replicates": 3, "overrides": ["duration=60", f"about={evil!r}"]},
        folder / "fix_impact.html",
        evil,
    )
    make_report(find_notebook("interleavings"), {"scopes": ["handler+patch"]}, folder / "interleavings.html", "t")
    sides = {"one": "quiet", "against": "all-sites", "overrides": ["duration=300"], "replicates": 4}
    make_report(find_notebook("comparison"), sides, folder / "comparison.html", "t")
    render(folder / "none.ipynb", folder / "error.html", evil, error=f"it failed: {evil}")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def opened(browser: Browser, path, size=(1280, 900), scheme="light") -> tuple[Page, list[str]]:
    """The page, and what it asked for or complained of."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, bypass_csp=True, offline=True
    )
    page, noise = context.new_page(), []
    page.on("console", lambda message: noise.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("request", lambda request: noise.append(f"request: {request.url}") if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, noise


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_grave_and_the_page_asks_for_nothing(pages, browser, name, size, scheme):
    page, noise = opened(browser, pages / f"{name}.html", size, scheme)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    found = Axe().run(page).response["violations"]
    assert noise == []
    grave = [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
    assert grave == []


def test_by_keyboard_alone_every_detail_opens_and_every_link_is_reached(pages, browser):
    page, _ = opened(browser, pages / "fix_impact.html")
    wanted = page.locator("a[href]:visible, summary:visible").count()
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('a[href], summary')].indexOf(document.activeElement)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or -1 in reached
    assert len(reached - {-1}) == wanted
    closed = page.locator("figure details").first
    closed.locator("summary").focus()
    page.keyboard.press("Enter")
    assert closed.get_attribute("open") is not None


def test_a_hostile_name_is_text(pages, browser):
    page, noise = opened(browser, pages / "error.html")
    assert noise == []
    assert page.locator("script").count() == 0
    assert "alert(1)" in page.inner_text("main")
    assert not re.search("[\u202a-\u202e]", page.inner_text("main"))


def test_screenshots_are_kept_for_who_wants_to_look(pages, browser, request):
    folder = request.config.rootpath / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        for size, scheme in ((SIZES[0], "light"), (SIZES[0], "dark"), (SIZES[2], "light")):
            page, _ = opened(browser, pages / f"{name}.html", size, scheme)
            page.screenshot(path=folder / f"{name}-{size[0]}-{scheme}.png", full_page=True)
    assert len(list(folder.glob("*.png"))) >= 3 * len(PAGES)
