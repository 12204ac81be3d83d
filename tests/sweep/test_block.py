"""Stored blocks, against what was stored; and whatever is not that block is refused."""

import numpy as np
import pytest
from sweeps import tiny_sweep

from simlib.common.errors import InputError
from simlib.estimate.experiment import ENGINES
from simlib.sweep.block import Block, Job, from_bytes, simulate_block, simulate_jobs, to_bytes
from simlib.sweep.plan import Plan, make_plan

ADDRESS = "ab" * 16


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan(tiny_sweep(tmp_path_factory.mktemp("sweep")))


@pytest.fixture(scope="module")
def block(plan: Plan) -> Block:
    return simulate_block(plan.case, plan.strategies, 1, "compiled", Job(ADDRESS, plan.workload(0), 4, 4))


def test_a_block_comes_back_as_it_was_and_its_bytes_depend_on_nothing_else(plan: Plan, block: Block) -> None:
    data = to_bytes(block, ADDRESS, 4)
    back = from_bytes(data, ADDRESS, 4)
    assert back.totals.numbers.dtype == block.totals.numbers.dtype
    assert (back.totals.numbers == block.totals.numbers).all()
    assert back.totals.sums.keys() == block.totals.sums.keys()
    for name, table in block.totals.sums.items():
        np.testing.assert_array_equal(back.totals.sums[name], table, strict=True)
    np.testing.assert_array_equal(back.conditional, block.conditional, strict=True)
    assert simulate_jobs(plan.case, plan.strategies, 1, "compiled", [Job(ADDRESS, plan.workload(0), 4, 4)]) == [data]


def test_both_engines_give_the_same_block(plan: Plan, block: Block) -> None:
    job = Job(ADDRESS, plan.workload(0), 4, 4)
    assert len({to_bytes(simulate_block(plan.case, plan.strategies, 1, engine, job), ADDRESS, 4) for engine in ENGINES}) == 1


def test_a_file_that_is_cut_changed_or_another_block_is_refused(block: Block) -> None:
    data = to_bytes(block, ADDRESS, 4)
    flipped = bytearray(data)
    flipped[200] ^= 1
    for damaged in (b"", data[:-20], data[: len(data) // 2], bytes(flipped)):
        with pytest.raises(InputError, match="cannot be read"):
            from_bytes(damaged, ADDRESS, 4)
    with pytest.raises(InputError, match="is block 4 of the cell abababab"):
        from_bytes(data, ADDRESS, 0)
    with pytest.raises(InputError, match="is block 4 of the cell abababab"):
        from_bytes(data, "cd" * 16, 4)


def test_a_block_that_cannot_be_simulated_says_why_and_the_next_one_is_simulated(plan: Plan) -> None:
    jobs = [Job(ADDRESS, plan.workload(0), -4, 4), Job(ADDRESS, plan.workload(0), 0, 4)]
    reason, data = simulate_jobs(plan.case, plan.strategies, 1, "compiled", jobs)
    assert isinstance(reason, str)
    assert reason
    assert isinstance(data, bytes)
