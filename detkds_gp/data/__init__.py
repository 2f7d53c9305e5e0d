"""Data sets in COCO format: read, scored, generated and converted, without mmdet."""
