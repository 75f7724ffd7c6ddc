"""The bits of every fill, once and for all."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from harness.case.fills import FILLS, to_dtype
from harness.dtypes import FLOATING

GOLDEN = {
    "zeros": "ad03396ba1f4627e67e662a75714170df3466d9aca8a4c3a8485f906fa8ebfe6",
    "ones": "1197fdf9a991e726c8dbd80caa3653ff0c55a74016a3bd64f5e6695a800fc54f",
    "constant": "1197fdf9a991e726c8dbd80caa3653ff0c55a74016a3bd64f5e6695a800fc54f",
    "arange": "4ee39deda15e365002a41d251481c78fd39b26a3fb6c0dd0be2b36c5967c0321",
    "ramp": "8c8516b2e3d7e5ec2c1027fbe33726c7083750523c8c7d879f774c8a23c14bfd",
    "alternating": "3d0c6117ff1cbbb375c690ccfd26e3bda0dbd90e15e61d7a77d65cc6fc4c7803",
    "uniform": "e01969e31729e2f931dfe7fb1edf807934f14e2413c5746b78e40fc8973be734",
    "normal": "ea02cb92e568d071cf55ebe762787b7753fd839c165da801b59132ea23a8807a",
    "offset": "7453bafebce310f29eb2c9378bb770019739f87fc5cac52fa2d6d37d88c741ba",
    "relu": "afc8ae511988c8a8a85ea6959d6979b8e8693d19b6bd456cf2f5bfe7d33cc2eb",
    "sorted": "9a9b0df2202dcef563cfaa1bc0f1ae967de284eb7bf0ac6bfa9e1bb7eab6b3f1",
    "lognormal": "fd750bdcd6d99ff832a096fe226622262732feef5c1917765f10ce58ac91e956",
    "outlier": "33568048e4e04651839c28916a7e96a2998f50bfa66ee873a0ee16a998494f75",
    "two_valued": "1a1ced0d824ccb7329c47d040ed0a6c53b084864616c10fe38e8c5b27cd07fe7",
    "small_integers": "50178266053bb42f24f89f2871832f58b40221d00de4a8fa1db18d49c18944ea",
    "special": "3990af2b44d25c3a09f8d173a868e0fae9aeda6c4c0045f4e936327f1d3e952b",
    "exact": "a545f253666c82af27ecab5684f638ec48c249cda569159962118bd069cb3d1a",
    "few_ulps": "184e087d362df7262e22d9071e00a9fb7e5f394089df440ff014999690fee57e",
    "near_eps": "411423a634312032781216b5337bb1116df610ca44c2fec79f8cda1c00ac037d",
    "tiny": "b71a4c57ed477db9d99d035502e4a72ea5c6f9fed284d00618b7d6ecd8aac431",
    "huge": "88afd19b6b4373b3292b20730d29c83ebd22fd05852ceca2729adcfcf76a3b4c",
    "subnormal": "cac3878d73753c4979baf4a97ea5a0ad3635db9d88ff662357895877aebab9de",
    "one_hot": "21b951e29c5be3012c93add2675e6c39a7a595d56fd9d7045519b442ad81ad32",
    "zero_sum": "223cd7eb010c88cf4673693e1d49a578516fb2fba255d6a0edc8de736e9a1bf1",
    "proportional": "62755622d3cf42972b33bbadc42e26393495b6b40cfa274bf92698a30e57858a",
}


def digest(name: str) -> str:
    """Hash the little-endian bits of an input and a vector in the four floating types."""
    hashed = hashlib.sha256()
    for shape in ((2, 3, 4, 5), (3,)):
        like = np.arange(np.prod(shape)).reshape(shape)
        values = FILLS[name]().draw(shape, like=like)
        for dtype in FLOATING:
            rounded = to_dtype(values, dtype)
            hashed.update(rounded.view(f"u{rounded.itemsize}").astype(f"<u{rounded.itemsize}"))
    return hashed.hexdigest()


@pytest.mark.parametrize("name", FILLS)
def test_golden(name):
    """A fill gives the bits that it gave when it was published."""
    assert digest(name) == GOLDEN[name]
