"""Golden evaluations, by pycocotools.

Writes data/eval/coco_eval.json.gz: sets of truth and detections, drawn at random and made for one thing each, and what
pycocotools makes of them: the twelve numbers, and the arrays precision, recall and scores, flattened and as runs
[value, how many]. And, of one small set, what it makes of it when one field is taken from the truth or the detections.

Requirements: numpy==2.4.6 pycocotools==2.0.11
"""

import contextlib
import copy
import gzip
import io
import json
import pathlib
import random

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def evaluated(truth, results, kind, agnostic):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        found = coco.loadRes(copy.deepcopy(results))
        evaluation = COCOeval(coco, found, kind)
        evaluation.params.useCats = 0 if agnostic else 1
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def runs(array):
    flat = np.asarray(array, dtype=np.float64).reshape(-1)
    ends = np.flatnonzero(np.append(flat[1:] != flat[:-1], True)) + 1 if flat.size else np.zeros(0, int)
    return [[float(flat[end - 1]), int(count)] for end, count in zip(ends, np.diff(ends, prepend=0))]


def noise(draw, height, width):
    """A blob as compressed run lengths."""
    y, x = np.mgrid[:height, :width]
    cy, cx, r = draw.uniform(0, height), draw.uniform(0, width), draw.uniform(2, max(height, width) / 2)
    inside = (y - cy) ** 2 + (x - cx) ** 2 * draw.uniform(0.5, 2) < r * r
    inside ^= np.random.default_rng(draw.randrange(1 << 30)).random(inside.shape) < 0.02
    coded = masks.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": coded["size"], "counts": coded["counts"].decode()}


def made(seed, images=6, categories=3, objects=5, detections=12, sizes=((60, 80),), crowd=0.1, levels=0, segm=False, digits=2, scale=1):
    """Objects, and detections that are objects shaken, or nothing. levels: that many different scores."""
    draw = random.Random(seed)
    ids = draw.sample(range(1, 1000), images)
    truth = {
        "images": [{"id": i, **dict(zip(("height", "width"), draw.choice(sizes)))} for i in ids],
        "categories": [{"id": c, "name": f"c{c}"} for c in draw.sample(range(1, 90), categories)],
        "annotations": [],
    }
    results = []

    def score():
        return round(draw.random() * levels) / levels if levels else draw.random()

    for image in truth["images"]:
        height, width = image["height"], image["width"]
        boxes = []
        for _ in range(draw.randint(0, objects)):
            w, h = draw.uniform(1, width * 0.7) * scale, draw.uniform(1, height * 0.7) * scale
            box = [round(v, digits) for v in (draw.uniform(0, width - w), draw.uniform(0, height - h), w, h)]
            annotation = {
                "id": len(truth["annotations"]) + 1, "image_id": image["id"], "bbox": box,
                "category_id": draw.choice(truth["categories"])["id"], "iscrowd": int(draw.random() < crowd),
                "area": round(box[2] * box[3] * draw.choice([1, 1, 0.7]), 2), "ignore": draw.choice([0, 1]),
            }  # fmt: skip
            if segm:
                if draw.random() < 0.5:
                    annotation["segmentation"] = noise(draw, height, width)
                else:
                    x, y, w, h = box
                    annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h], [x, y, x + w, y + h / 2, x, y + h]][: draw.randint(1, 2)]
            truth["annotations"].append(annotation)
            boxes.append(annotation)
        for _ in range(draw.randint(0, detections)):
            found = {"image_id": image["id"], "category_id": draw.choice(truth["categories"])["id"], "score": score()}
            if boxes and draw.random() < 0.7:
                near = draw.choice(boxes)
                found["category_id"] = near["category_id"] if draw.random() < 0.9 else found["category_id"]
                by = draw.choice([0, 0.02, 0.1, 0.3])
                found["bbox"] = [round(v + by * draw.uniform(-1, 1) * near["bbox"][2 + i % 2], digits) for i, v in enumerate(near["bbox"])]
                if segm:
                    found["segmentation"] = shaken(draw, near, height, width)
            else:
                found["bbox"] = [round(draw.uniform(0, s), digits) for s in (width, height, width / 2, height / 2)]
                if segm:
                    found["segmentation"] = noise(draw, height, width)
            if segm:
                del found["bbox"]
            results.append(found)
    draw.shuffle(results)
    return truth, results


def shaken(draw, near, height, width):
    coded = near["segmentation"]
    if isinstance(coded, list):
        coded = masks.merge(masks.frPyObjects(coded, height, width))
    inside = np.roll(masks.decode(coded), draw.choice([0, 1, 3]), axis=draw.choice([0, 1]))
    coded = masks.encode(np.asfortranarray(inside))
    return {"size": coded["size"], "counts": coded["counts"].decode()}


