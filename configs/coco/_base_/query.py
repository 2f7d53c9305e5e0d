"""COCO for students with queries, which mmdet trains with AdamW at 1e-4 for 16 images."""

_base_ = "coco.py"

proxy = dict(optimizer=dict(_delete_=True, type="AdamW", lr=5e-5, weight_decay=1e-4), clip_norm=0.1)
