"""What users write for a distiller, the formula that it stands for, and whether a pair can be trained with it."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.naming.applies import check_applies, reason_against
    from detkds_gp.naming.binding import bind, in_formulas, names, with_warm_start
    from detkds_gp.naming.named import (
        Named,
        is_formula,
        named_distiller,
        named_distillers,
        read_captions,
        read_distiller,
        sort_of,
    )

__all__ = [
    "Named",
    "bind",
    "check_applies",
    "in_formulas",
    "is_formula",
    "named_distiller",
    "named_distillers",
    "names",
    "read_captions",
    "read_distiller",
    "reason_against",
    "sort_of",
    "with_warm_start",
]

import_lazily(__name__)
