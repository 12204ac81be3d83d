"""What becomes of a bug with a cure: one rule for reports and the atlas."""

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["ends", "rarer", "harms", "cannot tell"]


def judge(bug: Mapping[str, Any], cure: Mapping[str, Any], clean: bool) -> Verdict:
    """What becomes of the bug with a cure.

    It `harms` if it clobbers more than the bug, or fails more units of work than the bug clobbered and failed; it `ends` the
    clobbers if it is clean; else it makes them `rarer`, if the intervals say so.

    Args:
        bug: what `run --json` says of the baseline.
        cure: what it says of the other strategy.
        clean: whether the cure cannot clobber, by proof, or was not seen to lose anything at any write site.
    """
    difference, failed = cure["difference_from_baseline"], cure["failed_rate"]
    ends = (difference["low"], difference["high"], failed["low"], bug["clobber_rate"]["high"], bug["failed_rate"]["high"])
    if None in ends:  # too few replicates, or no unit of work
        return "cannot tell"
    if difference["low"] > 0 or failed["low"] > bug["clobber_rate"]["high"] + bug["failed_rate"]["high"]:
        return "harms"
    if clean:
        return "ends"
    return "rarer" if difference["high"] < 0 else "cannot tell"
