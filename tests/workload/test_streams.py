"""The streams: numpy's own generator, and what keeps them apart."""

import hashlib

import numpy as np
import pytest

from simlib.workload.streams import LEAST, Streams


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**63 - 1])
def test_streams_against_numpy(seed):
    """Seeds of one word and of two; several replicates at once, of different sizes."""
    sizes = np.array([3, 0, 50, 1])
    for name in ("a", "turn.handler.hold", "initial.lastChannel"):
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big")
        generators = [np.random.default_rng([seed, replicate, key]) for replicate in (0, 5, 999_999, 2**32 - 1)]
        expected = np.concatenate([generator.random(size) for generator, size in zip(generators, sizes, strict=True)])
        assert np.array_equal(Streams(seed, 0, 5, 999_999, 2**32 - 1).uniform(name, sizes), np.maximum(expected, LEAST))


def test_streams_differ_by_seed_replicate_and_name_and_begin_alike_whatever_their_length():
    first = Streams(1, 0).uniform("a", 5)
    assert np.array_equal(Streams(1, 0).uniform("a", 50)[:5], first)
    for other in (Streams(2, 0).uniform("a", 5), Streams(1, 1).uniform("a", 5), Streams(1, 0).uniform("b", 5)):
        assert (other != first).all()
    assert ((first > 0) & (first < 1)).all()
