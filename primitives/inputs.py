"""What a formula can start from: the knowledge of both detectors.

Where there are levels, every input gives one value a level. A field is one value for both sides; it
stands only beside the knowledge whose positions or rows it counts.
"""

from detkds_gp.language import Boxes, Field, Map, RowField, Rows, Units, input

GRIDS = ("global", "foreground_background", "class_logits", "objectness", "cross_head")
"""The knowledge whose maps have the pyramid's positions."""


@input(Map, niche="global", latex=r"F")
def global_() -> None:
    """Feature map of every pyramid level.

    (N, C, H, W): the neck's output (the backbone's, where there is no neck), in the teacher's
    channels: where the student has another number of them, a 1x1 convolution trained with it leads
    there.

    In mmdet: ``detector.extract_feat(images)``.
    In torchvision: ``model.backbone(images).values()``.
    """


@input(Map, niche="foreground_background", latex=r"F_{\mathrm{fg}}")
def foreground() -> None:
    """Feature map of every pyramid level, weighted by the root of the foreground mask.

    (N, C, H, W): `global` times the root of `foreground_mask`, so that ``l2_sum`` is the masked
    term. Source: FGD (CVPR 2022), eq. 2 to 4 and 7.

    In mmdet and torchvision: ``global`` times the root of FGD's foreground mask of each level.
    """


@input(Map, niche="foreground_background", latex=r"F_{\mathrm{bg}}")
def background() -> None:
    """Feature map of every pyramid level, weighted by the root of the background mask.

    (N, C, H, W): `global` times the root of `background_mask`, so that ``l2_sum`` is the masked
    term. Source: FGD (CVPR 2022), eq. 2 to 4 and 7.

    In mmdet and torchvision: ``global`` times the root of FGD's background mask of each level.
    """


@input(Map, niche="instance", latex=r"F_{\mathrm{ins}}")
def instance() -> None:
    """Features of every object: RoI-aligned from the map of its own level.

    (R, C, 7, 7), in the teacher's channels, for the R ground-truth boxes of the batch, each on the
    level its size asks for (the rule of FPN, CVPR 2017, eq. 1). All boxes together are one level; R
    may be 0. Source: DetKDS (ICML 2024).

    In mmdet and torchvision: ``torchvision.ops.roi_align(map, [boxes], 7, 1 / stride, 2,
        aligned=True)`` on each level.
    """


@input(Rows, niche="class_logits", latex=r"z")
def class_logits() -> None:
    """Class logits of every location and anchor, or of every RoI, one row each.

    (N H W A, K): before the sigmoid or softmax. Where the two sides have other anchors: (N H W, K),
    of the best-scoring anchor of a location, class by class. Of two-stage detectors: (R, K + 1),
    the RoI head's, on the student's RoIs, a level for each stage of a cascade.

    In mmdet: ``cls_score.permute(0, 2, 3, 1).reshape(-1, K)`` of each level of
        ``bbox_head(maps)[0]``.
    In torchvision: ``model.head(maps)["cls_logits"].reshape(-1, K)``, all levels as one.
    """


@input(Map, niche="class_logits", latex=r"Z")
def class_map() -> None:
    """Class logits of a dense head as a map.

    (N, A K, H, W): before the sigmoid or softmax. Where the two sides have other anchors:
    (N, K, H, W), of the best-scoring anchor of a location, class by class. Two-stage detectors have
    none.

    In mmdet: each level of ``bbox_head(maps)[0]``.
    In torchvision: ``model.head.classification_head``'s last convolution on each map.
    """


@input(Boxes, niche="localization", latex=r"B")
def boxes() -> None:
    """Predicted boxes, decoded without clipping, one row each.

    (M, 4), pixels of the padded image. Of dense heads one for every location and anchor
    (M = N H W A, in this order); of two-stage detectors one for every RoI, of the foreground class
    that the teacher scores best.

    In mmdet: ``bbox_coder.decode(priors, bbox_pred)`` of each level of ``bbox_head(maps)``.
    In torchvision: ``model.box_coder.decode_single(bbox_regression.reshape(-1, 4), anchors)``, all
        levels as one.
    """


@input(Rows, niche="localization", latex=r"b")
def box_bins() -> None:
    """Logits of the distributions of a box's left, top, right and bottom distance.

    (4 M, n + 1): four rows a box, boxes in the order of `boxes`; column i stands for i strides from
    the location. Heads that predict distributions have it. Source: GFL (NeurIPS 2020), LD
    (CVPR 2022).

    In mmdet: ``bbox_pred.permute(0, 2, 3, 1).reshape(-1, n + 1)`` of each level of GFLHead's
        ``bbox_head(maps)[1]``.
    In torchvision: no detector predicts distributions.
    """


