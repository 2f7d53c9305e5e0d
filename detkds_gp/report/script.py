"""plotly.js from the installed package, packed so that a page stays small and needs no network."""

from __future__ import annotations

import gzip
from base64 import b64encode
from functools import cache

from plotly.offline import get_plotlyjs


@cache
def packed_plotly() -> str:
    """Return plotly.js, gzipped, as base64; browsers unpack it by themselves (DecompressionStream, since 2023)."""
    return b64encode(gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)).decode("ascii")
