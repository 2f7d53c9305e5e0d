"""Blood cells with GFL detectors: the widths of `bccd_narrow.py`, and knowledge of the distribution of box borders.

gp_search run configs/bccd_narrow_gfl.py --cfg-options data.root=/path/to/bccd
"""

_base_ = "bccd.py"


def narrow(base, channels):
    """Return the overrides that make mmdet's GFL narrow enough for a CPU, to be trained from scratch."""
    return {
        "model.backbone.depth": 18,
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.norm_cfg.requires_grad": True,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": channels,
        "model.neck.norm_cfg": dict(type="BN"),
        "model.bbox_head.in_channels": channels,
        "model.bbox_head.feat_channels": channels,
        "model.bbox_head.stacked_convs": 2,
        "model.bbox_head.norm_cfg": dict(type="GN", num_groups=8),
        "model.test_cfg.nms_pre": 300,
    }


gfl = "mmdet::gfl/gfl_r50_fpn_1x_coco.py"
adamw = dict(type="AdamW", lr=1e-3, weight_decay=0.05, fused=True)

student = dict(_delete_=True, config=gfl, overrides=narrow(8, 32))
teacher = dict(
    _delete_=True,
    config=gfl,
    overrides=narrow(32, 96),
    train=dict(iterations=1400, optimizer=adamw, warmup=50, decay=0.5),  # at most: until it stops gaining
)

del narrow, gfl, adamw
