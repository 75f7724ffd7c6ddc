"""What a run depends on beside the cases: versions, processor, devices."""

from __future__ import annotations

import platform
from typing import Any

import ml_dtypes
import numpy as np

from harness import __version__


def environment() -> dict[str, Any]:
    """Return what results can depend on; what differs from run to run (times, hosts) stays out.

    Imports torch.
    """
    import torch  # slow: only a process that runs cases pays for it

    from harness.targets.native import cuda

    return {
        "harness": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "ml_dtypes": ml_dtypes.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": 1,
        "long_double_bits": int(np.finfo(np.longdouble).nmant) + 1,
        "cuda": cuda(),
    }
