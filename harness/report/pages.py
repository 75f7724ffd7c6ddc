"""HTML pages from templates: all text is escaped, and each page stands alone."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


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
    made.filters["packed"] = packed
    return made


def page(template: str, **values: object) -> str:
    """Return a page."""
    return environment().get_template(template).render(**values)


def packed(value: object) -> str:
    """Return JSON, compressed, in base64: it may stand in any element, whatever texts it has.

    The format is zlib's (RFC 1950), which has no time and no host in it, and which browsers
    unpack by ``DecompressionStream("deflate")``.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
