"""Totals against sums and lists of the same numbers, written out."""

import numpy as np
import pytest

from simlib.estimate.totals import SUMMED, fold, total
from simlib.replay.counts import Cost, Tally
from simlib.replay.efforts import Effort


def tally(number: int) -> Tally:
    """A tally in which every number is another one, and those of `number` + 1 are greater by 1000."""
    base = 1000 * number
    return Tally(
        units=base + 1,
        clobbered_units=base + 2,
        racing_units=base + 3,
        writes=base + 4,
        lost=base + 5,
        clobbers=np.arange(16).reshape(2, 2, 2, 2) + base,
        transactions=np.array([base + 6, base + 7]),
        clobbering=np.array([base + 8, base + 9]),
        noticed=np.array([[base + 10, base + 11]]),
        stood=np.arange(3) + base + 20,
        standing=base + 12,
    )


def cost(number: int) -> Cost:
    base = 1000 * number
    return Cost(
        ended=base + 1, timeouts=base + 2, waited=base + 0.25, held=base + 0.5, waits=np.arange(4) + base,
        holds=np.arange(4) + base + 30, span=base + 0.75,
    )  # fmt: skip


def effort(number: int) -> Effort:
    return Effort(np.arange(5) + 1000 * number, *(1000 * number + part for part in range(40, 49)))


def test_the_totals_of_a_replicate_are_its_tallies_costs_and_efforts_number_by_number() -> None:
    found = total([tally(0), tally(1)], [cost(2), cost(3)], [effort(4), effort(5)])
    assert found.numbers.shape == (2, 1)
    for strategy, (counted, price, rest) in enumerate(((tally(0), cost(2), effort(4)), (tally(1), cost(3), effort(5)))):
        every = vars(counted) | vars(price) | vars(rest)
        assert set(found.sums) == set(SUMMED)
        every["clobbered_fields"] = counted.clobbers.sum(axis=(0, 2, 3))
        assert set(found.numbers.dtype.names) == set(every) - set(SUMMED)
        for name in found.numbers.dtype.names:
            assert np.array_equal(found.numbers[name][strategy, 0], every[name]), name
        for name in SUMMED:
            assert np.array_equal(found.sums[name][strategy], every[name]), name


def test_the_totals_of_one_strategy_are_those_it_has_among_others() -> None:
    alone = total([tally(0)], [cost(2)], [effort(4)])
    among = total([tally(0), tally(1)], [cost(2), cost(3)], [effort(4), effort(5)])
    assert (alone.numbers == among.numbers[:1]).all()
    assert all(np.array_equal(alone.sums[name], among.sums[name][:1]) for name in SUMMED)


def test_a_tally_without_its_cost_is_a_bug() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        total([tally(0), tally(1)], [cost(0)], [effort(0), effort(1)])


def replicates(count: int) -> list[tuple[list[Tally], list[Cost], list[Effort]]]:
    return [([tally(r), tally(r + 10)], [cost(r), cost(r + 20)], [effort(r), effort(r + 30)]) for r in range(count)]


def test_folded_numbers_stand_in_the_order_of_the_replicates_and_tables_are_summed() -> None:
    parts, called = [total(*one) for one in replicates(4)], []
    found = fold(iter(parts), 4, lambda: called.append(1))
    assert len(called) == 4
    assert found.numbers["units"].tolist() == [[1, 1001, 2001, 3001], [10001, 11001, 12001, 13001]]
    assert found.numbers["held"].tolist() == [[0.5, 1000.5, 2000.5, 3000.5], [20000.5, 21000.5, 22000.5, 23000.5]]
    for name in SUMMED:
        assert np.array_equal(found.sums[name], sum(part.sums[name] for part in parts)), name


def test_folded_blocks_are_as_if_folded_at_once() -> None:
    parts = [total(*one) for one in replicates(5)]
    called: list[int] = []
    blocks = fold([fold(parts[:2], 2), fold(parts[2:], 3)], 5, lambda: called.append(1))
    whole = fold(parts, 5)
    assert len(called) == 5
    assert np.array_equal(blocks.numbers, whole.numbers)
    assert all(np.array_equal(blocks.sums[name], whole.sums[name]) for name in SUMMED)


def test_folding_leaves_the_parts_as_they_were() -> None:
    parts = [total(*one) for one in replicates(2)]
    before = [{name: table.copy() for name, table in part.sums.items()} for part in parts]
    fold(parts, 2)
    for part, sums in zip(parts, before, strict=True):
        assert all(np.array_equal(part.sums[name], sums[name]) for name in SUMMED)
