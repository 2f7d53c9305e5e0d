"""The two sets that come with the engine: the paper's cascade, and everything."""

from detkds_gp.language import Boxes, Map, PrimitiveSet, Probs, Ratio, Rows, Temperature, Units
from detkds_gp.primitives import (
    attention,
    box_distances,
    boxes,
    combiners,
    distances,
    inputs,
    learned,
    norms,
    pairs,
    pointwise,
    probabilities,
    row_weights,
    scales,
    structure,
)


class Scaled(Map):
    """A map that may still be normalised."""


class Attended(Scaled):
    """A map that may still be scaled."""


class Raw(Attended):
    """A map as the detectors give it."""


class ScaledRows(Rows):
    """Rows that may still be normalised."""


CASCADE = {Map: Raw, Rows: ScaledRows}
"""Where in the cascade the knowledge of a kind begins."""

KNOWLEDGE = (
    inputs.global_, inputs.foreground, inputs.background, inputs.instance,
    inputs.class_logits, inputs.class_map,
    inputs.boxes, inputs.box_bins, inputs.box_score, inputs.valuable_boxes,
    inputs.objectness, inputs.objectness_map, inputs.proposals, inputs.proposal_score,
    inputs.mask_logits, inputs.cross_logits, inputs.cross_map,
    inputs.memory, inputs.query_logits, inputs.query_boxes, inputs.query_score,
    inputs.predicted_logits, inputs.predicted_boxes, inputs.predicted_score,
)  # fmt: skip
MAP_NORMS = (norms.unit_channel, norms.unit_space, norms.standardize_channel)
DISTANCES = (
    distances.l1, distances.l2, distances.smooth_l1, distances.l1_sum, distances.l2_sum,
    distances.cosine, distances.pearson, distances.kl, distances.binary_kl,
    distances.weighted_kl, structure.ssim,
    box_distances.iou, box_distances.giou, box_distances.weighted_iou, box_distances.weighted_giou,
)  # fmt: skip

PUBLISHED = (
    attention.spatial_attention_map, attention.channel_attention_map, *learned.LEARNED,
)  # fmt: skip
"""What published distillers take and no search draws."""

DETKDS = PrimitiveSet(
    "DETKDS",
    [
        *(shared.retyped(CASCADE.get(shared.result, shared.result)) for shared in KNOWLEDGE),
        attention.spatial_attention.retyped(Raw, Temperature, Attended),
        attention.channel_attention.retyped(Raw, Temperature, Attended),
        pairs.shared_mask.retyped(Raw, Ratio, Attended),
        pairs.shared_dropout.retyped(Raw, Ratio, Attended),
        scales.max_pool_2.retyped(Attended, Scaled),
        scales.max_pool_4.retyped(Attended, Scaled),
        scales.patches_2.retyped(Attended, ScaledRows),
        scales.patches_4.retyped(Attended, ScaledRows),
        *(norm.retyped(Scaled, Map) for norm in (*MAP_NORMS, *pointwise.POINTWISE)),
        boxes.box_offsets.retyped(Boxes, ScaledRows),
        norms.unit_row.retyped(ScaledRows, Rows),
        norms.standardize_row.retyped(ScaledRows, Rows),
        norms.channel_gram.retyped(Scaled, Rows),
        norms.space_gram.retyped(Scaled, Rows),
        probabilities.softmax_space.retyped(Scaled, Temperature, Probs),
        probabilities.softmax_channel.retyped(Scaled, Temperature, Probs),
        probabilities.softmax_row.retyped(ScaledRows, Temperature, Probs),
        probabilities.units.retyped(ScaledRows, Temperature, Units),
        *DISTANCES,
        combiners.temperature.with_values(0.5, 1, 2, 4),
        combiners.ratio,
    ],
    known=[
        inputs.foreground_mask,
        inputs.background_mask,
        attention.teacher_spatial_attention,
        attention.teacher_channel_attention,
        attention.weighted,
        probabilities.probabilities,
        distances.weighted_binary_kl,
        combiners.add,
        combiners.scaled,
        *PUBLISHED,
    ],
)
"""The paper's cascade attention -> scale -> norm -> distance, every slot optional, well-formed.

The kinds fix the order: Raw < Attended < Scaled < Map. Pointwise functions stand in the norm's
slot; a norm or softmax over the batch is left out, since it mixes images. What published
distillers take besides is known and never drawn.
"""

OMNI = PrimitiveSet(
    "OMNI",
    [
        *KNOWLEDGE,
        inputs.teacher_score, inputs.foreground_mask, inputs.background_mask, inputs.valuable_region,
        attention.spatial_attention, attention.channel_attention,
        attention.teacher_spatial_attention, attention.teacher_channel_attention,
        attention.disagreement, attention.weighted,
        pairs.shared_mask, pairs.shared_dropout,
        scales.max_pool_2, scales.max_pool_4, scales.patches_2, scales.patches_4,
        *MAP_NORMS, norms.unit_row, norms.standardize_row, norms.channel_gram, norms.space_gram,
        norms.flatten_space, norms.flatten_image, norms.positions,
        boxes.box_offsets, row_weights.weighted_rows,
        *pointwise.POINTWISE,
        probabilities.softmax_space, probabilities.softmax_channel, probabilities.softmax_row,
        probabilities.probabilities, probabilities.units, probabilities.sigmoid_units,
        *DISTANCES, distances.weighted_binary_kl,
        combiners.add, combiners.scaled,
        combiners.temperature, combiners.factor, combiners.ratio,
    ],
    known=PUBLISHED,
)  # fmt: skip
"""Every primitive without weights, in any order that the kinds allow, to any depth.

Learned ones and the attentions that FGD compares are known and never drawn.
"""
