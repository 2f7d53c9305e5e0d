"""COCO 2017: a fifth of train2017 to learn from, a fiftieth to select on, val2017 only to report.

Paths and device are the user's: --cfg-options data.root=/path/to/coco teacher.checkpoint=/path/to.pth proxy.device=cuda
"""

primitive_set = "detkds_gp.primitives:DETKDS"

annotations = "annotations/instances_{}2017.json"
data = dict(
    root="data/coco",
    train=dict(ann_file=annotations.format("train"), images="train2017", part=(0.0, 0.2)),
    selection=dict(ann_file=annotations.format("train"), images="train2017", part=(0.98, 1.0)),
    test=dict(ann_file=annotations.format("val"), images="val2017"),
)

# mmdet's SGD at its rate for 16 images a step, halved for 8: a weight found here suits mmdet's own schedules.
proxy = dict(
    iterations=2000,
    batch_size=8,
    # No side of a COCO image is longer than 640, upright or lying: native resolution, a third of 1333x800's pixels.
    image_size=(640, 640),
    optimizer=dict(type="SGD", lr=0.005, momentum=0.9, weight_decay=1e-4),
    clip_norm=35.0,
    warmup=200,
    decay=0.5,
    calibration_iterations=200,
    calibration_batches=4,
)
search = dict(
    divide=dict(population=6, offspring=6, generations=2),
    conquer=dict(population=6, offspring=6, generations=2),
    champions=2,
    warm_start=(
        "l2(standardize_channel(global))",  # PKD
        "kl(softmax_space(global, 1))",  # CWD
    ),
)
execution = dict(workers=1, time_limit_seconds=7200.0)

del annotations
