"""What the harness and a worker process say to each other, as ``docs/protocol.md`` has it."""

from harness.targets.wire.answer import (
    PROTOCOL,
    Answer,
    Hello,
    WireTrace,
    most_bytes,
)
from harness.targets.wire.arrays import WireArray, packed
from harness.targets.wire.question import case_message, line, scalar

__all__ = [
    "PROTOCOL",
    "Answer",
    "Hello",
    "WireArray",
    "WireTrace",
    "case_message",
    "line",
    "most_bytes",
    "packed",
    "scalar",
]
