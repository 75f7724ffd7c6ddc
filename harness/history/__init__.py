"""What changed in BatchNorm2d from one version of torch to the next, found by running both.

Each version runs in a worker of its own. Versions too large to be installed beside each other are
recorded one after the other, and compared from their recordings.
"""

from harness.history.changes import SCHEMA, Change, History, history
from harness.history.differences import Difference, differences
from harness.history.page import markdown
from harness.history.recording import SUFFIX, Recording, record, recordings

__all__ = [
    "SCHEMA",
    "SUFFIX",
    "Change",
    "Difference",
    "History",
    "Recording",
    "differences",
    "history",
    "markdown",
    "record",
    "recordings",
]
