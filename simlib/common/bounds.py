"""The lowest and the highest of every number that people give, in one place, each with its reason.

What is beyond is a slip of the pen, or a run that would never end: it is refused at once, and not when the memory is full.
Options and models of YAML files use these constants; a library function calls `check`.
"""

from typing import NamedTuple

from simlib.common.errors import InputError, shown


class Bounds(NamedTuple):
    """The lowest and the highest value allowed."""

    low: float
    high: float

    def check(self, what: str, value: float) -> None:
        """Refuse a value that is out of bounds.

        Raises:
            InputError: names `what`, the value and what is allowed.

        Examples:
            >>> REPLICATES.check("replicates", 2_000_000)
            Traceback (most recent call last):
                ...
            simlib.common.errors.InputError: replicates: 2000000 is too large; allowed: 1 to 1,000,000
        """
        if not self.low <= value <= self.high:
            size = "too small" if value < self.low else "too large" if value > self.high else "no number"
            raise InputError(f"{what}: {shown(value)} is {size}; allowed: {self.low:,} to {self.high:,}")


SEED = Bounds(0, 2**63 - 1)
"""What every tool that keeps a seed as an integer can hold."""
REPLICATES = Bounds(1, 1_000_000)
"""A million replicates tell a rate of one in a million units even if each replicate has only a few."""
GATE_REPLICATES = Bounds(2, 1_000_000)
"""At which a gate gives up; of one replicate there is no interval."""
GATE_LIMIT = Bounds(1e-9, 1 - 1e-9)
"""Of a rate; less than one in a thousand million units of work cannot be told from none."""
GATE_CONFIDENCE = Bounds(0.5, 1 - 1e-6)
PREDICTIONS = Bounds(2, 1_000)
"""Replicates of the model for each prediction of a validation; with a thousand an interval's ends are known to 1 %."""
JOBS = Bounds(1, 256)
"""Processes; beyond the processors of a machine they only cost memory, some 150 MB each."""
STALE_READS = Bounds(0, 16)
"""Commits; a scope that can be searched has no more."""
SCOPE = Bounds(1, 6)
"""Flows of a small scope; their schedules grow with the factorial."""

LONGEST = 1_000_000_000.0
"""Seconds, some thirty years; so far from zero a float still tells a tenth of a microsecond."""
SECONDS = Bounds(0.0, LONGEST)
LONGEST_DRAW = 1e12
"""Seconds; the mean of a distribution, and its greatest draw. A time is added to others, and beyond this a float no longer
tells milliseconds apart."""
PAUSE = Bounds(0.0001, LONGEST)
"""Seconds between two tries for a lock; with shorter ones a wait would be more tries than can be simulated."""
DURATION = Bounds(0.001, LONGEST)
"""Seconds of arrivals; in less than a millisecond nothing arrives."""
PERIOD = Bounds(0.001, LONGEST)
"""Seconds; mean length of a busy or an idle period, or of a day."""
RATE = Bounds(0.0, 1_000_000.0)
"""Flows a second; a store that commits more is not one that locks a file."""
RAREST = 1e-12
"""Flows a second; less than one in thirty thousand years is none."""
WEIGHT = Bounds(1e-9, 1e9)
"""Weights are relative: a shape of a ninth decimal is never drawn, and sums stay finite."""
EXPONENT = Bounds(0.0, 20.0)
"""Of a Zipf law; from 20 on, the first session gets all but a millionth of the traffic."""
SESSIONS = Bounds(1, 1_000_000)
PROCESSES = Bounds(1, 1_000)
"""Processes that share a simulated store."""
TRANSACTIONS = Bounds(0, 20_000_000)
"""Expected in one replicate; shorter ones, and more of them, tell more."""

NAME = Bounds(1, 200)
"""Characters of the name of a case or a workload."""
RULE = Bounds(0, 2_000)
"""Characters of a rule; the longest shipped one has 60."""
CONDITIONS = Bounds(0, 50)
"""Of one rule, for each of `unless` and `only_if`."""
STEPS = Bounds(1, 50)
"""Steps of one flow."""
KINDS = Bounds(1, 200)
"""Kinds of flow of a workload."""
FIELDS = Bounds(1, 500)
"""Fields of an entry; also keys of a request, and values of `effective`."""
SITES = Bounds(1, 100)
STRATEGIES = Bounds(1, 100)
ATTEMPTS = Bounds(1, 1_000)
"""Of a guarded transaction; `unlimited` is as many. One that needs more would never commit."""
PAUSE_FACTOR = Bounds(1, 1_000)
RULES = Bounds(0, 10_000)
"""Rules of a case, one for each field at each write site of each strategy; compiling takes some 100 microseconds each."""

TESTBED_SECONDS = Bounds(0.01, 86_400.0)
"""A testbed takes as long as it runs: a day at most."""
TESTBED_PROCESSES = Bounds(1, 64)
"""Real ones, some 100 MB each."""
ENTRY_BYTES = Bounds(0, 10_000_000)
STORE_BYTES = Bounds(0, 200_000_000)
"""All entries together; a file store is written anew at each commit."""
