"""A drawn figure as a part of the page: small, in the page's colour scheme, and whole where a policy takes its styles away.

Matplotlib writes each colour into a `style`. Here it becomes an attribute, which no policy strips, and a class, by which the
page's sheet gives it the colour that means the same in a dark scheme.
"""

import re
from xml.etree import ElementTree as Xml

from simlib.report.html import safe

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
DROPPED = {f"{SVG}metadata", f"{SVG}style"}
PAGE = "#ffffff"
DARK = {
    PAGE: "#161b20",
    "#1f2933": "#e6ebf0",
    "#52606d": "#aab5c0",
    "#9aa5b1": "#6f7c88",
    "#b44d12": "#f0904f",
    "#7b2d26": "#c4564b",
    "#d9772b": "#e08a45",
    "#e3b23c": "#ecc766",
    "#3d6f9e": "#5d93c7",
    "#8aa5c0": "#a9c1d9",
    "#1b4332": "#3f8f6c",
    "#95d5b2": "#b5e6cb",
    "#6a4c93": "#8b6cb8",
    "#52b788": "#63c499",
    "#e9dff3": "#efe7f7",
    "#40916c": "#4fa57d",
    "#0b5563": "#2f9bb0",
    "#d6336c": "#e8608f",
    "#7f5539": "#b58463",
    "#2a9d8f": "#3fb8a9",
    "#9d4edd": "#b67ce6",
    "#495057": "#98a2ab",
}
"""Colour of a figure -> what stands for it in a dark scheme."""
FONT = "DejaVu Sans, Verdana, system-ui, sans-serif"
"""The first is what texts were measured with; the others are no wider."""
DEFAULTS = f'font-family="{FONT}" stroke-linejoin="round" stroke-linecap="butt"'
_FONT = re.compile(r"(?:(bold|italic) )?([\d.]+)px .*")
_NUMBER = re.compile(r"-?\d+\.\d+")


def scheme_css() -> str:
    """The rules that give every colour its dark form, and show the narrow figure on a narrow screen."""
    rules = "".join(f".f{light[1:]}{{fill:{dark}}}.s{light[1:]}{{stroke:{dark}}}" for light, dark in DARK.items())
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def inline_svg(picture: bytes, alt: str, *, narrow: bool = False) -> str:
    """An SVG of Matplotlib's as an element of a page; `narrow`: it is hidden, but for a sheet that shows it."""
    root = Xml.fromstring(picture)  # noqa: S314 - drawn here, a moment ago
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    used = {
        each.attrib[name].rpartition("#")[2].removesuffix(")")
        for each in root.iter()
        for name in each.attrib
        if "#" in each.attrib[name]
    }
    body = "".join(_element(child, used) for child in root)
    shown = 'class="narrow" hidden' if narrow else 'class="wide"'
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width * 4 / 3:.0f}" height="{height * 4 / 3:.0f}"'
    return f'<svg {shown} role="img" aria-label="{safe(alt)}" {size} {DEFAULTS}>{body}</svg>'


def _element(one: Xml.Element, used: set[str]) -> str:
    if one.tag in DROPPED:
        return ""
    name = one.tag.removeprefix(SVG)
    body = safe(one.text) if name == "text" and one.text else "".join(_element(child, used) for child in one)
    if name == "defs" and not body:
        return ""
    attributes = _attributes(one, used)
    if name == "g" and not attributes:
        return body
    words = "".join(f' {key}="{safe(value)}"' for key, value in attributes.items())
    return f"<{name}{words}>{body}</{name}>" if body else f"<{name}{words}/>"


def _attributes(one: Xml.Element, used: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in one.attrib.items():
        if key == "style":
            found |= _styles(value)
        elif key != "id" or value in used:
            found["href" if key == LINK else key] = value
    for key in ("d", "x", "y", "width", "height", "points"):
        if key in found:
            found[key] = " ".join(_NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), found[key]).split())
    classes = [f"{key[0]}{found[key][1:]}" for key in ("fill", "stroke") if found.get(key) in DARK]
    return found | ({"class": " ".join(classes)} if classes else {})


def _styles(text: str) -> dict[str, str]:
    """The declarations of a `style` as attributes; a font is that of the whole picture, in a size and perhaps bold."""
    found = {
        name.strip(): value.strip() for name, _, value in (part.partition(":") for part in text.split(";") if part.strip())
    }
    if "font-size" in found:
        found["font-size"] = found["font-size"].removesuffix("px")
    if match := _FONT.fullmatch(found.pop("font", "")):
        found |= {"font-size": match[2]} | ({"font-weight": "bold"} if match[1] == "bold" else {})
    return found
