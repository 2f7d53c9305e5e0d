"""Raccoons, or any data set of one class: the detectors of `bccd_narrow.py` on a converted Pascal-VOC folder.

gp_search data voc /path/to/raccoon -o /path/to/converted
gp_search run configs/raccoon_narrow.py --cfg-options data.root=/path/to/converted
"""

_base_ = "bccd_narrow.py"

data = dict(
    root="data/raccoon",
    train=dict(ann_file="train.json"),
    selection=dict(ann_file="selection.json"),
    test=dict(ann_file="test.json"),
)
proxy = dict(image_size=(160, 160), iterations=240)
