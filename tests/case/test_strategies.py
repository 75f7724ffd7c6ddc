"""Drawn cases: legal ones are legal, and every kind of thing is drawn."""

from __future__ import annotations

from contextlib import suppress

import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from reading import items

from harness.case.fills import FILLS
from harness.case.layouts import LAYOUTS
from harness.case.simpler import simpler
from harness.case.strategies import KINDS, cases
from harness.case.writer import to_yaml
from harness.dtypes import OTHERS
from harness.targets import resolve

torch.set_num_threads(1)
TORCH = resolve("torch")

brief = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def errors(case):
    """Return what torch raises in a case."""
    trace = TORCH.execute(case)
    return [each.raised for each in (trace, *trace.steps) if each.raised is not None]


@brief
@given(cases(legal=True))
def test_legal(case):
    """Torch takes every step of a legal case."""
    assert errors(case) == []


@brief
@given(cases())
def test_written_and_read(case):
    """A drawn case, written as YAML, is read as the same case."""
    (read,) = items(to_yaml([case]))

    assert read == case
    assert repr(read) == repr(case)


def test_everything_is_drawn():
    """Each kind of step and layout, most fills, errors and odd shapes occur before long."""
    seen = set()

    def lacking():
        lacks = {*KINDS, *LAYOUTS, "float16", "bfloat16", "empty", "rank"} - seen
        return lacks or len(seen.intersection(FILLS)) <= 20 or seen.isdisjoint(OTHERS)

    def look(case):
        for step in case.steps:
            seen.add(step.kind)
            if step.forward is not None:
                given = [step.forward.input, step.forward.grad_output]
                for spec in filter(None, given):
                    seen.update((spec.fill, spec.layout, spec.dtype))
                shape = step.forward.input.shape
                seen.add("empty" if 0 in shape else "rank" if len(shape) != 4 else "images")
        return not lacking()

    plain = settings(max_examples=3000, database=None, phases=[Phase.generate])
    with suppress(NoSuchExample):
        find(cases(), look, settings=settings(plain, suppress_health_check=list(HealthCheck)))

    assert not lacking()


def test_shrinks_to_the_simplest():
    """A case whose forward pass raises is reduced to one step and at most one option."""

    def refused(case):
        return any(raised.phase == "forward" for raised in errors(case))

    plain = settings(database=None, max_examples=100, phases=[Phase.generate])
    case = find(cases(), refused, settings=plain)
    while (smaller := next(filter(refused, simpler(case)), None)) is not None:
        case = smaller

    assert len(case.steps) == 1
    assert len(case.module.model_fields_set - {"num_features"}) <= 1


@settings(max_examples=30)
@given(cases(), st.data())
def test_simpler_cases_say_less(case, data):
    """Each reduction of a case is another case, and shorter to write."""
    reduced = list(simpler(case))
    if not reduced:
        return
    one = data.draw(st.sampled_from(reduced))

    assert one != case
    assert len(to_yaml([one])) <= len(to_yaml([case])) + len("arange")
