"""Check an implementation against test vectors, with NumPy alone.

    bn-harness vectors cases/seed -o vectors && python examples/check_vectors.py vectors

Put your own in the place of ``batch_norm``. docs/vectors.md describes the files.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "U8": "u1", "I64": "<i8", "BF16": "<u2"}
TYPES |= {"BOOL": "?", "I32": "<i4", "C64": "<c8"}
OR_NAN, NO_NUMBER, OR_INFINITY, EITHER_INFINITY = 1, 2, 3, 4  # what `special` says of an element


def bfloat16(words):
    """Return numbers that NumPy has no type for as float32."""
    return (words.astype("<u4") << 16).view("<f4")


def read(path):
    """Return the arrays of a safetensors file by name."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, held in json.loads(data[8:start]).items():
        begin, end = held["data_offsets"]
        array = np.frombuffer(data[start + begin : start + end], TYPES[held["dtype"]])
        if held["dtype"] == "BF16":
            array = bfloat16(array)
        arrays[name] = array.reshape(held["shape"])
    return arrays


def within(actual, exact, bound, low=0.0, special=0):
    """Return which elements conform."""
    with np.errstate(all="ignore"):
        actual = np.asarray(actual, np.float64)
        same = (actual == exact) | (np.isnan(actual) & np.isnan(exact))
        near = np.abs((actual - exact) - low) <= bound
        return (
            np.where(np.isfinite(exact), near, same)
            | np.isinf(bound)
            | ((special == OR_NAN) & np.isnan(actual))
            | ((special == NO_NUMBER) & ~np.isfinite(actual))
            | ((special == OR_INFINITY) & (actual == np.copysign(np.inf, exact)))
            | ((special == EITHER_INFINITY) & np.isinf(actual))
        )


def batch_norm(x, grad_output, state, step):
    """Return what one step computes, by name; what is left out is not checked."""
    axes, columns = (0, 2, 3), (slice(None), None, None)
    x, n = x.astype(np.float64), x[:, 0].size
    mean, variance = state["running_mean"], state["running_var"]
    found = {}
    if not n:
        return found
    if step["batch_statistics"]:
        batch = x.mean(axes), x.var(axes)
        if step["factor"] is not None:
            factor = float(step["factor"])
            found["running_mean"] = (1 - factor) * mean + factor * batch[0]
            found["running_var"] = (1 - factor) * variance + factor * batch[1] * n / (n - 1)
        mean, variance = batch
    weight = 1.0 if state["weight"] is None else state["weight"][columns]
    bias = 0.0 if state["bias"] is None else state["bias"][columns]
    spread = np.sqrt(variance.astype(np.float64)[columns] + float(step["eps"]))
    normalised = (x - mean.astype(np.float64)[columns]) / spread
    found["output"] = normalised * weight + bias
    if grad_output is not None:
        g = grad_output.astype(np.float64)
        found["grad_bias"], found["grad_weight"] = g.sum(axes), (g * normalised).sum(axes)
        if step["batch_statistics"]:
            means = found["grad_bias"][columns] / n, found["grad_weight"][columns] / n
            g = g - means[0] - normalised * means[1]
        found["grad_input"] = g * weight / spread
    return found


def check(folder, batch_norm):
    """Yield case, step, quantity, and whether it conforms, of all that is computed."""
    index = json.loads((Path(folder) / "index.json").read_text(encoding="utf-8"))
    files = {
        name: read(Path(folder) / name) for name in {case["arrays"] for case in index["cases"]}
    }
    for case in index["cases"]:
        arrays = files[case["arrays"]]
        state = case.get("initial")
        for step in case.get("steps", ()):
            if "expect" in step:
                start = step.get("before", state)
                before = {name: None if key is None else arrays[key] for name, key in start.items()}
                gradient = arrays.get(step.get("grad_output"))
                with np.errstate(all="ignore"):
                    found = batch_norm(arrays[step["input"]], gradient, before, step)
                for name in sorted(found.keys() & step["expect"].keys()):
                    held = {k: arrays[v] for k, v in step["expect"][name].items() if k != "dtype"}
                    yield case["id"], step["step"], name, bool(within(found[name], **held).all())
            state = step["after"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Check an implementation against test vectors.")
    parser.add_argument("folder", help="what 'bn-harness vectors -o' has written")
    folder = parser.parse_args().folder
    if not (Path(folder) / "index.json").is_file():
        parser.error(f"{folder}: there are no vectors; name a folder that has an index.json")
    results = list(check(folder, batch_norm))
    wrong = [each for each in results if not each[-1]]
    for case, step, quantity, _ in wrong:
        print(f"{case}: step {step}: {quantity} is outside its bound")  # noqa: T201
    print(f"{len(results)} quantities, {len(wrong)} outside their bounds")  # noqa: T201
    sys.exit(1 if wrong else 0)
