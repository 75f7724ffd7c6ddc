"""What a class lacks, or does that nobody expects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import harness
from harness.case.model import Case
from harness.reference import BatchNorm2d
from harness.targets import resolve

torch.set_num_threads(1)

INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
TRAIN = {"train": {"input": INPUT}}


def case(*steps, **module):
    """Return a case of a module with two channels."""
    return Case.model_validate(
        {
            "id": "tried",
            "why": "to see what is supported.",
            "module": {"num_features": 2, **module},
            "steps": list(steps),
        }
    )


def result(cls, made):
    """Return what the report says of a class and a case."""
    report = harness.run(made, [cls])
    return report["tried"].results[report.targets[0]]


class Bare:
    """An array class without anything optional, and without bias=."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        self.inner = BatchNorm2d(num_features, eps, momentum, affine, track_running_stats)

    def __getattr__(self, name):
        if name in ("backward", "state_dict", "load_state_dict", "to", "reset_running_stats"):
            raise AttributeError(name)
        return getattr(self.__dict__["inner"], name)

    def __call__(self, given):
        """Normalise."""
        return self.inner(given)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}, "no backward"),
        ({"save": "it"}, "no state_dict"),
        ({"cast": "float64"}, "no to"),
        ({"call": "reset_running_stats"}, "no reset_running_stats"),
    ],
)
def test_what_a_class_lacks_is_unsupported(step, reason):
    """A method that the class does not have makes the case unsupported, with the reason."""
    found = result(Bare, case(TRAIN, step))

    assert found.verdict == "unsupported"
    assert reason in found.reason


def test_a_class_without_bias_is_tried_without_it():
    """bias=True, the default, is left out for a constructor that does not know it."""
    assert result(Bare, case(TRAIN, bias=True)).verdict == "agree"


def test_a_class_without_dtype_is_tried_without_the_default():
    """dtype: float32, the default, is left out for a constructor that does not know it."""
    assert result(Bare, case(TRAIN, dtype="float32")).verdict == "agree"


@pytest.mark.parametrize(("name", "value"), [("bias", False), ("dtype", "float64")])
def test_arguments_that_matter_are_not_left_out(name, value):
    """An argument without its default that the constructor lacks is unsupported."""
    found = result(Bare, case(TRAIN, **{name: value}))

    assert (found.verdict, found.reason) == (
        "unsupported",
        f"the constructor has no argument {name}",
    )


class OnlyFloat32(BatchNorm2d):
    """Refuses other types."""

    def __call__(self, given):
        """Normalise float32."""
        if given.dtype != np.float32:
            raise NotImplementedError("only float32")
        return super().__call__(given)


def test_a_type_refused_by_not_implemented_error_is_unsupported():
    """A dtype that a class refuses is counted apart, with the class's own words."""
    found = result(OnlyFloat32, case(TRAIN, dtype="float64"))

    assert (found.verdict, found.reason) == ("unsupported", "only float32")


INTEGERS = {"shape": [2, 2, 2, 2], "fill": "ones", "dtype": "int64"}
SINGLE = {"shape": [1, 2, 1, 1], "fill": "ones"}


@pytest.mark.filterwarnings("ignore:.* refuses ")
@pytest.mark.parametrize(
    ("given", "raises"),
    [
        (SINGLE, {"type": "ValueError", "match": "more than 1 value"}),
        (SINGLE, None),
        (INTEGERS, {"type": "NotImplementedError", "match": "not implemented for"}),
    ],
)
def test_a_refusal_is_no_wrong_error(given, raises):
    """Where torch raises another error, or has other words, NotImplementedError is a refusal."""

    class Never(BatchNorm2d):
        def __call__(self, given):
            raise NotImplementedError("never")

    step = {"input": given} if raises is None else {"input": given, "raises": raises}
    found = result(Never, case({"train": step}))

    assert (found.verdict, found.reason, found.divergences) == ("unsupported", "never", [])


def test_what_torch_does_not_implement_is_judged():
    """NotImplementedError agrees where it is what torch raises, with the state that it leaves."""
    step = {"train": {"input": INTEGERS, "raises": {"type": "NotImplementedError"}}}
    uncounted = result(OnlyFloat32, case(step))

    assert result(BatchNorm2d, case(step)).verdict == "agree"
    assert [each.quantity for each in uncounted.divergences] == ["num_batches_tracked"]