def cases():
    for seed in range(4):
        yield "random", *made(seed), "bbox", False
    yield "ties", *made(10, levels=3), "bbox", False
    yield "ties in one category", *made(11, categories=1, levels=2, images=9), "bbox", False
    yield "crowds", *made(12, crowd=0.6), "bbox", False
    yield "all crowds", *made(13, crowd=1), "bbox", False
    yield "large", *made(14, sizes=((300, 400), (500, 300))), "bbox", False
    yield "many detections", *made(15, images=2, categories=1, objects=20, detections=260, levels=40), "bbox", False
    yield "agnostic", *made(16, levels=5), "bbox", True
    for seed in range(20, 23):
        yield "masks", *made(seed, segm=True, sizes=((37, 53), (1, 19), (64, 7))), "segm", False
    yield "masks, agnostic", *made(23, segm=True, crowd=0.4, levels=4), "segm", True
    yield "boxes of masks", *made(24, segm=True, sizes=((37, 53),)), "bbox", False
    yield "masks of boxes", *[made(25, segm=True)[0], made(25)[1]], "segm", False

    truth, results = made(30)
    yield "no detection in some categories", truth, [r for r in results if r["category_id"] == truth["categories"][0]["id"]], "bbox", False
    other = copy.deepcopy(results)
    for i, found in enumerate(other):
        found["category_id"] += 1000 * (i % 2)
    yield "unknown categories", truth, other, "bbox", False
    yield "unknown categories, agnostic", truth, other, "bbox", True
    extra = {**truth, "categories": truth["categories"] + [{"id": 95, "name": "never"}, {"id": 0, "name": "super"}]}
    yield "categories without objects", extra, results, "bbox", False
    yield "no objects", {**truth, "annotations": []}, results, "bbox", False
    yield "no images", {"images": [], "categories": truth["categories"], "annotations": []}, None, "bbox", False
    yield "images without objects", {**truth, "images": truth["images"] + [{"id": 2000, "height": 60, "width": 80}]}, \
        results + [{"image_id": 2000, "category_id": truth["categories"][0]["id"], "bbox": [1, 2, 3, 4], "score": 0.99}], "bbox", False
    perfect = [{"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.5} for a in truth["annotations"]]
    yield "perfect", truth, perfect, "bbox", False

    borders = copy.deepcopy(truth)
    found = []
    for annotation, area in zip(borders["annotations"], [0, 1023.99, 1024, 1024.01, 9215.99, 9216, 9216.01, 1e10, 1e10 + 1, -1] * 9):
        annotation["area"], annotation["iscrowd"] = area, 0
        found.append({"image_id": annotation["image_id"], "category_id": annotation["category_id"], "bbox": annotation["bbox"], "score": 0.7})
    yield "areas at borders", borders, found, "bbox", False
    whole = {
        "images": [{"id": 1, "height": 500, "width": 500}], "categories": [{"id": 1, "name": "c"}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [100 * i, 0, 10, 100], "area": 1000} for i in range(5)],
    }  # fmt: skip
    levels = [{"image_id": 1, "category_id": 1, "bbox": [100 * i, 0, 10, h], "score": s} for i, (h, s) in enumerate([(50, 1.0), (55, -0.5), (75, 1e9), (80, 0.0), (95, -0.0)])]
    yield "overlaps at levels", whole, levels, "bbox", False
    sides = [(32, 32), (96, 96), (32, 32.0001), (0, 5), (-3, 4), (1e5, 1e5)]
    outside = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, w, h], "score": 0.5 - i / 100} for i, (w, h) in enumerate(sides)]
    yield "detections' areas at borders", whole, outside + levels, "bbox", False
    two = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, h], "score": 0.5} for h in (60, 90, 90)]
    yield "two on one object", whole, two, "bbox", False


def removals():
    """What pycocotools says of one small set when a field is missing; null: it raises."""
    truth, results = made(43, images=3, categories=2, objects=4, detections=6, segm=True)
    for i, found in enumerate(results):
        found["bbox"] = [float(v) for v in masks.toBbox(found["segmentation"])]
    for kind in ("bbox", "segm"):
        yield kind, None, None, truth, results
        for part in ("images", "categories", "annotations"):
            yield kind, part, None, {k: v for k, v in truth.items() if k != part}, results
            for field in truth[part][0]:
                less = copy.deepcopy(truth)
                for entry in less[part]:
                    del entry[field]
                yield kind, part, field, less, results
        for field in results[0]:
            yield kind, "detections", field, truth, [{k: v for k, v in r.items() if k != field} for r in results]
            yield kind, "first detection", field, truth, [{k: v for k, v in results[0].items() if k != field}, *results[1:]]
            yield kind, "last detection", field, truth, [*results[:-1], {k: v for k, v in results[-1].items() if k != field}]


golden = {"cases": [], "removals": []}
for name, truth, results, kind, agnostic in cases():
    results = results or []
    entry = {"name": name, "truth": truth, "results": results, "type": kind, "class_agnostic": agnostic}
    if results:
        evaluation = evaluated(truth, results, kind, agnostic)
        entry["stats"] = evaluation.stats.tolist()
        for key in ("precision", "recall", "scores"):
            entry[key] = runs(evaluation.eval[key])
    golden["cases"].append(entry)
for kind, part, field, truth, results in removals():
    try:
        stats = evaluated(truth, results, kind, False).stats.tolist()
    except (KeyError, IndexError, AssertionError, TypeError, ValueError, UnboundLocalError) as error:
        stats = None
        print(kind, part, field, type(error).__name__, error)
    golden["removals"].append({"type": kind, "part": part, "field": field, "truth": truth, "results": results, "stats": stats})
path = pathlib.Path(__file__).parent / "data" / "eval" / "coco_eval.json.gz"
path.parent.mkdir(exist_ok=True)
path.write_bytes(gzip.compress(json.dumps(golden, separators=(",", ":")).encode(), 9, mtime=0))
print(len(golden["cases"]), "sets", len(golden["removals"]), "removals", path.stat().st_size, "bytes")
