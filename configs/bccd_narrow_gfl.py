"""Blood cells with GFL detectors: the widths of `bccd_narrow.py`, and knowledge of the distribution of box borders.

gp_search run configs/bccd_narrow_gfl.py --cfg-options data.root=/path/to/bccd
"""

_base_ = "bccd_narrow.py"

gfl = dict(
    config="mmdet::gfl/gfl_r50_fpn_1x_coco.py",
    overrides={"model.backbone.depth": 18, "model.bbox_head.norm_cfg": dict(type="GN", num_groups=8)},
)
student = gfl
teacher = gfl

del gfl
