"""The models of fills: what they accept, refuse and write."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from harness.case.fills import FILLS, Fill

NAMES = st.sampled_from([*FILLS])
SHAPE = (6, 5, 4, 7)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ({"fill": "special", "channel": 5}, "has channel 5, but this shape has 5 channels"),
        ({"fill": "special", "index": 168}, "choose an index of 0 to 167"),
        ({"fill": "one_hot", "index": 200}, "'one_hot' has index 200"),
        ({"fill": "proportional"}, "needs the step's input .* but none is given"),
    ],
)
def test_draw_refusals(fill, message):
    """What does not fit the shape is refused, with what would."""
    recipe = TypeAdapter(Fill).validate_python(fill)

    with pytest.raises(ValueError, match=message):
        recipe.draw(SHAPE)


def test_proportional_shape():
    """An input of another shape is refused."""
    with pytest.raises(ValueError, match=r"the one given has shape \(2, 2\)"):
        FILLS["proportional"]().draw((4,), like=np.ones((2, 2)))


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ({"fill": "gaussian"}, "does not match any of the expected tags"),
        ({"fill": "normal", "sd": 2}, "Extra inputs are not permitted"),
        ({"fill": "normal", "mean": "3"}, "valid number"),
        ({"fill": "normal", "mean": True}, "valid number"),
        ({"fill": "normal", "std": -1}, "greater than or equal to 0"),
        ({"fill": "normal", "seed": 1.0}, "valid integer"),
        ({"fill": "normal", "seed": -1}, "greater than or equal to 0"),
        ({"fill": "normal", "seed": 2**64}, "less than 18446744073709551616"),
        ({"fill": "ones", "exponent": 1024}, "less than or equal to 1023"),
        ({"fill": "uniform", "low": 2}, "low 2.0 is above high 1.0: exchange them"),
        ({"fill": "small_integers", "low": 9}, "low 9 is above high 8"),
        ({"fill": "few_ulps", "value": 1e5, "precision": "float16"}, "choose one within ±65504"),
        ({"fill": "few_ulps", "value": math.nan}, "not a finite float32"),
    ],
)
def test_invalid(fill, message):
    """A recipe that says nothing sensible is refused."""
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Fill).validate_python(fill)


@given(NAMES, st.booleans())
def test_round_trip(name, short):
    """A recipe survives being written, with or without its defaults."""
    recipe = FILLS[name](exponent=3)
    written = recipe.model_dump(exclude_defaults=short)

    assert TypeAdapter(Fill).validate_python(written) == recipe


@given(NAMES)
def test_pickled(name):
    """A recipe draws the same bits in the process that it is sent to."""
    recipe = FILLS[name](exponent=3)
    sent = pickle.loads(pickle.dumps(recipe))  # noqa: S301 - made here
    x = FILLS["normal"]().draw(SHAPE)

    assert sent.draw(SHAPE, like=x).tobytes() == recipe.draw(SHAPE, like=x).tobytes()


def test_schema():
    """The JSON Schema is strict JSON and names every fill."""
    schema = TypeAdapter(Fill).json_schema()
    json.dumps(schema, allow_nan=False)

    assert set(schema["discriminator"]["mapping"]) == set(FILLS)


def test_written_short():
    """Written without its defaults, a recipe keeps its name, first."""
    written = FILLS["normal"](mean=3, seed=1).model_dump(exclude_defaults=True)

    assert list(written.items()) == [("fill", "normal"), ("seed", 1), ("mean", 3.0)]


def test_nan_equality():
    """Recipes with nan are equal and have one hash, whichever nan it is."""
    first, second = (FILLS["constant"](value=math.inf * 0) for _ in range(2))

    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize("name", FILLS)
def test_documented(name):
    """Every fill says which mistake it exposes, and every parameter what it is."""
    fields = FILLS[name].model_fields

    assert FILLS[name].__doc__.startswith("Expose ")
    assert [key for key, field in fields.items() if key != "fill" and not field.description] == []


@pytest.mark.parametrize("name", FILLS)
def test_parameter_names(name):
    """No parameter takes a name that an input has beside its fill."""
    assert not {"shape", "dtype", "layout", "values", "size"} & set(FILLS[name].model_fields)
