"""COCO for RTMDet, which mmdet trains with AdamW at 0.004 for 256 images."""

_base_ = "coco.py"

proxy = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1.25e-4, weight_decay=0.05))
