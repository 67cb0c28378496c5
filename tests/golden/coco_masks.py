"""Golden masks of polygons, by pycocotools.

Writes data/image/coco_masks.json: polygons of many kinds (random, star-like, of integers and halves, degenerate,
with equal neighbours, beyond the image, several of one object), the size of their image [height, width], and the
compressed run lengths, area and bounding box that pycocotools gives them.

Requirements: numpy==2.4.6 pycocotools==2.0.11
"""

import json
import math
import pathlib
import random

from pycocotools import mask as masks

draw = random.Random(18)


def star(x, y, radius, points, digits):
    """Round something, as people draw objects."""
    out = []
    for i in range(points):
        r, angle = radius * draw.uniform(0.4, 1), 2 * math.pi * i / points
        out += [round(x + r * math.cos(angle), digits), round(y + r * math.sin(angle), digits)]
    return out


def wild(width, height, points, digits, beyond):
    return [round(draw.uniform(-beyond, side + beyond), digits) for _ in range(points) for side in (width, height)]


entries = []
for number in range(220):
    width, height = draw.choice([(7, 5), (1, 9), (9, 1), (40, 31), (64, 48), (33, 71)])
    digits = draw.choice([0, 1, 2, 2, 6])
    polygons = []
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        if draw.random() < 0.5:
            polygons.append(star(draw.uniform(0, width), draw.uniform(0, height), draw.uniform(1, 25), draw.randint(3, 20), digits))
        else:
            polygons.append(wild(width, height, draw.randint(3, 9), digits, draw.choice([0, 0, 10, 300])))
        if draw.random() < 0.2:  # a point twice, and the first one again at the end
            polygons[-1] = polygons[-1][:2] + polygons[-1] + polygons[-1][:2]
        if draw.random() < 0.2:  # halves
            polygons[-1] = [round(2 * v) / 2 for v in polygons[-1]]
    entries.append((polygons, width, height))
entries += [([[0, 0, 4, 0, 0, 4]], 5, 5), ([[0, 0, 8, 0, 8, 8, 0, 8]], 10, 10), ([[1, 1, 1, 1, 1, 1]], 4, 4), ([[0, 0, 9, 9, 0, 0]], 10, 10)]

golden = []
for polygons, width, height in entries:
    runs = masks.merge(masks.frPyObjects(polygons, height, width))
    golden.append({
        "size": [height, width], "polygons": polygons, "counts": runs["counts"].decode(),
        "area": int(masks.area(runs)), "box": [int(v) for v in masks.toBbox(runs)],
    })  # fmt: skip
path = pathlib.Path(__file__).parent / "data" / "image" / "coco_masks.json"
path.write_text("[\n" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in golden) + "\n]\n")
print(len(golden), "masks", path.stat().st_size, "bytes")
