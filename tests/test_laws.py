"""Laws of batch normalisation, for torch and the reference through their traces."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case.fills import FILLS
from harness.case.model import Case
from harness.case.strategies import cases
from harness.compare import Account
from harness.compare.assess import assess
from harness.compare.follow import follow
from harness.oracle import Step, exact
from harness.reference import BatchNorm2d
from harness.targets import resolve
from harness.trace import same_bits

torch.set_num_threads(1)

pytestmark = pytest.mark.parametrize("name", ["torch", "reference"])
few = settings(max_examples=20)

SHAPES = st.sampled_from([(2, 2, 1, 1), (3, 3, 2, 2), (2, 1, 3, 5), (4, 5, 3, 3)])
FINITE = st.sampled_from(["normal", "uniform", "exact", "offset", "relu", "small_integers"])
PERMUTATIONS = st.randoms(use_true_random=False)


@st.composite
def data(draw, fills=FINITE):
    """Return an input and a gradient of the output, float32 (N, C, H, W)."""
    shape, seed = draw(SHAPES), draw(st.integers(0, 1000))
    x = FILLS[draw(fills)](seed=seed).draw(shape)
    return x.astype(np.float32), FILLS["normal"](seed=seed).draw(shape).astype(np.float32)


class Outcome:
    """What one step of a module returned and left behind, with the bound of each quantity."""

    def __init__(self, name, x, g, kind="train", state=None, **module):
        spelled = {"input": array(x), "grad_output": array(g)}
        case = Case.model_validate(
            {
                "id": "law",
                "why": "Drawn.",
                "module": {"num_features": x.shape[1], **module},
                "state": {} if state is None else {k: v.tolist() for k, v in state.items()},
                "steps": [{kind: spelled}],
            }
        )
        target = resolve(name)
        done = Account(name, target.execute(case), target.info.declares)
        ((self.step,),) = assess([(tuple(follow(case)), done)])

    def __getattr__(self, quantity):
        """Return values (float64) and bound of a quantity."""
        judged = self.step.judged[quantity]
        return judged.array.astype(np.float64), judged.expected.bound


def array(values):
    """Return an array as a case spells it."""
    return {"values": values.tolist(), "shape": list(values.shape)}


def state(channels):
    """Return a state in which no two channels are alike."""
    names = ("weight", "bias", "running_mean", "running_var")
    drawn = (FILLS["lognormal"](seed=seed).draw((channels,)) for seed in range(4))
    return {name: values.astype(np.float32) for name, values in zip(names, drawn, strict=True)}


def within(one, other, order=...):
    """Whether two quantities, the second in another order, differ by no more than their bounds."""
    (a, bound), (b, other_bound) = one, other
    return bool(np.all(np.abs(a - b[order]) <= bound + other_bound[order]))


@few
@given(data(), PERMUTATIONS, st.sampled_from(["train", "eval"]))
def test_samples_have_no_order(name, drawn, random, kind):
    """Samples in another order give the same results in that order, and the same statistics."""
    x, g = drawn
    order = random.sample(range(len(x)), len(x))
    here = Outcome(name, x, g, kind, state(x.shape[1]))
    there = Outcome(name, x[order], g[order], kind, state(x.shape[1]))

    assert within(there.output, here.output, order)
    assert within(there.grad_input, here.grad_input, order)
    assert within(there.grad_weight, here.grad_weight)
    assert within(there.grad_bias, here.grad_bias)
    if kind == "train":
        assert within(there.running_mean, here.running_mean)
        assert within(there.running_var, here.running_var)


@few
@given(data(), PERMUTATIONS, st.sampled_from(["train", "eval"]))
def test_channels_are_independent(name, drawn, random, kind):
    """Channels in another order, state and all, give the same results in that order."""
    x, g = drawn
    channels = x.shape[1]
    order = random.sample(range(channels), channels)
    here = Outcome(name, x, g, kind, state(channels))
    moved = {key: values[order] for key, values in state(channels).items()}
    there = Outcome(name, x[:, order], g[:, order], kind, moved)

    assert within(there.output, here.output, (slice(None), order))
    assert within(there.grad_input, here.grad_input, (slice(None), order))
    assert within(there.grad_weight, here.grad_weight, order)
    assert within(there.grad_bias, here.grad_bias, order)


@few
@given(data(st.sampled_from(["exact", "small_integers"])), st.integers(-1000, 1000))
def test_shift(name, drawn, shift):
    """A constant added to the input moves the mean by as much, and nothing else."""
    x, g = drawn
    here = Outcome(name, x, g, momentum=1)
    there = Outcome(name, x + np.float32(shift), g, momentum=1)
    mean, bound = here.running_mean

    assert within(there.output, here.output)
    assert within(there.grad_input, here.grad_input)
    assert within(there.running_var, here.running_var)
    assert within(there.running_mean, (mean + shift, bound))


@few
@given(data(), st.integers(-8, 8))
def test_scale(name, drawn, exponent):
    """Input and √eps times s give the same output, gradients over s, and statistics times s, s²."""
    x, g = drawn
    s = 2.0**exponent
    here = Outcome(name, x, g, momentum=1, eps=2.0**-10)
    there = Outcome(name, x * np.float32(s), g, momentum=1, eps=2.0**-10 * s * s)

    assert within(there.output, here.output)
    assert within(there.grad_input, [part / s for part in here.grad_input])
    assert within(there.running_mean, [part * s for part in here.running_mean])
    assert within(there.running_var, [part * s * s for part in here.running_var])


@few
@given(data(), st.data())
def test_eval_is_elementwise(name, drawn, choice):
    """In evaluation, one element alone has the output and gradient that it has among others."""
    x, g = drawn
    n, h, w = (choice.draw(st.integers(0, size - 1)) for size in np.delete(x.shape, 1))
    place = slice(n, n + 1), slice(None), slice(h, h + 1), slice(w, w + 1)
    whole = Outcome(name, x, g, "eval", state(x.shape[1]))
    alone = Outcome(name, x[place], g[place], "eval", state(x.shape[1]))

    assert within(alone.output, whole.output, place)
    assert within(alone.grad_input, whole.grad_input, place)


@few
@given(data())
def test_gradient_of_a_shift_is_zero(name, drawn):
    """In training, grad_input sums to zero over each channel, since a shift changes no output."""
    x, g = drawn
    gradient, bound = Outcome(name, x, g).grad_input

    assert np.all(np.abs(gradient.sum((0, 2, 3))) <= bound.sum((0, 2, 3)))


@few
@given(data(), st.data())
def test_gradient_is_the_slope(name, drawn, choice):
    """grad_input is, within its bound, the slope of the exact forward pass by differences."""
    x, g = drawn
    place = tuple(choice.draw(st.integers(0, size - 1)) for size in x.shape)
    weight = state(x.shape[1])["weight"]
    gradient, bound = Outcome(name, x, g, eps=0.5, state={"weight": weight}).grad_input
    wide = x.astype(np.float64) - x.mean((0, 2, 3), dtype=np.float64)[:, None, None]
    h = 2.0**-12

    def loss(step):
        moved = wide.copy()
        moved[place] += step
        asked = Step(moved, 0.5, batch_statistics=True, weight=weight.astype(np.float64))
        return float((exact(asked).expected("output").values * g).sum())

    slope = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)

    # Rounding in the loss, over the step, is far above what the differences leave out.
    assert abs(gradient[place] - slope) <= bound[place] + 1e-8 * np.abs(g).sum() * weight.max()


@few
@given(data())
def test_momentum_one_forgets(name, drawn):
    """With momentum 1 the running statistics are the batch's, whatever they were."""
    x, g = drawn
    mean, mean_bound = Outcome(name, x, g, state=state(x.shape[1]), momentum=1).running_mean
    var, var_bound = Outcome(name, x, g, momentum=1).running_var
    wide = x.astype(np.longdouble)

    assert np.all(np.abs(mean - wide.mean((0, 2, 3))) <= mean_bound)
    assert np.all(np.abs(var - wide.var((0, 2, 3), ddof=1)) <= var_bound)


