"""Blood cells, or any data set in COCO format: give its folder and file names. An hour on two CPU cores.

gp_search run configs/bccd.py --cfg-options data.root=/path/to/bccd
"""

primitive_set = "detkds_gp.primitives:DETKDS"
knowledge = ("global", "foreground_background", "instance", "class_logits", "localization")

data = dict(
    root="data/bccd",
    train=dict(ann_file="train.json", images="images"),
    selection=dict(ann_file="val.json", images="images"),
    test=dict(ann_file="test.json", images="images"),
)


def narrow(base, channels):
    """Return the overrides that make mmdet's RetinaNet R18 narrow enough for a CPU, to be trained from scratch."""
    return {
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": channels,
        "model.neck.norm_cfg": dict(type="BN"),
        "model.bbox_head.in_channels": channels,
        "model.bbox_head.feat_channels": channels,
        "model.bbox_head.stacked_convs": 2,
        "model.test_cfg.nms_pre": 300,
    }


retinanet = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
adamw = dict(type="AdamW", lr=1e-3, weight_decay=0.05, fused=True)

student = dict(config=retinanet, overrides=narrow(16, 64))
teacher = dict(
    config=retinanet,
    overrides=narrow(32, 96),
    train=dict(iterations=1400, optimizer=adamw, warmup=50, decay=0.5),  # at most: until it stops gaining
)

# The rate is constant: averaged weights are steady without its fall, and a shorter training is the beginning of a
# longer one. No rungs: on this pair one cut short ranks formulas little better than luck does (docs/fitness.md).
proxy = dict(
    iterations=120,
    image_size=(120, 160),
    optimizer=adamw,
    warmup=10,
    calibration_iterations=20,
)
search = dict(
    divide=dict(population=12, offspring=8, generations=4),
    conquer=dict(population=16, offspring=16, generations=4),
    champions=2,
    warm_start=(
        "l2(standardize_channel(global))",  # PKD
        "kl(softmax_space(global, 1))",  # CWD
        "binary_kl(units(class_logits, 1))",  # plain logit distillation
        "l2_sum(foreground)",  # FGD's first term
        "l2(instance)",
        "weighted_giou(boxes, box_score)",
    ),
)
verdict = dict(seeds=(1001, 1002, 1003, 1004, 1005, 1006))

del narrow, retinanet, adamw
