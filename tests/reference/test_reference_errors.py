"""What torch refuses, the reference refuses: same type, same words, same state left behind."""

import numpy as np
import pytest
import torch
from twins import ARRAYS, BFLOAT16, Twins, outcome

from harness.reference import BatchNorm2d

ZEROS = np.zeros((2, 3, 2, 2), np.float32)
ONES = np.ones(3, np.float32)


def assert_same_refusal(twins, x):
    """Assert that both refuse the input alike, and are left in the same state."""
    expected, actual = twins.call(x)

    assert isinstance(expected, tuple)
    assert actual == expected
    twins.assert_same_state()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "shape", [(), (3,), (2, 3, 4), (1, 2, 3, 4, 5), (2, 4, 2, 2), (2, 1, 2, 2)]
)
def test_shape_of_the_input(shape, training):
    """A wrong rank leaves the counter alone; a wrong channel count does not."""
    twins = Twins(3).train(training)

    assert_same_refusal(twins, np.zeros(shape, np.float32))


@pytest.mark.parametrize("track", [True, False])
def test_single_value(track):
    """Statistics of a single value are refused, in eval too where there are no others."""
    twins = Twins(3, track_running_stats=track).train(track)

    assert_same_refusal(twins, np.zeros((1, 3, 1, 1), np.float32))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "complex64", "complex128"]
)
def test_input_that_is_not_floating_point(dtype, training):
    """Integers, booleans and complex numbers have no batch normalisation."""
    assert_same_refusal(Twins(3).train(training), ZEROS.astype(dtype))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("x", [np.float32, BFLOAT16, np.float64])
def test_mixed_types(x, training):
    """Every mixture of types gets torch's answer, and moves the statistics where torch does."""
    kinds = (np.dtype(np.float32), BFLOAT16, np.dtype(np.float64))
    names = ARRAYS[:4]
    for index in np.ndindex(4, 4, 3, 3):
        arrays = {
            name: None if i == len(kinds) else np.ones(3, kinds[i])
            for name, i in zip(names, index, strict=True)
        }
        twins = Twins(3).set(**arrays).train(training)
        expected, actual = twins.call(ZEROS.astype(x))

        assert isinstance(actual, tuple) == isinstance(expected, tuple), arrays
        assert not isinstance(expected, tuple) or actual == expected, arrays
        twins.assert_same_state()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ARRAYS[:4])
@pytest.mark.parametrize(
    "array",
    [
        np.ones(4, np.float32),
        np.ones(1, np.float32),
        np.ones(0, np.float32),
        np.ones(3, np.float16),
        np.ones(3, np.int64),
        np.ones(3, np.complex64),
        np.array(1, np.float32),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_array_that_does_not_fit(name, array, training):
    """An array of another length or type is refused, broadcast never."""
    assert_same_refusal(Twins(3).set(**{name: array}).train(training), ZEROS)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["running_mean", "running_var"])
@pytest.mark.parametrize("others", [{}, {"weight": np.ones(4, np.float32)}])
def test_lone_statistic(name, others, training):
    """One running statistic without the other is refused, after the lengths are compared."""
    assert_same_refusal(Twins(3).set(**{name: None}, **others).train(training), ZEROS)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_statistics_are_vectors(name, training):
    """A running statistic of shape (1, C) has the right length and is still refused."""
    assert_same_refusal(Twins(3).set(**{name: ONES[None]}).train(training), ZEROS)


@pytest.mark.parametrize(
    ("training", "eps"),
    [(True, 0), (True, 0.0), (True, -0.0), (True, -1e-5), (False, -1), (True, None), (False, "a")],
)
def test_eps(training, eps):
    """Train refuses an eps that is not positive, eval a negative one, both what is no number."""
    assert_same_refusal(Twins(3, eps=eps).train(training), ZEROS)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", ["a", [1], 1j, 10**400])
def test_momentum(momentum, training):
    """A momentum that is no real number is refused even where it is not used."""
    assert_same_refusal(Twins(3, momentum=momentum).train(training), ZEROS)


def test_counter_of_minus_one():
    """A cumulative average over zero batches divides by zero."""
    twins = Twins(3, momentum=None).set(num_batches_tracked=np.array(-1))

    assert_same_refusal(twins, ZEROS)


@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_empty_input_and_empty_parameter(parameter):
    """An input without elements still takes the first element of each parameter."""
    twins = Twins(3).set(**{parameter: np.ones(0, np.float32)})

    assert_same_refusal(twins, ZEROS[:0])


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("features", [-1, True, 2.0, "3", None, (2, -3)])
def test_num_features(features, affine, track):
    """A channel count that is no natural number is refused once an array needs it."""
    flags = {"affine": affine, "track_running_stats": track}
    expected = outcome(lambda: torch.nn.BatchNorm2d(features, **flags).num_features)
    actual = outcome(lambda: BatchNorm2d(features, **flags).num_features)

    assert actual == expected


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "float16"])
def test_dtype_of_the_module(dtype, affine):
    """Parameters need a type that can have a gradient, statistics do not."""
    expected = outcome(
        lambda: str(torch.nn.BatchNorm2d(2, affine=affine, dtype=getattr(torch, dtype)).running_var)
    )
    actual = outcome(lambda: BatchNorm2d(2, affine=affine, dtype=dtype).running_var.dtype)

    assert actual == (expected if isinstance(expected, tuple) else np.dtype(dtype))


