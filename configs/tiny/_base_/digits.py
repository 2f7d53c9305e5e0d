"""A whole experiment in a minute or two: 64x64 scenes of four digits, trainings and generations of a few steps."""

primitive_set = "detkds_gp.primitives:DETKDS"

data = dict(digits=dict(root="work_dirs/digits-tiny", train=48, selection=16, test=16, size=64, digits=(0, 1, 4, 7)))

adamw = dict(type="AdamW", lr=2e-3, weight_decay=0.05)
teacher = dict(train=dict(iterations=20, batch_size=4, optimizer=adamw, warmup=2))
proxy = dict(
    iterations=10,
    batch_size=4,
    image_size=(64, 64),
    optimizer=adamw,
    warmup=2,
    calibration_iterations=5,
    calibration_batches=1,
)
search = dict(
    divide=dict(population=2, offspring=1, generations=1),
    conquer=dict(population=2, offspring=1, generations=1),
    champions=1,
    max_depth=4,
)
verdict = dict(seeds=(1001, 1002), tuning=3)

# After so few steps nobody is better than anybody: these configs show that a pair works, not that it gains.
require_better_teacher = False

del adamw
