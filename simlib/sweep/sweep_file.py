"""A sweep file: a workload, the settings that vary, which combinations are run, and how precisely each is wanted."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt, Tag, model_validator

from simlib.common import bounds
from simlib.common.arrays import Floats
from simlib.common.files import Strict, load_yaml, validated
from simlib.common.shipped import find

MOST_CELLS = 1_000_000
DIGITS = 6
"""Significant digits of a value inside a range: enough to be told apart, few enough to be read."""

Scalar = int | float | str
Settings = dict[str, Scalar]
"""Key of the workload -> its value in one cell."""


class Span(Strict):
    """Values from one end to the other, both included; evenly apart, or by an equal factor."""

    low: float = Field(alias="from")
    high: float = Field(alias="to")
    steps: int = Field(10, ge=2, le=10_000, description="how many values, in a grid")
    scale: Literal["linear", "log"] = "linear"
    whole: bool = Field(False, description="rounded to whole numbers")

    @model_validator(mode="after")
    def _in_order(self) -> "Span":
        if self.low >= self.high:
            raise ValueError(f"from: {self.low:g} is not below to: {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"from: {self.low:g} on a log scale; allowed: more than 0")
        return self

    def at(self, shares: Floats) -> list[Scalar]:
        """The value at each share of the way, between 0 and 1."""
        if self.scale == "log":
            values = self.low * (self.high / self.low) ** shares
        else:
            values = self.low + (self.high - self.low) * shares
        return [round(value) if self.whole else float(f"{value:.{DIGITS}g}") for value in values.tolist()]

    def grid(self) -> list[Scalar]:
        """All its values; each once, where rounding makes some of them equal."""
        return list(dict.fromkeys(self.at(np.linspace(0, 1, self.steps))))


class Choice(Strict):
    """Values that are listed."""

    values: list[Scalar] = Field(min_length=1, max_length=10_000)

    def at(self, shares: Floats) -> list[Scalar]:
        """The value at each share of the list."""
        last = len(self.values) - 1
        return [self.values[min(last, int(share * len(self.values)))] for share in shares.tolist()]

    def grid(self) -> list[Scalar]:
        """All of them."""
        return list(self.values)


def _listed(data: Any) -> Any:
    return {"values": data} if isinstance(data, list) else data


def _kind_of_axis(data: Any) -> str:
    return "list" if isinstance(data, Choice) or (isinstance(data, Mapping) and "values" in data) else "range"


Axis = Annotated[
    Annotated[Span, Tag("range")] | Annotated[Choice, Tag("list")], Discriminator(_kind_of_axis), BeforeValidator(_listed)
]


class Grid(Strict):
    """Every combination; the last axis varies fastest."""

    kind: Literal["grid"] = "grid"

    def settings(self, axes: dict[str, "Span | Choice"]) -> list[Settings]:
        """The settings of each cell."""
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*(axis.grid() for axis in axes.values()))]


class Sampled(Strict):
    """So many points spread over the whole space (`scipy.stats.qmc`); Sobol' points are best when they are a power of two."""

    kind: Literal["latin-hypercube", "sobol"]
    cells: int = Field(ge=1, le=MOST_CELLS)
    seed: NonNegativeInt = 1

    def settings(self, axes: dict[str, "Span | Choice"]) -> list[Settings]:
        """The settings of each cell."""
        from scipy.stats import qmc  # it takes a third of a second, and a grid needs none of it

        rng = np.random.default_rng(self.seed)
        if self.kind == "sobol":
            sampler = qmc.Sobol(len(axes), rng=rng)
            power = (self.cells - 1).bit_length()  # `random` warns of numbers that are no power of two
            points = sampler.random_base2(power)[: self.cells]
        else:
            points = qmc.LatinHypercube(len(axes), rng=rng).random(self.cells)
        columns = [axis.at(points[:, number]) for number, axis in enumerate(axes.values())]
        return [dict(zip(axes, values, strict=True)) for values in zip(*columns, strict=True)]


