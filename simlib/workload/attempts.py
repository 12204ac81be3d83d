"""What guards need beyond `Traffic`: the parts of later attempts at a transaction, and those that only guards or replicas have.

Attempt k of a transaction takes from the stream `FLOW.SITE.PART#k` the element that the transaction has in `FLOW.SITE.PART`,
from which attempt 1 is drawn. So it has draws of its own, whatever the strategy, and however many attempts anybody makes.
"""

from collections.abc import Collection

import numpy as np

from simlib.common.arrays import Floats, Ints
from simlib.workload.distributions import Constant
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

PAUSE = "pause"
"""The part that is the uniform by which a pause is moved."""
MIDDLE = 0.5
"""The uniform that moves no pause, and gives a median."""


def draw_part(workload: Workload, traffic: Traffic, part: str, attempt: int, sites: Collection[str]) -> Floats:
    """One part of one attempt at each transaction.

    Args:
        workload: whose distributions they are.
        traffic: the transactions.
        part: a key of `Times`, in seconds; or PAUSE, a uniform of (0, 1).
        attempt: from 1.
        sites: the write sites that need it.

    Returns:
        (transactions,); 0 at other sites.
    """
    drawn = np.zeros(traffic.site.size)
    suffix = "" if attempt == 1 else f"#{attempt}"
    for number, name in enumerate(traffic.kinds):
        flows = np.flatnonzero(traffic.kind == number)
        for step, site in enumerate(workload.traffic[name].steps):
            if site in sites:
                rows = traffic.first[flows] + step
                drawn[rows] = _drawn(workload, traffic, part, rows, site, f"{name}.{site}.{part}{suffix}")
    return drawn


def _drawn(workload: Workload, traffic: Traffic, part: str, rows: Ints, site: str, stream: str) -> Floats | float:
    """The part of these transactions, all of one step of one kind of flow."""
    if traffic.streams is None and hasattr(traffic, part):
        return np.asarray(getattr(traffic, part)[rows], dtype=np.float64)
    distribution = None if part == PAUSE else getattr(workload.times[site], part)
    if isinstance(distribution, Constant):
        return distribution.value
    uniform = traffic.streams.uniform(stream, rows.size) if traffic.streams else np.full(rows.size, MIDDLE)
    return uniform if distribution is None else np.asarray(distribution.quantile(uniform), dtype=np.float64)
