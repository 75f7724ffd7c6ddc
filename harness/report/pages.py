"""HTML pages from templates: all text is escaped, and each page stands alone."""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_UNSAFE = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@cache
def environment() -> Environment:
    """Return the templates of this package."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["embedded"] = embedded
    return made


def page(template: str, **values: object) -> str:
    """Return a page."""
    return environment().get_template(template).render(**values)


def embedded(value: object) -> Markup:
    """Return JSON that may stand in a script element, whatever texts it has.

    What could end the element, or begin a comment in it (HTML, section 4.12.1.3), is spelled
    by escapes of JSON.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for char, spelled in _UNSAFE.items():
        text = text.replace(char, spelled)
    return Markup(text)  # noqa: S704  # nothing of it is left that HTML would read
