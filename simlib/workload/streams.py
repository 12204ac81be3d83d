"""The random streams: keyed by (seed, replicate, name), and drawn for many replicates at once.

A stream is numpy's `Generator(PCG64(SeedSequence([seed, replicate, key of the name])))`, which takes some ten microseconds to
set up: most of what a short stream costs. So both algorithms stand here again, compiled; a test compares them with numpy's.
Sources: numpy, doc/source/reference/random, and NEP 19; M. E. O'Neill, "PCG: a family of simple fast space-efficient
statistically good algorithms for random number generation", HMC-CS-2014-0905 (PCG64 is the variant XSL RR 128/64); and for the
seeds her "Developing a seed_seq alternative", 2015. All numbers are unsigned, 64 bits wide, and wrap around.
"""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlib.common.arrays import Floats, Ints
from simlib.common.compilation import inlined, lean

Words = NDArray[np.uint64]
"""Words of 32 bits, lowest first, each in an integer of its own."""

U = np.uint64
LOW, HALF = U(0xFFFFFFFF), U(32)
HASH, HASH_BY, SEED, SEED_BY = U(0x43B0D7E5), U(0x931E8875), U(0x8B51F9DD), U(0x58F38DED)
MIX, MIX_BY, SHIFT = U(0xCA01F9DD), U(0x4973F715), U(16)
STEP_HIGH, STEP_LOW = U(2549297995355413924), U(4865540595714422341)
"""By which the state of PCG64, a number of 128 bits, is multiplied at each step."""
ZERO, ONE, ROTATE, WIDTH, LAST, UNUSED = U(0), U(1), U(58), U(64), U(63), U(11)
POOL = 4
"""Words of a seed sequence's state."""
GRID, LEAST = 2.0**-53, 2.0**-54
"""Uniforms are multiples of GRID; in place of zero stands LEAST, so that each has a logarithm."""


class Streams:
    """The random streams of one replicate, or of several.

    Args:
        seed: the root of all, at least 0.
        replicates: numbers below 2^32.
    """

    def __init__(self, seed: int, *replicates: int) -> None:
        self._seed, self._replicates = seed, replicates
        self.roots = np.array([[*_words(seed), replicate] for replicate in replicates], dtype=U)

    def __len__(self) -> int:
        return len(self.roots)

    def split(self) -> list["Streams"]:
        """Those of each replicate."""
        return [Streams(self._seed, replicate) for replicate in self._replicates]

    def uniform(self, name: str, size: int | Ints) -> Floats:
        """Uniforms of (0, 1) from the stream of that name: `size` for one replicate after the other.

        A longer request begins with the shorter one's.
        """
        sizes = np.full(len(self), size, dtype=np.int64)
        uniforms = np.empty(int(sizes.sum()))
        with np.errstate(over="ignore"):  # which matters only where this is not compiled
            _draw(self.roots, _key(name), sizes, np.empty(POOL, dtype=U), uniforms)
        return uniforms


@lru_cache(maxsize=4096)
def _key(name: str) -> Words:
    return np.array(_words(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big")), dtype=U)


def _words(number: int) -> list[int]:
    """The number's words; of 0, one."""
    return [number >> shift & 0xFFFFFFFF for shift in range(0, max(1, number.bit_length()), 32)]


@lean
def _draw(roots: Any, key: Any, sizes: Any, pool: Any, uniforms: Any) -> None:
    """Fill `uniforms`, for each of the roots as many as its size says."""
    place = 0
    for number in range(sizes.size):
        _mix(roots[number], key, pool)
        high, low, odd_high, odd_low = _seeded(pool)
        for _ in range(sizes[number]):
            high, low = _step(high, low, odd_high, odd_low)
            rotation, folded = high >> ROTATE, high ^ low
            bits = folded >> rotation | folded << (WIDTH - rotation & LAST)
            uniforms[place] = max(LEAST, (bits >> UNUSED) * GRID)
            place += 1


@inlined
def _mix(root: Any, key: Any, pool: Any) -> None:
    """The pool of the seed sequence of these words."""
    scale, size = HASH, root.size + key.size
    for place in range(POOL):
        scale, pool[place] = _hashed(_word(root, key, place) if place < size else ZERO, scale, HASH_BY)
    for source in range(POOL):
        for place in range(POOL):
            if place != source:
                scale, word = _hashed(pool[source], scale, HASH_BY)
                pool[place] = _mixed(pool[place], word)
    for source in range(POOL, size):
        for place in range(POOL):
            scale, word = _hashed(_word(root, key, source), scale, HASH_BY)
            pool[place] = _mixed(pool[place], word)


@inlined
def _word(root: Any, key: Any, place: int) -> Any:
    return root[place] if place < root.size else key[place - root.size]


@inlined
def _hashed(word: Any, scale: Any, by: Any) -> Any:
    """The next scale, and the word hashed with it."""
    following = scale * by & LOW
    word = (word ^ scale) * following & LOW
    return following, word ^ word >> SHIFT


@inlined
def _mixed(one: Any, other: Any) -> Any:
    word = MIX * one - MIX_BY * other & LOW
    return word ^ word >> SHIFT


@inlined
def _seeded(pool: Any) -> Any:
    """The generator's first state and its increment, high and low half each."""
    scale = SEED
    scale, high = _two_words(pool, 0, scale)
    scale, low = _two_words(pool, 2, scale)
    scale, odd_high = _two_words(pool, 0, scale)
    scale, odd_low = _two_words(pool, 2, scale)
    odd_high, odd_low = odd_high << ONE | odd_low >> LAST, odd_low << ONE | ONE
    high, low = _sum(high, low, odd_high, odd_low)
    return (*_step(high, low, odd_high, odd_low), odd_high, odd_low)


@inlined
def _two_words(pool: Any, place: int, scale: Any) -> Any:
    scale, low = _hashed(pool[place], scale, SEED_BY)
    scale, high = _hashed(pool[place + 1], scale, SEED_BY)
    return scale, high << HALF | low


@inlined
def _step(high: Any, low: Any, odd_high: Any, odd_low: Any) -> Any:
    """The state after a step: state x STEP + increment."""
    over, product = _product(low, STEP_LOW)
    return _sum(over + high * STEP_LOW + low * STEP_HIGH, product, odd_high, odd_low)


@inlined
def _sum(high: Any, low: Any, other_high: Any, other_low: Any) -> Any:
    total = low + other_low
    return high + other_high + (ONE if total < low else ZERO), total


@inlined
def _product(one: Any, other: Any) -> Any:
    """All 128 bits of the product of two numbers, high and low half."""
    one_high, one_low, other_high, other_low = one >> HALF, one & LOW, other >> HALF, other & LOW
    low, left, right, high = one_low * other_low, one_high * other_low, one_low * other_high, one_high * other_high
    middle = (low >> HALF) + (left & LOW) + (right & LOW)
    return high + (left >> HALF) + (right >> HALF) + (middle >> HALF), one * other
