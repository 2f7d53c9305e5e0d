"""Blood cells with a student of half the width: a pair whose gap stays however long the student is trained.

gp_search run configs/bccd_narrow.py --cfg-options data.root=/path/to/bccd
"""

_base_ = "bccd.py"

# The teacher is bccd.py's, of 32 and 96 channels.
student = dict(
    overrides={
        "model.backbone.base_channels": 8,
        "model.backbone.stem_channels": 8,
        "model.neck.in_channels": [8, 16, 32, 64],
        "model.neck.out_channels": 32,
        "model.bbox_head.in_channels": 32,
        "model.bbox_head.feat_channels": 32,
    }
)
