"""What guards need beyond `Traffic`: the parts of later attempts at a transaction, and those that only guards or replicas have.

Attempt k of a transaction takes from the stream `FLOW.SITE.PART#k` the element that the transaction has in `FLOW.SITE.PART`,
from which attempt 1 is drawn. So it has draws of its own, whatever the strategy, and however many attempts anybody makes.
"""

from typing import NamedTuple

import numpy as np

from simlib.common.arrays import Floats, Ints
from simlib.workload.distributions import Constant
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

PAUSE = "pause"
"""The part that is the uniform by which a pause is moved."""
MIDDLE = 0.5
"""The uniform that moves no pause, and gives a median."""


class Strand(NamedTuple):
    """The transactions of one step of one kind of flow: name of the kind, of the write site, and (n,) their numbers."""

    kind: str
    site: str
    rows: Ints


def strands(workload: Workload, traffic: Traffic) -> list[Strand]:
    """All transactions, by kind and step; each in the order in which the flows arrive."""
    found = []
    for number, name in enumerate(traffic.kinds):
        first = traffic.first[:-1][traffic.kind == number]
        found += [Strand(name, site, first + step) for step, site in enumerate(workload.traffic[name].steps)]
    return found


def draw_part(workload: Workload, traffic: Traffic, strand: Strand, part: str, attempt: int) -> Floats | float:
    """One part of one attempt at each transaction of a strand.

    Args:
        workload: whose distributions they are.
        traffic: the transactions.
        strand: some of them.
        part: a key of `Times`, in seconds; or PAUSE, a uniform of (0, 1).
        attempt: from 1.

    Returns:
        (n,); one number, if they are all the same.
    """
    if traffic.streams is None and hasattr(traffic, part):
        return np.asarray(getattr(traffic, part)[strand.rows], dtype=np.float64)
    distribution = None if part == PAUSE else getattr(workload.times[strand.site], part)
    if isinstance(distribution, Constant):
        return distribution.value
    if traffic.streams is None:
        uniform = np.full(strand.rows.size, MIDDLE)
    else:
        name = f"{strand.kind}.{strand.site}.{part}" + ("" if attempt == 1 else f"#{attempt}")
        uniform = traffic.streams.uniform(name, strand.rows.size)
    return uniform if distribution is None else np.asarray(distribution.quantile(uniform), dtype=np.float64)
