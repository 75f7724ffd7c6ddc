"""Saving, loading, resetting and converting state, beside torch."""

from collections import OrderedDict

import numpy as np
import pytest
from twins import ARRAYS, BFLOAT16, Twins, outcome, to_torch, torch_type

from harness.reference import BatchNorm2d


def values(dtype=np.float32, features=3):
    """Return a full state whose values differ."""
    arrays = {
        name: np.arange(1 + i, 1 + i + features).astype(dtype) for i, name in enumerate(ARRAYS[:4])
    }
    return arrays | {"num_batches_tracked": np.array(7)}


def load(twins, arrays, strict=True, metadata=None):
    """Load arrays into both and return what comes of it."""
    states = []
    for convert in (to_torch, lambda a: a):
        state = OrderedDict(
            (name, convert(a) if isinstance(a, np.ndarray) else a) for name, a in arrays.items()
        )
        if metadata is not None:
            state._metadata = metadata
        states.append(state)
    return tuple(
        outcome(lambda m=m, s=s: tuple(m.load_state_dict(s, strict=strict)))
        for m, s in zip((twins.torch, twins.reference), states, strict=True)
    )


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_names_and_version(affine, bias, track):
    """A state has torch's names, in torch's order, and its version."""
    twins = Twins(3, affine=affine, bias=bias, track_running_stats=track)
    expected, actual = twins.both(lambda m: m.state_dict())

    assert list(actual) == list(expected)
    assert actual._metadata == expected._metadata


def test_state_is_live():
    """A state shares its arrays with the module, so that a later step shows in it."""
    module = BatchNorm2d(2)
    state = module.state_dict()
    module(np.ones((2, 2, 2, 2), np.float32))

    assert state["num_batches_tracked"] == 1
    assert state["running_mean"] is module.running_mean


def test_loading_copies_in_place():
    """Loading keeps the module's arrays and shares nothing with the state."""
    module, arrays = BatchNorm2d(3), values()
    kept = {name: getattr(module, name) for name in ARRAYS}
    module.load_state_dict(arrays)
    for name, array in kept.items():
        assert getattr(module, name) is array
        assert np.array_equal(array, arrays[name])
        assert not np.shares_memory(array, arrays[name])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("metadata", [None, {}, {"": {"version": 1}}, {"": {"version": 2}}])
@pytest.mark.parametrize("dropped", [*ARRAYS, "nothing"])
def test_missing_names(dropped, metadata, strict):
    """A missing name is an error under strict, but for the counter of an old version."""
    twins = Twins(3).set(num_batches_tracked=np.array(4))
    arrays = {name: array for name, array in values().items() if name != dropped}
    expected, actual = load(twins, arrays, strict, metadata)

    assert actual == expected
    twins.assert_same_state()


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ARRAYS)
def test_removed_arrays(name, strict):
    """A name that the module has removed is unexpected, an old counter included."""
    twins = Twins(3).set(**{name: None})
    arrays = {n: a for n, a in values().items() if n != "num_batches_tracked"}
    expected, actual = load(twins, arrays, strict)

    assert actual == expected
    twins.assert_same_state()


@pytest.mark.parametrize("strict", [True, False])
def test_everything_wrong_at_once(strict):
    """One message names all that is missing, unexpected, of another size or no array."""
    arrays = values() | {
        "weight": np.ones(4, np.float32),
        "running_mean": [1, 2, 3],
        "gamma": np.ones(3, np.float32),
        "layer.weight": np.ones(3, np.float32),
    }
    del arrays["bias"]
    twins = Twins(3)
    expected, actual = load(twins, arrays, strict)

    assert isinstance(expected[0], type)
    assert actual == expected
    twins.assert_same_state()


@pytest.mark.parametrize("dtype", [np.float64, np.float16, BFLOAT16, np.int64])
@pytest.mark.parametrize("own", [np.float32, BFLOAT16])
def test_loading_casts(own, dtype):
    """Values of another type are cast to the module's."""
    twins = Twins(3, dtype=own)
    arrays = values(dtype) | {"bias": np.array([0.5, 1e38, 1e39])}
    load(twins, arrays)

    twins.assert_same_state(ulps=0)


@pytest.mark.parametrize(
    "counter", [np.array([9]), np.array(9.7), np.array([1, 2]), np.array(-5), np.array(2**62)]
)
def test_counters(counter):
    """A counter of one element, of another type, negative or huge is loaded; a longer is not."""
    twins = Twins(3)
    expected, actual = load(twins, values() | {"num_batches_tracked": counter})

    assert actual == expected
    twins.assert_same_state()


def test_state_that_is_no_mapping():
    """A list is not a state."""
    expected, actual = Twins(3).both(lambda m: m.load_state_dict([1]))

    assert actual == expected


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16, np.float32, np.float64])
def test_conversion(dtype):
    """`to` rounds parameters and statistics, leaves the counter, and returns the module."""
    rng = np.random.default_rng(0)
    twins = Twins(3).set(**{n: rng.normal(0, 1e5, 3).astype(np.float32) for n in ARRAYS[:4]})
    twins.torch.to(torch_type(dtype))

    assert twins.reference.to(dtype) is twins.reference
    twins.assert_same_state(ulps=0)


def test_conversion_to_the_same_type():
    """`to` keeps the arrays themselves where there is nothing to convert."""
    module = BatchNorm2d(2)
    weight = module.weight

    assert module.to(np.float32).weight is weight


@pytest.mark.parametrize("method", ["reset_parameters", "reset_running_stats"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_reset_follows_the_flags(method, affine, track):
    """Resetting goes by the flags as they are now, in place, and leaves num_features alone."""
    twins = Twins(3).set(**values()).set(affine=affine, track_running_stats=track, num_features=7)
    twins.both(lambda m: getattr(m, method)())

    twins.assert_same_state()
    assert twins.reference.num_features == 7
