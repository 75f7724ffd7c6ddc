"""What is packed in the page of a report, read as a browser reads it."""

from __future__ import annotations

import base64
import json
import re
import zlib


def unpacked(text):
    """Return what was packed."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def data(page):
    """Return what is packed in a page."""
    return unpacked(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))