def test_a_constructor_that_is_not_implemented_is_unsupported():
    """NotImplementedError of the constructor makes the case unsupported."""

    class NeverAffine(BatchNorm2d):
        def __init__(self, *arguments, **named):
            raise NotImplementedError

    assert result(NeverAffine, case(TRAIN)).verdict == "unsupported"


def test_published_numbers_are_not_held_against_what_is_unsupported():
    """A case that publishes numbers is unsupported too where the class cannot come so far."""
    published = case(TRAIN, dtype="float64").model_copy()
    expecting = Case.model_validate(
        {
            **published.model_dump(exclude_unset=True, by_alias=True),
            "expect": [{"after": 1, "num_batches_tracked": 1}],
        }
    )

    assert result(OnlyFloat32, expecting).verdict == "unsupported"


def test_outputs_are_judged_where_gradients_are_unsupported():
    """A class without backward is judged by its forward passes: a wrong one diverges."""

    class Wrong(Bare):
        def __call__(self, given):
            return super().__call__(given) + 1

    step = {"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}
    found = result(Wrong, case(step))

    assert found.verdict == "diverge"
    assert found.divergences[0].quantity == "output"


class Exits(BatchNorm2d):
    """Wants to leave."""

    def __call__(self, _):
        """Leave."""
        raise SystemExit(0)


class Structured(BatchNorm2d):
    """Returns an array of records."""

    def __call__(self, given):
        """Return records."""
        return np.zeros(given.shape, [("value", float)])


class Surprises(BatchNorm2d):
    """Returns no array."""

    def __call__(self, _):
        """Return words."""
        return "normalised"


class Broken(BatchNorm2d):
    """Has state that cannot be read."""

    @property
    def running_mean(self):
        """Fail."""
        raise RuntimeError("no statistics")

    @running_mean.setter
    def running_mean(self, value):
        pass


class Unspeakable(BatchNorm2d):
    """Raises what cannot be shown."""

    def __call__(self, _):
        """Fail."""

        class Silent(Exception):  # noqa: N818
            def __str__(self):
                raise ValueError

        raise Silent


@pytest.mark.parametrize("cls", [Exits, Surprises, Structured, Broken, Unspeakable])
def test_whatever_a_class_does_is_a_divergence(cls):
    """SystemExit, an output that is no array, and unreadable state end no run."""
    assert result(cls, case(TRAIN)).verdict == "diverge"


@pytest.mark.parametrize("dtype", ["int64", "complex64", "longdouble", "bool", "complex128"])
def test_outputs_of_any_numeric_type_are_compared(dtype):
    """An output of another type is a difference of type, whatever the type."""

    class Other(BatchNorm2d):
        def __call__(self, given):
            with np.errstate(all="ignore"):
                return super().__call__(given).astype(dtype)

    found = result(Other, case(TRAIN))

    assert ("output", "dtype") in {(each.quantity, each.aspect) for each in found.divergences}


STRANGE = {
    "weight": [np.ones((2, 2)), [1, 2], None],
    "bias": ["none", np.ones(2, [("b", float)])],
    "running_mean": [np.ones(3), np.array([1, 2]), np.array([1, 2j]), None, np.ones(2, ">f4")],
    "running_var": [1.0, np.ones(0)],
    "num_batches_tracked": [3, None, np.arange(3), np.array(np.nan), np.array(1, np.uint8)],
}
SEQUENCE = [
    TRAIN,
    {"train": {"input": INPUT, "grad_output": {"fill": "ones"}}},
    {"save": "it"},
    {"cast": "float64"},
    {"eval": {"input": INPUT}},
    {"load": {"from": "it"}},
]


@pytest.mark.parametrize("momentum", [0.1, 1, None])
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in STRANGE.items() for value in values]
)
def test_state_of_any_kind_is_compared(momentum, name, value):
    """Whatever a class puts in place of an array is a divergence, and ends no run."""

    class Strange(BatchNorm2d):
        def __call__(self, given):
            output = super().__call__(given)
            setattr(self, name, value)
            return output

    plain = case(*SEQUENCE, momentum=momentum).model_dump(exclude_unset=True, by_alias=True)
    expect = [{"after": 1, "running_mean": [0, 0], "within": 9}]

    assert result(Strange, Case.model_validate({**plain, "expect": expect})).verdict == "diverge"


def test_messages_carry_no_addresses():
    """An address in an error's message, which differs from run to run, is not kept."""

    class Addresses(BatchNorm2d):
        def __call__(self, _):
            raise ValueError(f"wrong {object()}")

    trace = resolve(Addresses).execute(case(TRAIN))

    assert trace.steps[0].raised.message == "wrong <object object at 0x...>"