@input(RowField, niche="localization", latex=r"s_{B}")
def box_score() -> None:
    """The teacher's best class probability of every box.

    (M, 1), in [0, 1], in the order of `boxes`.

    In mmdet and torchvision: the teacher's ``class_logits`` after the sigmoid, ``.amax(1,
        keepdim=True)``.
    """


@input(RowField, niche="localization", latex=r"v_{B}")
def valuable_boxes() -> None:
    """Whether a box lies in the main or the valuable localization region: `valuable_region` by box.

    (M, 1), 0 or 1, in the order of `boxes`. Source: LD (CVPR 2022), algorithm 1.

    In mmdet and torchvision: ``valuable_region.flatten().repeat_interleave(A)[:, None]``.
    """


@input(Units, niche="objectness", latex=r"o")
def objectness() -> None:
    """Objectness logits of the RPN, one for every location and anchor.

    (N H W A, 1): before the sigmoid.

    In mmdet: ``rpn.permute(0, 2, 3, 1).reshape(-1, 1)`` of each level of ``rpn_head(maps)[0]``.
    In torchvision: ``x.permute(0, 2, 3, 1).reshape(-1, 1)`` of each level of
        ``model.rpn.head(maps)[0]``.
    """


@input(Map, niche="objectness", latex=r"O")
def objectness_map() -> None:
    """Objectness logits of the RPN as a map.

    (N, A, H, W): before the sigmoid.

    In mmdet: each level of ``rpn_head(maps)[0]``.
    In torchvision: each level of ``model.rpn.head(maps)[0]``.
    """


@input(Boxes, niche="proposals", latex=r"P")
def proposals() -> None:
    """Boxes that the RPN predicts, decoded without clipping, one for every location and anchor.

    (N H W A, 4), pixels of the padded image.

    In mmdet: ``bbox_coder.decode(priors, bbox_pred)`` of each level of ``rpn_head(maps)``.
    In torchvision: ``model.rpn.box_coder.decode_single(deltas, anchors)`` of each level.
    """


@input(RowField, niche="proposals", latex=r"s_{P}")
def proposal_score() -> None:
    """The teacher's objectness probability of every proposal.

    (N H W A, 1), in [0, 1], in the order of `proposals`.

    In mmdet and torchvision: the teacher's ``objectness`` after the sigmoid.
    """


@input(Map, niche="mask_logits", latex=r"\mu")
def mask_logits() -> None:
    """Logits of the mask head on the student's positive RoIs; without RoIs one mask an object.

    (P, K, h, w): before the sigmoid; P may be 0. Without RoIs (P, 1, 28, 28), on the objects' boxes.

    In mmdet: ``roi_head._mask_forward(maps, positive_rois)["mask_preds"]``; of YOLACT, CondInst, RTMDet-Ins, SOLO,
    SOLOv2 and Mask2Former the mask of one anchor, point, cell or query.
    In torchvision: ``model.roi_heads.mask_predictor(mask_head(roi_features))``.
    """


@input(Map, niche="memory", latex=r"F_{\mathrm{enc}}")
def memory() -> None:
    """Feature map of every level of a DETR's encoder.

    (N, C, H, W): what its decoder attends to, in the teacher's channels: where the student has
    another number of them, a 1x1 convolution trained with it leads there.

    In mmdet: ``encoder(...)``, (N, H W, C), split by level and brought to maps.
    In torchvision: no detector has such an encoder.
    """


@input(Rows, niche="queries", latex=r"z_{q}")
def query_logits() -> None:
    """Class logits of the queries of a DETR, each of the teacher's beside one of the student's.

    (N Q, K): before the sigmoid; (N Q, K + 1) where both have a softmax, the background's last;
    where one has, every class's logit against all others and the background. One to one by box and
    class, a level for each decoder layer.

    In mmdet: ``bbox_head(hidden_states, references)[0]``, without denoising queries, in the order
        of ``scipy.optimize.linear_sum_assignment``.
    In torchvision: no detector has queries.
    """


@input(Boxes, niche="queries", latex=r"B_{q}")
def query_boxes() -> None:
    """Boxes of the queries of a DETR, each of the teacher's beside one of the student's.

    (N Q, 4), pixels of the padded image, in the order of `query_logits`, a level for each decoder
    layer.

    In mmdet: ``bbox_cxcywh_to_xyxy(bbox_head(hidden_states, references)[1])`` times the image's
        width and height, in the order of ``query_logits``.
    In torchvision: no detector has queries.
    """


