"""Judging a commit: whether it clobbers a field, in which way, and whether that takes a race.

A clobber is a field where the committed value differs from the reference, which is what the same transaction would have written
in a serial execution. Replay and search both ask here.
"""

from typing import Any

from simlib.case.evaluator import merged, written
from simlib.case.rules import UNDEFINED, Program
from simlib.common.compilation import inlined

KINDS = ("erased", "reverted", "resurrected", "overtaken", "suppressed")
ERASED, REVERTED, RESURRECTED, OVERTAKEN, SUPPRESSED = range(5)
KIND_MEANINGS = {
    "erased": "a defined value is gone",
    "reverted": "an older value came back over a newer one",
    "resurrected": "a field had been cleared, and the old value is back",
    "overtaken": "the request's value, written on a stale check, landed where it should not",
    "suppressed": "a value that the request asked for was not written",
}
NONE = 0
"""No clobber. Every other finding is 1 + 2 x kind + racing."""


@inlined
def finding(
    strategy: Program, rule: int, entries: Any, stale: int, fresh: int, requests: Any, row: int,
    right: int, value: int, asked: bool,
) -> int:  # fmt: skip
    """What is to be said of one field of a commit: NONE, or 1 + 2 x kind + racing.

    The commit is the one of `evaluator.written(strategy, rule, ...)`. The strategy leaves `value` in the field, taken from the
    request if `asked`; the reference leaves `right`.
    """
    if value == right:
        return NONE
    field = strategy.field[rule]
    before = entries[fresh, field]
    serial, _ = written(strategy, rule, entries, fresh, fresh, requests, row)
    return 1 + 2 * classify(entries[stale, field], before, value, asked) + needs_race(right, before, serial)


@inlined
def classify(stale: int, fresh: int, wrong: int, from_request: bool) -> int:
    """The kind of a clobber, given that `wrong` was committed and is not what the reference says."""
    if wrong == fresh:
        return SUPPRESSED
    if wrong == UNDEFINED:
        return ERASED
    if from_request:
        return OVERTAKEN
    if fresh == UNDEFINED and stale == wrong:
        return RESURRECTED
    return REVERTED


@inlined
def needs_race(right: int, fresh: int, serial: int) -> bool:
    """Whether a clobber needs concurrency: the site's patch on an up-to-date snapshot, `serial`, would have been right."""
    return right == merged(fresh, serial)
