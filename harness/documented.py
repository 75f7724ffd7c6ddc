"""Models whose JSON Schema has the docstrings of their fields.

Pydantic's ``use_attribute_docstrings`` reads the source of each model when it is imported, which is
two fifths of the time that a command takes to start. Here it is read when a schema is asked for.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Documented(BaseModel):
    """A model whose fields are described in its JSON Schema by the strings below them."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema, its properties described."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docstrings(cls).items():
            described = properties.get(cls.model_fields[name].alias or name)
            if described is not None:
                described["description"] = text
        return schema


def field_docstrings(cls: type[BaseModel]) -> dict[str, str]:
    """Return what is written below each field of a model, and of those that it derives from."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Documented) and inspect.get_annotations(base):
            (written,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            found |= _below_annotations(written)
    return {name: text for name, text in found.items() if name in cls.model_fields}


def _below_annotations(written: ast.stmt) -> dict[str, str]:
    found = {}
    for field, below in pairwise(written.body if isinstance(written, ast.ClassDef) else ()):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found