@few
@given(data(), st.integers(1, 5))
def test_momentum_zero_remembers(name, drawn, times):
    """With momentum 0 the running statistics keep every bit, and the batches are counted."""
    x, _ = drawn
    kept = state(x.shape[1])
    case = Case.model_validate(
        {
            "id": "law",
            "why": "Drawn.",
            "module": {"num_features": x.shape[1], "momentum": 0},
            "state": {key: values.tolist() for key, values in kept.items()},
            "steps": [{"train": {"input": array(x), "repeat": times}}],
        }
    )
    left = resolve(name).execute(case).steps[-1].state

    assert all(same_bits(left[key], values) for key, values in kept.items())
    assert left["num_batches_tracked"] == times


def inserted(case, position, *more):
    """Return a case with steps put in."""
    spelled = case.model_dump(exclude_unset=True, by_alias=True)
    steps = list(spelled.get("steps", ()))
    return Case.model_validate({**spelled, "steps": [*steps[:position], *more, *steps[position:]]})


@few
@given(
    # What is loaded is written over what a backward pass needs, and torch refuses it.
    cases(legal=True).filter(lambda case: not case.awaited),
    st.integers(0, 8),
    st.sampled_from([[{"save": "z"}, {"load": {"from": "z"}}], [{"call": "deepcopy"}]]),
)
def test_nothing_is_lost(name, case, position, steps):
    """After a save and a load, or in a deep copy, all goes on bit for bit as without."""
    position = min(position, len(case.steps))
    target = resolve(name)
    plain = target.execute(case)
    longer = target.execute(inserted(case, position, *steps))
    added = range(position, position + len(steps))
    rest = [each for each in longer.steps if each.step not in added]

    assert all(each.raised is None for each in longer.steps)
    for one, other in zip(plain.steps, rest, strict=True):
        for part in ("results", "state"):
            ours, theirs = getattr(one, part), getattr(other, part)
            assert ours.keys() == theirs.keys()
            for key, values in ours.items():
                assert values is theirs[key] or same_bits(values, theirs[key])


@few
@given(data())
def test_copies_are_independent(name, drawn):
    """What is done to a deep copy leaves the module that it was made of as it was."""
    x, _ = drawn
    torchs = name == "torch"
    module = (torch.nn.BatchNorm2d if torchs else BatchNorm2d)(x.shape[1])
    before = copy.deepcopy(module.state_dict())
    other = copy.deepcopy(module)
    other(torch.from_numpy(x) if torchs else x)

    assert other.num_batches_tracked == 1
    assert all(bool((module.state_dict()[key] == each).all()) for key, each in before.items())
