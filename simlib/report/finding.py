"""What a notebook found, for who lists many reports: a sentence, and rates. It travels beside the HTML of one of its outputs.

A notebook of any kind has a finding if one of its cells shows an object whose `_repr_mimebundle_` has the type `MIME`; the last
one counts.
"""

from typing import Any

from pydantic import Field, field_validator

from simlib.common.files import Strict, validated
from simlib.estimate.intervals import Mean

MIME = "application/vnd.simlib.finding+json"
LONGEST = 10_000
"""Characters of a verdict: a list of a thousand reports stays one that a browser loads."""


class Share(Strict):
    """A rate between 0 and 1 with its 95 % interval, as far as there is one."""

    estimate: float = Field(ge=0, le=1)
    low: float | None = Field(None, ge=0, le=1)
    high: float | None = Field(None, ge=0, le=1)

    @classmethod
    def of(cls, rate: Mean) -> "Share":
        """From an estimate that there is."""
        low, high = rate.interval() or (None, None)
        return cls(estimate=rate.estimate, low=low, high=high)

    def apart(self, other: "Share") -> bool:
        """Whether the two intervals have nothing in common; without an interval, whether the estimates differ."""
        low, high = self._ends()
        others_low, others_high = other._ends()
        return low > others_high or others_low > high

    def _ends(self) -> tuple[float, float]:
        if self.low is None or self.high is None:
            return self.estimate, self.estimate
        return self.low, self.high


class Finding(Strict):
    """What a report says in one sentence, and its rates.

    Attributes:
        verdict: prose, with `code` in backticks and **strong** words; what is longer than LONGEST is cut.
        rates: strategy -> its clobber rate; the baseline first. A notebook's file sorts the keys of what it holds, so there it
            is a list of pairs; a mapping is taken, too.
        failed_units: strategy -> the share of its units of work that fail; likewise, of those of which any did.
        summary: Markdown for a pull request; empty if the notebook has none.
    """

    verdict: str = ""
    rates: dict[str, Share] = Field({}, max_length=100)
    failed_units: dict[str, Share] = Field({}, max_length=100)
    summary: str = ""

    @field_validator("verdict")
    @classmethod
    def _cut(cls, verdict: str) -> str:
        return verdict if len(verdict) <= LONGEST else f"{verdict[: LONGEST - 1]}…"

    @field_validator("rates", "failed_units", mode="before")
    @classmethod
    def _from_pairs(cls, rates: Any) -> Any:
        pairs = isinstance(rates, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in rates)
        return {str(name): share for name, share in rates} if pairs else rates

    def bundle(self) -> dict[str, Any]:
        """It as an output of a notebook: type -> data."""
        data = self.model_dump(mode="json")
        return {MIME: data | {name: [list(pair) for pair in data[name].items()] for name in ("rates", "failed_units")}}


def read_finding(notebook: Any) -> Finding:
    """The finding of an executed notebook (an nbformat node); an empty one if it has none.

    Raises:
        InputError: it is not as it should be; says where.
    """
    bundles = [output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    found = [bundle[MIME] for bundle in bundles if MIME in bundle]
    if not found:
        return Finding()
    data = found[-1] if isinstance(found[-1], dict) else {"verdict": found[-1]}
    return validated(Finding, data, "the finding of the notebook")
