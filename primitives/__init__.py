"""The primitive library: what formulas are made of, and the two sets that come with the engine."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.primitives.sets import DETKDS, OMNI

__all__ = ["DETKDS", "OMNI"]

import_lazily(__name__)
