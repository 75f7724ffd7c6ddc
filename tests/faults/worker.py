"""A worker process that knows cases without steps, and commits a fault in that of two channels.

Its first argument is the fault, as the table of faults says it.
"""

from __future__ import annotations

import base64
import json
import signal
import struct
import subprocess
import sys
import time


def array(code, dtype, shape, *values):
    """Return an array as the protocol spells it."""
    data = base64.b64encode(struct.pack(f"<{len(values)}{code}", *values)).decode()
    return {"dtype": dtype, "shape": shape, "data": data}


def answer(case):
    """Return the trace of a case without steps."""
    count = case["module"]["num_features"]
    ones, zeros = (array("f", "float32", [count], *[each] * count) for each in (1, 0))
    counter = array("q", "int64", [], 0)
    initial = {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones}
    return {"number": case["number"], "initial": {**initial, "num_batches_tracked": counter}}


def say(message):
    """Write a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(fault):
    """Speak the protocol."""
    for line in sys.stdin:
        message = json.loads(line)
        if "hello" in message:
            say({"hello": {"protocol": 1, "dtypes": ["float32"]}})
        if "case" not in message:
            continue
        if message["case"]["module"]["num_features"] == 2:
            commit(fault)
        say({"trace": answer(message["case"])})


def commit(fault):
    """Do what the fault says."""
    if fault == "flood standard error":
        sys.stderr.write("word " * 2**18)
    elif fault == "stay deaf to the end":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    elif fault == "stop in a line without heed":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stdout.write("{")
        sys.stdout.flush()
        time.sleep(60)
    elif fault == "leave a child that holds the output":
        subprocess.Popen(["/bin/sleep", "60"])
        sys.exit(7)
    elif fault == "answer before it is asked":
        say({"trace": {"number": 3}})


main(sys.argv[1])
