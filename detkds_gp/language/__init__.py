"""The formula language: kinds, primitive declarations, sets, trees, text, canonical form."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.language.canonical import canonical
    from detkds_gp.language.declarations import CALIBRATED, NONE, Algebra, Declaration, describe
    from detkds_gp.language.decorators import combiner, constant, distance, input, learned, pair_transform, transform
    from detkds_gp.language.distiller import (
        Distiller,
        Term,
        distiller_from_json,
        make_distiller,
        make_term,
        parse_distiller,
    )
    from detkds_gp.language.growth import grow, ramped_half_and_half
    from detkds_gp.language.kinds import (
        Boxes,
        Factor,
        Features,
        Field,
        Kind,
        Loss,
        Map,
        Number,
        Probs,
        Ratio,
        RowField,
        Rows,
        Temperature,
        Units,
    )
    from detkds_gp.language.parser import parse_tree
    from detkds_gp.language.primitive_set import PrimitiveSet, load_primitive_set
    from detkds_gp.language.roles import Combiner, Constant, Distance, Input, Learned, PairTransform, Transform
    from detkds_gp.language.tree import cost, depth, fold, to_text
    from detkds_gp.language.zoo import WHOLE, Published, Zoo, load_zoo

__all__ = [
    "CALIBRATED", "NONE", "WHOLE", "Algebra", "Boxes", "Combiner", "Constant", "Declaration", "Distance", "Distiller",
    "Factor", "Features", "Field", "Input", "Kind", "Learned", "Loss", "Map", "Number", "PairTransform", "PrimitiveSet",
    "Probs", "Published", "Ratio", "RowField", "Rows", "Temperature", "Term", "Transform", "Units", "Zoo",
    "canonical", "combiner", "constant", "cost", "depth", "describe", "distance", "distiller_from_json", "fold", "grow",
    "input", "learned", "load_primitive_set", "load_zoo", "make_distiller", "make_term", "pair_transform",
    "parse_distiller", "parse_tree", "ramped_half_and_half", "to_text", "transform",
]  # fmt: skip

import_lazily(__name__)