@input(RowField, niche="queries", latex=r"s_{q}")
def query_score() -> None:
    """The teacher's best class probability of every one of its queries.

    (N Q, 1), in [0, 1], in the order of `query_logits`: next to nothing for background, which most
    queries find.

    In mmdet: the teacher's ``query_logits`` after the sigmoid (a softmax: without the background),
        ``.amax(1, keepdim=True)``.
    In torchvision: no detector has queries.
    """


@input(Rows, niche="predictions", latex=r"\hat{z}")
def predicted_logits() -> None:
    """Class logits of the teacher's best predictions, each beside those of a prediction of the student.

    (M, K), of whatever two detectors: the teacher's predictions of an image without duplicates that
    score .05 (the best one in any case, 32 at most), one to one with those of the student that are
    nearest by box and class. As of sigmoids: of a softmax, every class's logit against all others
    and the background.

    In mmdet and torchvision: the logits of the teacher's predictions after NMS, and of the
        student's partners by ``scipy.optimize.linear_sum_assignment``.
    """


@input(Boxes, niche="predictions", latex=r"\hat{B}")
def predicted_boxes() -> None:
    """Boxes of the teacher's best predictions, each beside that of a prediction of the student.

    (M, 4), pixels of the padded image, decoded without clipping, in the order of
    `predicted_logits`.

    In mmdet and torchvision: the boxes of the teacher's predictions after NMS, and of the student's
        partners by ``scipy.optimize.linear_sum_assignment``.
    """


@input(RowField, niche="predictions", latex=r"s_{\hat{B}}")
def predicted_score() -> None:
    """The teacher's best class probability of every one of its predictions.

    (M, 1), in [0, 1], in the order of `predicted_logits`.

    In mmdet and torchvision: the teacher's ``predicted_logits`` after the sigmoid, ``.amax(1,
        keepdim=True)``.
    """


@input(Rows, niche="cross_head", latex=r"z^{\times}")
def cross_logits() -> None:
    """Class logits that the teacher's head gives of the student's features, beside its own.

    (N H W A, K): on the student's side the teacher's head read the student's feature maps, on the
    teacher's side its own. Source: CrossKD (CVPR 2024).

    In mmdet: as ``class_logits``, of the teacher's ``bbox_head`` on the student's maps, and on its
        own.
    In torchvision: as ``class_logits``, of the teacher's head on the student's maps, and on its
        own.
    """


@input(Map, niche="cross_head", latex=r"Z^{\times}")
def cross_map() -> None:
    """The logits of `cross_logits` as a map.

    (N, A K, H, W): before the sigmoid or softmax. Source: CrossKD (CVPR 2024).

    In mmdet: as ``class_map``, of the teacher's ``bbox_head`` on the student's maps, and on its
        own.
    In torchvision: as ``class_map``, of the teacher's head on the student's maps, and on its own.
    """


@input(Field, niche=GRIDS, latex=r"s")
def teacher_score() -> None:
    """The teacher's best class probability at every position.

    (N, 1, H, W), in [0, 1]: over anchors and classes; of two-stage detectors the RPN's best
    objectness probability.

    In mmdet and torchvision: the teacher's ``class_map`` after the sigmoid, ``.amax(1,
        keepdim=True)``.
    """


@input(Field, niche=GRIDS, latex=r"M_{\mathrm{fg}}")
def foreground_mask() -> None:
    """One over the number of cells of the box a position lies in, 0 outside all boxes.

    (N, 1, H, W), in [0, 1]: cells counted on the position's level; where boxes overlap, the
    smallest counts. Source: FGD (CVPR 2022), eq. 2 and 3.

    In mmdet and torchvision: made of the ground-truth boxes.
    """


@input(Field, niche=GRIDS, latex=r"M_{\mathrm{bg}}")
def background_mask() -> None:
    """One over the number of positions outside all boxes, 0 inside a box.

    (N, 1, H, W), in [0, 1]. Source: FGD (CVPR 2022), eq. 2 and 3.

    In mmdet and torchvision: made of the ground-truth boxes.
    """


@input(Field, niche=GRIDS, latex=r"v")
def valuable_region() -> None:
    """Whether a position lies in the main or the valuable localization region.

    (N, 1, H, W), 0 or 1: 1 where the DIoU of a square of 8 strides round the location (ATSS's
    anchor, whatever the head's) with a ground-truth box is at least a quarter of what makes such an
    anchor positive for that box. Source: LD (CVPR 2022), algorithm 1.

    In mmdet and torchvision: made of the ground-truth boxes.
    """
