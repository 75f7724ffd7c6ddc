"""Which cases of a suite are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import InvalidInput


@dataclass(frozen=True)
class Selection:
    """Which cases of a suite are wanted; each part is a function of one case alone.

    Attributes
    ----------
    expression : str
        Words joined by and, or, not, found in ids, as in ``pytest -k``.
    tags : tuple of str
        Any of these.
    sample : int or None
        At most this many: those whose ids hash lowest.
    shard : (int, int) or None
        Part I of N, I from 1, chosen by a hash of the id.
    """

    expression: str = ""
    tags: tuple[str, ...] = ()
    sample: int | None = None
    shard: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 0:
            raise InvalidInput(f"a sample of {self.sample} cases; choose 0 or more")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            part, parts = self.shard
            raise InvalidInput(f"shard {part}/{parts}: choose I/N with I from 1 to N")


_EQUALS = "\\"


def expression(text: str) -> Callable[[str], bool] | None:
    """Return whether an id has the words of an expression, as a function of the id."""
    if not text:
        return None
    from _pytest.mark.expression import Expression  # slow, and seldom needed

    try:
        # pytest's grammar has another use for "=", which ids of matrix cases are full of.
        compiled = Expression.compile(text.replace("=", _EQUALS))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"-k '{text}': {error}; join words by and, or, not") from None

    def holds(name: str) -> bool:
        def found(word: str, /, **_: object) -> bool:
            return word.replace(_EQUALS, "=") in name

        return compiled.evaluate(found)

    return holds


def hashed(text: str) -> int:
    """Return 64 bits that are the same for the same text on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
