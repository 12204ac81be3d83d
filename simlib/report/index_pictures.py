"""Two small pictures for a list of reports, as SVG in the page: the rates of a report, and one rate over time."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from simlib.common.text import visible
from simlib.estimate.wording import interval_text
from simlib.report.figure import ACCENT, FAINT, INK
from simlib.report.finding import Share
from simlib.report.html import safe

LOWEST = 1e-6
"""Where the scale of rates begins; it is the same in every row, so that rows can be compared."""
MOST_STRATEGIES = 8
MOST_POINTS = 60
_NAMES, _PLOT, _LINE = 90, 110, 12
_WIDTH, _HEIGHT = 170, 44


def words(share: Share) -> str:
    """A rate with its interval."""
    low, high = (math.nan, math.nan) if share.low is None or share.high is None else (share.low, share.high)
    return interval_text(share.estimate, low, high)


def rates_picture(rates: Mapping[str, Share]) -> str:
    """A line a strategy: its rate and interval on a logarithmic scale; a hollow mark is a bound, as nothing was seen."""
    shown = list(rates.items())[:MOST_STRATEGIES]
    if not shown:
        return ""
    lines = "".join(_rate(number, name, share) for number, (name, share) in enumerate(shown))
    alt = safe("; ".join(f"{name} {words(share)}" for name, share in shown))
    height = _LINE * len(shown) + 12
    ends = f'<text x="{_NAMES}" y="{height - 1}">0.0001 %</text>'
    ends += f'<text x="{_NAMES + _PLOT}" y="{height - 1}" text-anchor="end">100 %</text>'
    return _picture(_NAMES + _PLOT + 6, height, alt, lines + ends)


def _rate(number: int, name: str, share: Share) -> str:
    y = _LINE * number + 6
    low, high = (share.estimate if end is None else end for end in (share.low, share.high))
    seen = share.estimate > 0
    x, fill = (_across(share.estimate), INK) if seen else (_across(high), "#fff")
    mark = f'<circle cx="{x}" cy="{y}" r="3" fill="{fill}" stroke="{INK}"/>'
    label = safe(visible(name, 16, 16))
    return (
        f'<text x="0" y="{y + 3}">{label}</text><path d="M{_NAMES} {y}h{_PLOT}" stroke="#dde3e9"/>'
        f'<path d="M{_across(low)} {y}H{_across(high)}" stroke="{INK}"/>{mark}'
    )


def _across(rate: float) -> float:
    share = 1 - math.log(max(rate, LOWEST)) / math.log(LOWEST)
    return round(_NAMES + _PLOT * share, 1)


def trend_picture(shares: Sequence[Share], changes: Sequence[bool]) -> str:
    """A rate over time with its intervals, the newest on the right.

    A dotted line: it was made of something else than the one before. Filled in colour: its interval has nothing in common with
    that of the one before.

    Args:
        shares: the oldest first.
        changes: of each, whether what it was made of changed.
    """
    if len(shares) < 2:
        return ""
    apart = [False, *(one.apart(other) for other, one in pairwise(shares))]
    kept = list(zip(shares, changes, apart, strict=True))[-MOST_POINTS:]
    top = max(max(share.estimate, share.high or 0.0) for share, _, _ in kept) or 1.0
    step = (_WIDTH - 12) / (len(kept) - 1)
    drawn, line = [], []
    for number, (share, change, moved) in enumerate(kept):
        x = round(6 + step * number, 1)
        y, low, high = (_down(share.estimate if end is None else end, top) for end in (share.estimate, share.low, share.high))
        line.append(f"{x} {y}")
        if change:
            drawn.append(f'<path d="M{x} 0V{_HEIGHT}" stroke="{FAINT}" stroke-dasharray="2 2"/>')
        drawn.append(f'<path d="M{x} {low}V{high}" stroke="{INK}"/>')
        drawn.append(f'<circle cx="{x}" cy="{y}" r="{3 if moved else 2}" fill="{ACCENT if moved else INK}"/>')
    path = f'<path d="M{"L".join(line)}" fill="none" stroke="{FAINT}"/>'
    alt = safe(f"{len(kept)} runs: first {words(kept[0][0])}, last {words(kept[-1][0])}")
    return _picture(_WIDTH, _HEIGHT, alt, path + "".join(drawn))


def _down(rate: float, top: float) -> float:
    return round(_HEIGHT - 4 - (_HEIGHT - 8) * rate / top, 1)


def _picture(width: int, height: int, alt: str, drawn: str) -> str:
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">'
        f"<title>{alt}</title>{drawn}</svg>"
    )
