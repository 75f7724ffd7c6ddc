"""Random words that depend on a seed and a name, and numbers made of them exactly.

The source is Philox4x64-10 of Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as
1, 2, 3* (SC 2011): block b of a stream is a fixed function of the key and the counter b = 1, 2, ...
Everything after it is integer arithmetic that no order of evaluation can change.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

NAME_BYTES = 7
"""Bytes of a stream's name that enter the key; the eighth byte is the part."""

_LANES = np.uint64(0x0000_FFFF_0000_FFFF)
_LOW = np.uint64(0xFFFF_FFFF)
_CENTRE = np.uint64((1 - 2**33 - (393210 << 34)) % 2**64)
"""What centres a bell's integer: two's complement, as the sum is."""

_BLOCK = 3 * 2**10
"""Bell-shaped numbers that are made at a time: their words stay in the processor's cache, and
below the 128 KiB for which an allocator asks the system each time."""


class _Local(threading.local):
    """One generator a thread: to set its state is ten times as fast as to make one."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)


_local = _Local()


def words(count: int, *, seed: int, name: str, part: int = 0) -> NDArray[np.uint64]:
    """Return the first `count` words of a stream.

    Parameters
    ----------
    count
        Number of 64-bit words; a longer stream begins with the shorter one.
    seed
        First word of the Philox key, in [0, 2^64).
    name
        ASCII; its first seven bytes are the second word of the key, little endian.
    part
        Top byte of that word: tells several streams of one name apart, in [0, 256).
    """
    return _stream(seed, name, part).random_raw(count)


def _stream(seed: int, name: str, part: int) -> np.random.Philox:
    """Return the thread's generator at the begin of a stream."""
    second = int.from_bytes(name.encode("ascii")[:NAME_BYTES], "little") | part << 8 * NAME_BYTES
    philox = _local.philox
    philox.state = {
        "bit_generator": "Philox",
        "state": {
            "counter": np.zeros(4, dtype=np.uint64),
            "key": np.array([seed, second], dtype=np.uint64),
        },
        "buffer": np.zeros(4, dtype=np.uint64),
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return philox


def units(source: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return (2k + 1)·2^-53 with k the upper 52 bits: in (0, 1), symmetric about 1/2."""
    odd = source >> np.uint64(12)
    odd <<= np.uint64(1)
    odd |= np.uint64(1)
    made = odd.astype(np.float64)
    made *= 2.0**-53
    return made


def bells(source: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a bell-shaped number for each four words; shape (4m,) gives (m,).

    Irwin-Hall: S is the sum of the twelve 16-bit fields of words 0 to 2 less its mean 393210, f the
    upper 33 bits of word 3, and z = (2^34·S + 2f + 1 - 2^33)·2^-50. The integer is odd and below
    2^53, so z is exact, symmetric, never zero, within ±6.0000077, and fills the significand.
    Its variance is 1 - 11/12·2^-32 to within 2^-98.
    """
    block = source.reshape(-1, 4)
    lanes, others = block & _LANES, block >> np.uint64(16)
    others &= _LANES
    lanes += others
    pair = lanes[:, 0] + lanes[:, 1]
    pair += lanes[:, 2]
    odd = pair & _LOW
    pair >>= np.uint64(32)
    odd += pair
    odd <<= np.uint64(34)
    fine = block[:, 3] >> np.uint64(31)
    fine <<= np.uint64(1)
    odd += fine
    odd += _CENTRE
    made = odd.view(np.int64).astype(np.float64)
    made *= 2.0**-50
    return made


def bell_stream(count: int, *, seed: int, name: str) -> NDArray[np.float64]:
    """Return the `bells` of the first 4·count words of a stream."""
    stream, made = _stream(seed, name, 0), np.empty(count)
    for start in range(0, count, _BLOCK):
        block = made[start : start + _BLOCK]
        block[:] = bells(stream.random_raw(4 * block.size))
    return made


def below(source: NDArray[np.uint64], bound: int) -> NDArray[np.int64]:
    """Return an integer of [0, bound) for each word: its upper half times `bound`, over 2^32.

    `bound` is in [1, 2^32].
    """
    return ((source >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def signs(source: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return 1 or -1 for each word by its lowest bit, 1 where it is clear."""
    return 1.0 - 2.0 * (source & np.uint64(1)).astype(np.float64)