@pytest.mark.parametrize("mode", [1, 0, None, "train"])
def test_mode_is_a_bool(mode):
    """`train` takes True and False and nothing like them."""
    expected, actual = Twins(3).both(lambda m: m.train(mode))

    assert actual == expected


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_conversion_to_what_is_no_floating_type(dtype):
    """`to` refuses integers and booleans."""
    twins = Twins(3)
    expected = outcome(lambda: twins.torch.to(getattr(torch, dtype)))

    assert outcome(lambda: twins.reference.to(dtype)) == expected


@pytest.mark.parametrize("method", ["reset_parameters", "reset_running_stats"])
@pytest.mark.parametrize("name", ARRAYS)
def test_reset_of_what_was_removed(name, method):
    """Resetting stops at the first array that is missing, and keeps what it had reset."""
    twins = Twins(3).set(**dict.fromkeys(ARRAYS[:4], ONES * 5)).set(num_batches_tracked=np.array(5))
    expected, actual = twins.set(**{name: None}).both(lambda m: getattr(m, method)())

    assert actual == expected
    twins.assert_same_state()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 3, 2, 1), "float32"), ((), "float32"), ((2, 3, 2, 2), "complex64")]
)
def test_gradient_that_does_not_fit(shape, dtype):
    """A gradient needs the shape of the output and a real type."""
    expected, actual = Twins(3).differentiate(ZEROS, np.ones(shape, dtype))

    assert isinstance(expected, tuple)
    assert actual == expected


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_gradient_of_a_parameter_that_is_no_vector(name):
    """A parameter of shape (1, C) normalises but has no gradient."""
    expected, actual = Twins(3).set(**{name: ONES[None]}).differentiate(ZEROS, ZEROS)

    assert isinstance(expected, tuple)
    assert actual == expected


def test_second_backward():
    """The gradients of a call can be taken once."""
    twins = Twins(3)
    y = twins.torch(torch.zeros(2, 3, 2, 2))
    y.backward(torch.ones(2, 3, 2, 2))
    expected = outcome(lambda: y.backward(torch.ones(2, 3, 2, 2)))
    twins.reference(ZEROS)
    twins.reference.backward(ZEROS)

    assert outcome(lambda: twins.reference.backward(ZEROS)) == expected


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("value", [3, 3.0, True, "3", [1.0, 1.0, 1.0]])
def test_what_is_no_array_is_assigned_to_none(value, name, affine):
    """A parameter or buffer takes neither numbers nor lists, even where it is absent."""
    arguments = {"affine": affine, "track_running_stats": affine}
    refusals = [
        outcome(lambda module=module: setattr(module, name, value))
        for module in (torch.nn.BatchNorm2d(3, **arguments), BatchNorm2d(3, **arguments))
    ]

    assert isinstance(refusals[0], tuple)
    assert refusals[0] == refusals[1]


def test_what_arithmetic_makes_of_the_counter_is_assigned():
    """NumPy's sum with an array of shape () is a scalar, and counts on as torch's tensor does."""
    modules = torch.nn.BatchNorm2d(3), BatchNorm2d(3)
    for module, given in zip(modules, (torch.ones(2, 3, 1, 1), ZEROS + 1), strict=True):
        module.num_batches_tracked = module.num_batches_tracked + 6
        module(given)

    assert [module.num_batches_tracked.item() for module in modules] == [7, 7]
