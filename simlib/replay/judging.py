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
    """How one field of a commit is judged: NONE, or 1 + 2 x kind + racing.

    The commit is the one that `evaluator.written` evaluates with the same arguments. `right` and `value` are the value codes
    that the reference and the strategy leave in the field, and `asked` says whether `value` is the request's.
    """
    if value == right:
        return NONE
    field = strategy.field[rule]
    before = entries[fresh, field]
    serial, _ = written(strategy, rule, entries, fresh, fresh, requests, row)
    return found_in(entries[stale, field], before, right, value, asked, serial)


@inlined
def found_in(stale: int, fresh: int, right: int, value: int, asked: bool, serial: int) -> int:
    """The same of a field that is known to be clobbered; `serial` is what the patch says on an up-to-date snapshot, or ABSENT.

    `stale` is what had been read: the snapshot's value, or that of the older entry which a patch was merged over.
    """
    return 1 + 2 * classify(stale, fresh, value, asked) + needs_race(right, fresh, serial)


@inlined
def classify(stale: int, fresh: int, wrong: int, from_request: bool) -> int:
    """The kind of a clobber, an index into KINDS. All arguments but the last are value codes.

    Args:
        stale: what the snapshot showed.
        fresh: what the lock showed.
        wrong: what was committed; the reference leaves something else.
        from_request: whether `wrong` is the request's value.

    Examples:
        >>> KINDS[classify(stale=1, fresh=2, wrong=1, from_request=False)]  # the older value is back
        'reverted'
        >>> KINDS[classify(stale=0, fresh=2, wrong=0, from_request=False)]  # 0 is UNDEFINED
        'erased'
    """
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
    """Whether a clobber needs concurrency: from an up-to-date snapshot, the site would have written what is right.

    `right` and `fresh` are value codes: the reference's result, and what the lock showed. `serial` is what the site's patch
    says on an up-to-date snapshot; it may be ABSENT.
    """
    return right == merged(fresh, serial)
