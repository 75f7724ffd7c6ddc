"""The random words are Philox4x64-10, and the numbers made of them are exact."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case.fills import FILLS, bits

WORD = 2**64
SEEDS = st.integers(0, WORD - 1)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 in integers, from the definition in section 4.3 of the paper."""
    for _ in range(10):
        first, third = counter[0] * 0xD2E7470EE14C6C93, counter[2] * 0xCA5A826395121157
        counter = [
            third // WORD ^ counter[1] ^ key[0],
            third % WORD,
            first // WORD ^ counter[3] ^ key[1],
            first % WORD,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) % WORD, (key[1] + 0xBB67AE8584CAA73B) % WORD]
    return counter


def expected_words(count: int, seed: int, name: str, part: int) -> list[int]:
    """Return the words of a stream by the definition of its key and counter."""
    key = [seed, int.from_bytes(name[:7].encode().ljust(7, b"\0") + bytes([part]), "little")]
    blocks = [philox([b + 1, 0, 0, 0], key) for b in range(-(-count // 4))]
    return [word for block in blocks for word in block][:count]


@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [
        ([0] * 4, [0] * 2, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
        (
            [WORD - 1] * 4,
            [WORD - 1] * 2,
            "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        ),
        (
            [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
            [0x452821E638D01377, 0xBE5466CF34E90C6C],
            "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
        ),
    ],
)
def test_known_answers(counter, key, block):
    """The test's own Philox gives the vectors that Random123 publishes for philox4x64 10."""
    found = [f"{word:016x}" for word in philox(counter, key)]

    assert found == block.split()


@given(st.integers(0, 9), SEEDS, st.sampled_from([*FILLS]), st.integers(0, 255))
def test_words(count, seed, name, part):
    """Words are those of Philox4x64-10 with the documented key, from counter 1 on."""
    found = bits.words(count, seed=seed, name=name, part=part)

    assert found.tolist() == expected_words(count, seed, name, part)


def test_words_in_threads():
    """Threads that draw at once do not disturb one another."""
    expected = [bits.words(5000, seed=seed, name="a").tolist() for seed in range(50)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda seed: bits.words(5000, seed=seed, name="a").tolist(), range(50))

    assert list(found) == expected


def test_stream_names():
    """No two fills share a stream: the first seven letters of their names differ."""
    assert len({name[: bits.NAME_BYTES] for name in FILLS}) == len(FILLS)


@given(SEEDS)
def test_units(word):
    """A unit is the odd multiple of 2^-53 in the middle of its word's 52-bit interval."""
    found = bits.units(np.array([word], dtype=np.uint64))[0]

    assert Fraction(float(found)) == (Fraction(word >> 12) + Fraction(1, 2)) / 2**52


@given(st.lists(SEEDS, min_size=4, max_size=4))
def test_bells(block):
    """A bell is the sum of twelve 16-bit fields and a finer one, centred, without rounding."""
    fields = [word >> shift & 0xFFFF for word in block[:3] for shift in (0, 16, 32, 48)]
    fine = Fraction((block[3] >> 31) * 2 + 1, 2**34) - Fraction(1, 2)
    exact = (sum(fields) - Fraction(12 * 0xFFFF, 2) + fine) / 2**16

    found = bits.bells(np.array(block, dtype=np.uint64))[0]

    assert Fraction(float(found)) == exact


@pytest.mark.parametrize("word", [0, WORD - 1])
def test_bells_range(word):
    """The ends of the bell are the same but for their sign, a little beyond 6."""
    found = float(bits.bells(np.full(4, word, dtype=np.uint64))[0])

    assert abs(found) == 393210.5 * 2.0**-16 - 2.0**-50


@given(SEEDS, st.integers(1, 2**32))
def test_below(word, bound):
    """An integer below a bound is the bound's share of the word's upper half."""
    found = bits.below(np.array([word], dtype=np.uint64), bound)[0]

    assert found == (word // 2**32) * bound // 2**32


@given(SEEDS)
def test_signs(word):
    """A sign is the word's parity."""
    assert bits.signs(np.array([word], dtype=np.uint64))[0] == (-1) ** (word % 2)


@pytest.mark.parametrize("count", [0, 1, 8191, 8192, 8193, 20000])
def test_bells_of_a_stream(count):
    """Bells that are made block by block are those of all the stream's words at once."""
    words = bits.words(4 * count, seed=7, name="normal")

    assert bits.bell_stream(count, seed=7, name="normal").tolist() == bits.bells(words).tolist()
