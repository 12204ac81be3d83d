"""What makes a rendered notebook a page: its sheet and its policy, and contents."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from simlib.report.inline_svg import scheme_css

_HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', re.S)
STYLE = "<!--simlib:style-->"
"""Where the template leaves room for it."""
FEW = 3
"""Sections of a page that needs no contents."""


@cache
def sheet() -> str:
    """The sheet of every page."""
    text = (Path(__file__).parent / "template" / "page.css").read_text(encoding="utf-8")
    return text + scheme_css()


def finish(page: str, external: str = "") -> str:
    """The page with its sheet, its policy, and its contents after the first section.

    Args:
        page: as the template gives it.
        external: name of a file beside the page that holds the sheet, where pages may have no styles; else it is in the page.
    """
    return _with_contents(page).replace(STYLE, _style(external), 1)


def _style(external: str) -> str:
    """A policy that allows this sheet and nothing else, and the sheet."""
    digest = base64.b64encode(hashlib.sha256(sheet().encode()).digest()).decode()
    if external:
        return f'{_policy("self")}\n<link rel="stylesheet" href="{external}">'
    return f"{_policy(f'sha256-{digest}')}\n<style>{sheet()}</style>"


def _policy(styles: str) -> str:
    return f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{styles}'\">"


def _with_contents(page: str) -> str:
    """Links to the sections, before the first of them."""
    found = _HEADING.findall(page)
    if len(found) < FEW:
        return page
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in found)
    contents = f'<nav aria-label="Contents"><details open><summary>Contents</summary><ol>{links}</ol></details></nav>'
    return _HEADING.sub(lambda match: f"{contents}{match[0]}", page, count=1)
