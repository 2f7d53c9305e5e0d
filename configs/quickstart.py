"""Scenes of handwritten digits, a narrow RetinaNet student and a wider teacher: minutes on two CPU cores."""

primitive_set = "detkds_gp.primitives:DETKDS"
knowledge = ("global", "foreground_background", "instance", "class_logits", "localization")

# Four digits rather than ten: a student learns them in so few iterations.
data = dict(digits=dict(root="work_dirs/digits", train=240, selection=100, test=150, size=96, digits=(0, 1, 4, 7)))


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
        "model.neck.num_outs": 3,
        "model.neck.norm_cfg": dict(type="BN"),
        "model.bbox_head.in_channels": channels,
        "model.bbox_head.feat_channels": channels,
        "model.bbox_head.stacked_convs": 1,
        "model.bbox_head.anchor_generator": dict(
            type="AnchorGenerator",
            octave_base_scale=3,
            scales_per_octave=2,
            ratios=[1.0, 1.5],
            strides=[8, 16, 32],
        ),
        "model.test_cfg.nms_pre": 300,
    }


retinanet = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
adamw = dict(type="AdamW", lr=2e-3, weight_decay=0.05, fused=True)

student = dict(config=retinanet, overrides=narrow(16, 64))
teacher = dict(
    config=retinanet,
    overrides=narrow(32, 64),
    train=dict(iterations=300, optimizer=adamw, warmup=20, decay=0.5),
)

proxy = dict(
    iterations=70,
    image_size=(96, 96),
    optimizer=adamw,
    warmup=10,
    calibration_iterations=20,
)
search = dict(
    divide=dict(population=3, offspring=2, generations=1),
    conquer=dict(population=4, offspring=4, generations=1),
    champions=1,
)
# Minutes, not hours: one rival, no anchors of the noise model, and a final round that may take half of the training,
# of trainings as long as the search's.
verdict = dict(seeds=(1001, 1002, 1003, 1004), iterations=70, finalists=1, rivals=dict(PKD="pkd"), share=0.5)
anchors = 0

del narrow, retinanet, adamw
