"""The distributions that a workload may name, each as a quantile function of one uniform draw.

One uniform a variate, so that changing a distribution's parameters, or its kind, leaves every other draw as it was, and
moves this one monotonically (common random numbers).
"""

import math
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeFloat, PositiveFloat, Tag
from pydantic import Discriminator as ByKey

from simlib.common import bounds
from simlib.common.arrays import Floats
from simlib.common.files import Strict

_BITS = 53
"""The greatest uniform that a stream draws is 1 - 2^-53."""


class Constant(Strict):
    """Always `value`. A bare number in a workload means this."""

    dist: Literal["constant"] = "constant"
    value: NonNegativeFloat

    @property
    def expected(self) -> float:
        """The mean."""
        return self.value

    @property
    def longest(self) -> float:
        """The greatest draw."""
        return self.value

    def quantile(self, uniform: Floats) -> Floats:
        """`value` for every draw; shape of `uniform`."""
        return np.full(uniform.shape, self.value)


class Exponential(Strict):
    """Exponential with the given mean."""

    dist: Literal["exponential"]
    mean: PositiveFloat

    @property
    def expected(self) -> float:
        """The mean."""
        return self.mean

    @property
    def longest(self) -> float:
        """The greatest draw."""
        return self.mean * _BITS * math.log(2)

    def quantile(self, uniform: Floats) -> Floats:
        """The quantiles at `uniform`, in its shape."""
        return -self.mean * np.log1p(-uniform)


class Lognormal(Strict):
    """Lognormal: the logarithm is normal with mean log(median) and standard deviation sigma."""

    dist: Literal["lognormal"]
    median: PositiveFloat
    sigma: NonNegativeFloat

    @property
    def expected(self) -> float:
        """The mean: median x exp(sigma^2 / 2)."""
        return float(self.median * np.exp(self.sigma * self.sigma / 2))

    @property
    def longest(self) -> float:
        """The greatest draw."""
        return float(self.median * np.exp(self.sigma * NormalDist().inv_cdf(1 - 2.0**-_BITS)))

    def quantile(self, uniform: Floats) -> Floats:
        """The quantiles at `uniform`, in its shape."""
        from scipy import special

        return np.asarray(self.median * np.exp(self.sigma * special.ndtri(uniform)), dtype=np.float64)


class Gamma(Strict):
    """Gamma with the given mean and shape (shape 1 is exponential, larger is steadier)."""

    dist: Literal["gamma"]
    mean: PositiveFloat
    shape: Annotated[float, Field(ge=1e-3, le=1e9)]

    @property
    def expected(self) -> float:
        """The mean."""
        return self.mean

    @property
    def longest(self) -> float:
        """What the greatest draw is at most: mean x (1 + sqrt(2 x / shape) + x / shape), where P(more) is exp(-x) at most.

        Boucheron, Lugosi and Massart, Concentration Inequalities, 2013, section 2.4.
        """
        rare = _BITS * math.log(2) / self.shape
        return self.mean * (1 + math.sqrt(2 * rare) + rare)

    def quantile(self, uniform: Floats) -> Floats:
        """The quantiles at `uniform`, in its shape."""
        from scipy import special

        return np.asarray(special.gammaincinv(self.shape, uniform) * self.mean / self.shape, dtype=np.float64)


class Empirical(Strict):
    """The empirical distribution of measured values, with linear interpolation between neighbours."""

    dist: Literal["empirical"]
    values: list[NonNegativeFloat] = Field(min_length=1)

    @property
    def expected(self) -> float:
        """The mean; between neighbours it is linear."""
        values = np.sort(np.array(self.values, dtype=np.float64))
        return float((values[:-1] + values[1:]).mean() / 2) if values.size > 1 else float(values[0])

    @property
    def longest(self) -> float:
        """The greatest draw."""
        return max(self.values)

    def quantile(self, uniform: Floats) -> Floats:
        """The quantiles at `uniform`, in its shape."""
        return np.asarray(np.quantile(np.array(self.values, dtype=np.float64), uniform), dtype=np.float64)


def scaled(distribution: Any, factor: float) -> Any:
    """The same distribution of a time that is `factor` times as long."""
    data = distribution.model_dump()
    for key in data.keys() & {"value", "mean", "median"}:
        data[key] *= factor
    if "values" in data:
        data["values"] = [value * factor for value in data["values"]]
    return type(distribution).model_validate(data)


def _short(data: Any) -> Any:
    return {"dist": "constant", "value": data} if isinstance(data, int | float) and not isinstance(data, bool) else data


def _kind(data: Any) -> str:
    return str(data.get("dist", "")) if isinstance(data, dict) else str(getattr(data, "dist", ""))


def _computable(distribution: Any) -> Any:
    """Refuse one whose mean or greatest draw is no time that can be computed with."""
    with np.errstate(over="ignore"):
        numbers = {"mean": distribution.expected, "greatest draw": distribution.longest}
    for what, seconds in numbers.items():
        if not seconds <= bounds.LONGEST_DRAW:
            raise ValueError(f"its {what} is {seconds:.3g} s; allowed: at most {bounds.LONGEST_DRAW:.0e} s")
    return distribution


Distribution = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[Exponential, Tag("exponential")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Empirical, Tag("empirical")],
    ByKey(
        _kind,
        custom_error_type="unknown_distribution",
        custom_error_message="not a distribution; write a number, or {dist: KIND, ...}; "
        "allowed: constant, exponential, lognormal, gamma, empirical",
    ),
    BeforeValidator(_short),
    AfterValidator(_computable),
]
"""A number (constant) or one of the distributions by its `dist` key. Times are in seconds."""
