"""The fill whose sums are exact in any order."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, StrictInt

from harness.case.fills import bits
from harness.case.fills.base import Seeded, Values, column

# Blocks of k deviations with sum 0 and sum of squares 2k; together they make up every n >= 3.
_THREE = (2, -1, -1)
_FOUR = (2, -2, 0, 0)
_FIVE = (2, -2, 1, -1, 0)
_SIX = (2, -2, 1, -1, 1, -1)
_TEN = _FOUR + _SIX
_REST = {
    0: (),
    3: _THREE,
    4: _FOUR,
    5: _FIVE,
    6: _SIX,
    7: _FOUR + _THREE,
    8: _FIVE + _THREE,
    9: _FIVE + _FOUR,
    11: _SIX + _FIVE,
    12: _SIX + _SIX,
}
_PAIR = (1, -1)


class Exact(Seeded):
    """Expose wrong formulas with no rounding to hide behind: float32 sums exactly in any order.

    Channel c is m + d. Its spacing s is 2^-2 to 2^1, its mean m is ±1 to ±`centre` times s. The
    deviations d, of {0, ±s, ±2s}, are shuffled and have sum 0 and sum of squares 2·n·s², so the
    variance is 2s² for n >= 3; it is s² for n = 2 and 0 for n = 1.
    Σx is exact in float32 for n <= 2^24/(centre + 2), Σ(x - m)² for n <= 2^22. Every value is a
    bfloat16 and a float16.
    """

    fill: Literal["exact"] = "exact"
    centre: StrictInt = Field(
        default=15, ge=1, le=254, description="Largest size of a channel's mean in spacings."
    )

    def _rows(self, channels: int, n: int) -> Values:
        source = self._words(channels, part=2)
        spacing = np.ldexp(1.0, ((source >> np.uint64(1) & np.uint64(3)).astype(np.int32) - 2))
        mean = bits.signs(source) * (1 + bits.below(source, self.centre)).astype(np.float64)
        rows = np.broadcast_to(deviations(n), (channels, n))
        return column(spacing) * (column(mean) + self._shuffled(rows))


def deviations(n: int) -> Values:
    """Return n integers of -2 to 2 with sum 0 and, for n >= 3, sum of squares 2n."""
    if n <= len(_PAIR):
        return np.array((0,) if n == 1 else _PAIR[:n], dtype=np.float64)
    tens, rest = divmod(n, len(_TEN))
    if rest not in _REST:
        tens, rest = tens - 1, rest + len(_TEN)
    return np.concatenate([np.tile(_TEN, tens), _REST[rest]]).astype(np.float64)
