"""Numbers as people read them: with as many digits as they carry, and with their intervals."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # lists of strategies have words and no estimates, and want no SciPy
    from simlib.estimate.intervals import Difference, Mean
    from simlib.estimate.overload import Limit
    from simlib.estimate.result import Result


def rate_text(rate: "Mean | Difference") -> str:
    """An estimate with its interval, or with the bound where nothing was seen."""
    from simlib.estimate.intervals import Difference

    low, high = rate.interval() or (math.nan, math.nan)
    return interval_text(rate.estimate, low, high, points if isinstance(rate, Difference) else percent)


def interval_text(estimate: float, low: float, high: float, form: Callable[[float], str] | None = None) -> str:
    """The same of three numbers: shares, unless another form is given; low and high are NaN where there is no interval."""
    form = form or percent
    if math.isnan(low):
        return form(estimate)
    if form is percent and estimate == 0:
        return f"0 (at most {percent(high)})"
    return f"{form(estimate)} ({span(low, high, form)})"


def percent(share: float) -> str:
    """A share in percent with a sensible number of digits: 0.3130 -> 31.3 %, 0.00052 -> 0.052 %."""
    value = 100 * share
    if value != value:
        return "n/a"
    if value == 0:
        return "0 %"
    # Three significant digits from one per cent on, two below.
    digits = (3 if abs(value) >= 0.995 else 2) - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(1, digits)}f} %".replace("-", "−")


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return ("+" if difference > 0 else "") + percent(difference).replace(" %", " pp")


def span(low: float, high: float, form: Callable[[float], str] = percent) -> str:
    """An interval in words."""
    return f"{form(low).removesuffix(' %').removesuffix(' pp')} to {form(high)}"


def milliseconds(seconds: float) -> str:
    """A time in milliseconds with a sensible number of digits."""
    value = seconds * 1000
    return "n/a" if value != value else f"{value:.1f} ms" if value < 99.95 else f"{value:,.0f} ms"


def seconds(value: float) -> str:
    """A time in milliseconds, seconds, minutes or hours, whichever reads best."""
    if value != value:
        return "n/a"
    if value == float("inf"):
        return "to the end"
    if value < 1:
        return milliseconds(value)
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def limit_text(limit: "Limit") -> str:
    """The units of work a second that a strategy can serve: from what was found stable to what was found not to be."""
    low, high = limit.throughput
    if math.isinf(high):
        return f"over {_three_digits(low)}"
    return f"{_three_digits(low)} to {_three_digits(high)}" if low else f"under {_three_digits(high)}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def overload_note(result: "Result") -> str:
    """That the lock is asked for more than it can give, and what that means for the other numbers; empty where it is not."""
    if not (overloaded := result.overloaded):
        return ""
    loads = listed([f"{name} ({load.share:.2f} times)" for name, load in overloaded.items()])
    return (
        f"The lock is asked for more than it can give with {loads}: the queue grows for as long as a run lasts. "
        f"Its waits mean nothing and are left out, and rates hold for {seconds(result.workload.duration)} of it only."
    )


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
