"""Steps for the oracle's tests, and batch normalisation computed in several ways."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import mpmath
import numpy as np
from hypothesis import strategies as st

from harness.oracle import Step, rows

DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
FILLS = ("normal", "offset", "few ulps", "constant", "two-valued", "outlier", "log-normal",
         "alternating", "ramp", "small", "subnormal", "scaled")  # fmt: skip


def fill(name: str, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return data of a named kind, in its type."""
    z = rng.standard_normal(shape)
    unit = float(ml_dtypes.finfo(dtype).eps) / 2
    large = 10.0 ** rng.uniform(1, 3.5)
    values = {
        "normal": z,
        "offset": z + large,
        "few ulps": large * (1 + 2 * unit * rng.integers(-3, 4, shape)),
        "constant": np.full(shape, large),
        "two-valued": np.where(z > rng.uniform(-2, 2), large, -0.3 * large),
        "outlier": np.where(np.arange(z.size).reshape(shape) == 1, 10 * large, z),
        "log-normal": np.exp(2 * z),
        "alternating": np.resize([large, -large], z.size).reshape(shape) + 1e-2 * z,
        "ramp": np.linspace(-1, large, z.size).reshape(shape),
        "small": 3e-3 * z,
        "subnormal": z * 20 * float(ml_dtypes.finfo(dtype).smallest_subnormal),
        "scaled": z * 10.0 ** rng.uniform(-4, 4),
    }
    with np.errstate(over="ignore"):
        largest = float(ml_dtypes.finfo(dtype).max)
        return np.clip(values[name], -largest, largest).astype(dtype)


def make_step(
    seed: int,
    n: int,
    x: str = "normal",
    g: str | None = "normal",
    dtype: str = "float32",
    *,
    parameters: str | None = None,
    channels: int = 2,
    **changes: Any,
) -> Step:
    """Return a training step (C, n) with every array, `changes` applied."""
    rng = np.random.default_rng(seed)
    kind, of_parameters = DTYPES[dtype], DTYPES[parameters or dtype]
    arguments = {
        "input": fill(x, rng, (channels, n), kind),
        "eps": float(rng.choice([1e-5, 1e-3, 1e-9])),
        "batch_statistics": True,
        "weight": rng.standard_normal(channels).astype(of_parameters),
        "bias": rng.standard_normal(channels).astype(of_parameters),
        "running_mean": rng.standard_normal(channels).astype(of_parameters),
        "running_var": rng.uniform(0.1, 3, channels).astype(of_parameters),
        "factor": float(rng.choice([0.1, 1 / 3, 0.9])),
        "grad_output": None if g is None else fill(g, rng, (channels, n), kind),
    }
    return Step(**(arguments | changes))


def steps(dtypes: tuple[str, ...] = ("float32",), largest: int = 200) -> st.SearchStrategy[Step]:
    """Training and evaluation steps on nasty data."""

    def build(batch: bool, **arguments: Any) -> Step:
        changes = {} if batch else {"batch_statistics": False, "factor": None}
        return make_step(**arguments, **changes)

    return st.builds(
        build,
        batch=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
        n=st.sampled_from([2, 3, 8, 45, 64]) | st.integers(2, largest),
        x=st.sampled_from(FILLS),
        g=st.sampled_from(FILLS),
        dtype=st.sampled_from(dtypes),
    )


def mp(value: Any) -> mpmath.mpf:
    """Convert a float of up to 113 bits without error."""
    high = float(value)
    return mpmath.mpf(high) + mpmath.mpf(float(value - type(value)(high)))


def truth(step: Step) -> dict[str, list[list[mpmath.mpf]]]:
    """Compute the step at 200 bits, element by element: a list for each channel."""
    out: dict[str, list[list[mpmath.mpf]]] = {}
    with mpmath.workprec(200):
        for c, row in enumerate(rows(step.input)):
            x = [mpmath.mpf(float(a)) for a in row]
            n = len(x)

            def of(array: Any, default: float, c: int = c) -> mpmath.mpf:
                return mpmath.mpf(default if array is None else float(array[c]))

            if step.batch_statistics:
                m = mpmath.fsum(x) / n
                v = mpmath.fsum((a - m) ** 2 for a in x) / n
            else:
                m, v = of(step.running_mean, 0), of(step.running_var, 1)
            r, w, b = (
                1 / mpmath.sqrt(v + mpmath.mpf(step.eps)),
                of(step.weight, 1),
                of(step.bias, 0),
            )
            hat = [(a - m) * r for a in x]
            channel = {"output": [w * a + b for a in hat]}
            if step.updates:
                mu = mpmath.mpf(step.factor)
                batch = v * n / (n - 1) if step.unbiased else v
                channel["running_mean"] = [(1 - mu) * of(step.running_mean, 0) + mu * m]
                channel["running_var"] = [(1 - mu) * of(step.running_var, 0) + mu * batch]
            if step.grad_output is not None:
                g = [mpmath.mpf(float(a)) for a in rows(step.grad_output)[c]]
                bias, weight = (
                    mpmath.fsum(g),
                    mpmath.fsum(p * q for p, q in zip(g, hat, strict=True)),
                )
                channel["grad_bias"], channel["grad_weight"] = [bias], [weight]
                channel["grad_input"] = [
                    w * r * (p - bias / n - a * weight / n if step.batch_statistics else p)
                    for p, a in zip(g, hat, strict=True)
                ]
            for quantity, values in channel.items():
                out.setdefault(quantity, []).append(values)
    return out