class Saltelli(Strict):
    """Saltelli's design, which Sobol' indices need: N points A, N points B, and for each axis A with that axis taken from B.

    So a sweep of d axes has N (d + 2) cells, in this order; fewer where points of an axis that is a list fall together.
    """

    kind: Literal["saltelli"]
    cells: int = Field(ge=2, le=MOST_CELLS, description="N, a power of two")
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _power(self) -> "Saltelli":
        if self.cells & (self.cells - 1):
            raise ValueError(f"cells: {self.cells} is no power of two; allowed: 2, 4, 8, ...")
        return self

    def settings(self, axes: dict[str, "Span | Choice"]) -> list[Settings]:
        """The settings of each point, in order; some may be alike."""
        from scipy.stats import qmc

        sampler = qmc.Sobol(2 * len(axes), rng=np.random.default_rng(self.seed))
        first, second = np.split(sampler.random_base2(self.cells.bit_length() - 1), 2, axis=1)
        mixed = [np.where(np.arange(len(axes)) == number, second, first) for number in range(len(axes))]
        points = np.concatenate([first, second, *mixed])
        columns = [axis.at(points[:, number]) for number, axis in enumerate(axes.values())]
        return [dict(zip(axes, values, strict=True)) for values in zip(*columns, strict=True)]


def _short_design(data: Any) -> Any:
    return {"kind": data} if isinstance(data, str) else data


Design = Annotated[Annotated[Grid | Sampled | Saltelli, Field(discriminator="kind")], BeforeValidator(_short_design)]


class Precision(Strict):
    """When a cell has replicates enough: every strategy's 95 % interval is narrow enough, or there are `most` of them.

    Narrow enough: half its width is at most `absolute`, or at most `relative` times the rate. Where no clobber is seen only
    `absolute` can be met. With neither given, every cell has `most`. All numbers are of whole blocks.
    """

    relative: PositiveFloat | None = None
    absolute: PositiveFloat | None = None
    most: int = Field(200, ge=2, le=bounds.REPLICATES.high, description="replicates of a cell at most")


class Sweep(Strict):
    """A validated sweep file."""

    sweep: str
    about: str = ""
    workload: str
    case: str = ""
    settings: dict[str, Any] = Field({}, alias="set", description="keys of the workload that are the same in every cell")
    axes: dict[str, Axis] = Field(min_length=1, max_length=50, description="key of the workload -> its values")
    design: Design = Grid()
    strategies: list[str] = []
    seed: NonNegativeInt = 1
    precision: Precision = Precision()
    block: PositiveInt = Field(10, le=1000, description="replicates that are added at a time")

    @model_validator(mode="after")
    def _fits(self) -> "Sweep":
        both = self.axes.keys() & self.settings.keys()
        if both:
            raise ValueError(f"set: {sorted(both)[0]} is an axis as well")
        if isinstance(self.design, Grid):
            cells = 1
            for axis in self.axes.values():
                cells *= axis.steps if isinstance(axis, Span) else len(axis.values)
            if cells > MOST_CELLS:
                raise ValueError(f"axes: some {cells:,} combinations; allowed: {MOST_CELLS:,}")
        if isinstance(self.design, Saltelli) and (cells := self.design.cells * (len(self.axes) + 2)) > MOST_CELLS:
            raise ValueError(f"design: {cells:,} cells; allowed: {MOST_CELLS:,}")
        return self

    def cells(self) -> Sequence[Settings]:
        """The settings of each cell, in a fixed order; two alike are one."""
        found = self.design.settings(self.axes)
        return list({tuple(settings.items()): settings for settings in found}.values())


def load_sweep(name: str) -> Sweep:
    """A sweep by its shipped name or by the path of its YAML file.

    Raises:
        InputError: what is wrong, and where.
    """
    path = find("sweeps", name)
    return validated(Sweep, load_yaml(path), str(path))
