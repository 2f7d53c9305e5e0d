"""Why a winner wins: what is left of it without its parts, and pictures of what it pulls at."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.explanation.explain import Explaining, Explanation, recorded_config

__all__ = ["Explaining", "Explanation", "recorded_config"]

import_lazily(__name__)
