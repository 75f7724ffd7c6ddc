"""Hypothesis strategies for cases, for this project's tests and anyone's.

    @given(cases(legal=True))
    def test_mine(case): ...

`cases` makes `Case` values; the other strategies make their parts as a case file spells them, in
dicts that keep to what is not a default, so that what Hypothesis shrinks reads as if written.
Simple values come first, and shrinking leads to them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from harness.case.model import Case
from harness.case.strategies.arrays import fills, grad_outputs, inputs, shapes, vectors
from harness.case.strategies.legality import Sketch
from harness.case.strategies.modules import modules, states
from harness.case.strategies.steps import KINDS, forwards, settings, steps

__all__ = [
    "KINDS",
    "cases",
    "fills",
    "forwards",
    "grad_outputs",
    "inputs",
    "modules",
    "settings",
    "shapes",
    "states",
    "steps",
    "vectors",
]

LONGEST = 8
"""Most steps of a case."""

# A case of few kinds of step has more of each: what takes three resets is found sooner.
_MIXTURES = (
    ("train", "eval"),
    ("train", "eval", "backward"),
    ("train", "eval", "call"),
    ("train", "eval", "set"),
    ("train", "eval", "save", "load"),
    ("train", "call", "save", "load"),
    ("train", "eval", "cast"),
    ("train", "call"),
    ("train", "call", "set"),
    KINDS,
)


@st.composite
def cases(draw: st.DrawFn, legal: bool | None = None) -> Case:
    """Return a strategy for cases.

    Parameters
    ----------
    legal : bool, optional
        True: no step raises an error in torch. False: anything that a case can say, errors among
        it. None: some of each.
    """
    if legal is None:
        legal = not draw(st.booleans())
    module = draw(modules(legal))
    spelled: dict[str, Any] = {"id": "generated", "why": "Generated.", "module": module}
    state = draw(states(module, legal))
    if state:
        spelled["state"] = state
    kinds = draw(st.sampled_from(_MIXTURES))
    drawn = draw(
        st.lists(steps(module["num_features"], kinds, legal), min_size=1, max_size=LONGEST)
    )
    sketch = Sketch.of(module)
    # Each step is drawn without a look at the others, so that shrinking can take out any of them;
    # what cannot stand where it is, is left out afterwards.
    placed = (sketch.placed(step) for step in drawn)
    spelled["steps"] = [step for step in placed if sketch.goes_on(step, legal)]
    return Case.model_validate(spelled)