def accumulate(a: np.ndarray) -> np.ndarray:
    """Sum rows from left to right."""
    return np.add.accumulate(a, axis=1)[:, -1:]


def pairwise(a: np.ndarray) -> np.ndarray:
    """Sum rows as NumPy does."""
    return a.sum(axis=1, keepdims=True)


def wide(a: np.ndarray) -> np.ndarray:
    """Sum rows in the next wider type."""
    return a.sum(
        axis=1, keepdims=True, dtype=np.longdouble if a.dtype == np.float64 else float
    ).astype(a.dtype)


def two_pass(x: np.ndarray, total: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean, then mean square of the deviations."""
    n = x.dtype.type(x.shape[1])
    m = total(x) / n
    return m, total((x - m) ** 2) / n


def shifted(x: np.ndarray, total: Any) -> tuple[np.ndarray, np.ndarray]:
    """Moments about the median element (Chan, Golub & LeVeque 1983, section 3)."""
    n = x.dtype.type(x.shape[1])
    shift = np.sort(x, axis=1)[:, x.shape[1] // 2 :][:, :1]
    first, second = total(x - shift) / n, total((x - shift) ** 2) / n
    return shift + first, np.maximum(second - first * first, x.dtype.type(0))


def welford(x: np.ndarray, total: Any) -> tuple[np.ndarray, np.ndarray]:
    """One element after the other (Welford 1962); `total` is not used."""
    del total
    kind = x.dtype.type
    m, square = x[:, :1], np.zeros_like(x[:, :1])
    for k in range(1, x.shape[1]):
        delta = x[:, k : k + 1] - m
        m = m + delta / kind(k + 1)
        square = square + delta * (x[:, k : k + 1] - m)
    return m, square / kind(x.shape[1])


def one_pass_wide(x: np.ndarray, total: Any) -> tuple[np.ndarray, np.ndarray]:
    """E[x²] − E[x]² in a wider type; `total` is not used."""
    del total
    z = x.astype(np.longdouble if x.dtype == np.float64 else np.float64)
    m = z.mean(axis=1, keepdims=True)
    v = np.maximum((z * z).mean(axis=1, keepdims=True) - m * m, 0)
    return m.astype(x.dtype), v.astype(x.dtype)


def direct(x: Any, m: Any, r: Any, w: Any, b: Any) -> np.ndarray:
    """Normalise, scale, shift."""
    return (x - m) * r * w + b


def folded(x: Any, m: Any, r: Any, w: Any, b: Any) -> np.ndarray:
    """One multiplication and one addition an element."""
    return x * (r * w) + (b - m * (r * w))


def fused(x: Any, m: Any, r: Any, w: Any, b: Any) -> np.ndarray:
    """Use the folded form with fused multiply-adds."""
    a = r * w
    wider = np.longdouble if x.dtype == np.float64 else np.float64
    beta = (b.astype(wider) - m.astype(wider) * a).astype(x.dtype)
    return (x.astype(wider) * a + beta).astype(x.dtype)


def normalise(
    step: Step, moments: Any = two_pass, total: Any = pairwise, form: Any = direct, **wrong: Any
) -> dict[str, np.ndarray]:
    """Compute a step in the arithmetic of a kernel; `wrong` plants a mistake.

    Mistakes: `eps`, `factor` replace the step's; `ddof`=0 leaves running_var biased; `outside`
    adds eps to the deviation instead of the variance; `terms` are those of the input's gradient.
    """
    kind = np.float64 if step.input.dtype == np.float64 else np.float32
    terms = wrong.get("terms", ("mean", "variance"))

    def column(array: Any, default: float) -> np.ndarray:
        return np.full((1, 1), default, kind) if array is None else array.astype(kind)[:, None]

    def rounded(array: np.ndarray, like: np.ndarray) -> np.ndarray:
        return array.astype(like.dtype)

    with np.errstate(all="ignore"):
        x, n = rows(step.input).astype(kind), kind(step.count)
        w, b = column(step.weight, 1), column(step.bias, 0)
        old_m, old_v = column(step.running_mean, 0), column(step.running_var, 1)
        m, v = moments(x, total) if step.batch_statistics else (old_m, old_v)
        m, v = m.astype(kind), v.astype(kind)
        eps = kind(wrong.get("eps", step.eps))
        r = kind(1) / (np.sqrt(v) + eps if wrong.get("outside") else np.sqrt(v + eps))
        out = {"output": rounded(form(x, m, r, w, b), step.input)}
        if step.updates:
            mu = kind(wrong.get("factor", step.factor))
            batch = v * (n / (n - kind(wrong.get("ddof", 1))))
            for name, old, new in (("running_mean", old_m, m), ("running_var", old_v, batch)):
                out[name] = rounded((kind(1) - mu) * old + mu * new, step.running_mean)[:, 0]
        if step.grad_output is not None:
            g = rows(step.grad_output).astype(kind)
            hat = (x - m) * r
            bias, weight = total(g), total(g * hat)
            t = g
            if step.batch_statistics:
                t = t - bias / n if "mean" in terms else t
                t = t - hat * (weight / n) if "variance" in terms else t
            out["grad_input"] = rounded(w * r * t, step.input)
            out["grad_weight"] = rounded(weight, step.weight)[:, 0]
            out["grad_bias"] = rounded(bias, step.weight)[:, 0]
    return out
