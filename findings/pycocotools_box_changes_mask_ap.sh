#!/usr/bin/env bash
# A box beside a mask in a result file changes mask AP by size in `pycocotools`.
#
# One would guess: evaluating masks (iouType "segm") looks at masks; whether detections also say their box does not matter.
# What happens: loadRes looks at the first detection. If it has a box, the area of every detection is its box's, though masks are
#   what is matched: a false alarm that is small as a mask and medium as a box then counts nowhere in AP of small objects. AP over
#   all sizes is the same. A file whose first detection alone lacks its box gives what one without boxes does. So numbers by size
#   of two programs can differ for the same masks: some strip the box before they evaluate, some write it.
# Seen with: pycocotools 2.0.11, numpy 2.2.6. Output (AP, then of small objects):
#   masks: 0.5 0.5
#   masks and boxes: 0.5 1.0
#   masks, and a box from the second on: 0.5 0.5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pycocotools==2.0.11 numpy==2.2.6

cat >"$work/show.py" <<'PYTHON'
import contextlib
import io

import numpy
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def slanted_line(first_column):
    """180 pixels in a box of 62 x 60: small as a mask, medium as a box."""
    mask = numpy.zeros((100, 100), numpy.uint8, order="F")
    for i in range(60):
        mask[10 + i, first_column + i:first_column + i + 3] = 1
    return mask


def told(mask, *, box=False, **others):
    code = rle.encode(mask)
    shape = {"bbox": rle.toBbox(code).tolist()} if box else {}
    return dict(image_id=1, category_id=1, segmentation=dict(code, counts=code["counts"].decode()), **shape, **others)


truth, alarm = slanted_line(10), slanted_line(35)
for name, boxes in (("masks", (False, False)), ("masks and boxes", (True, True)),
                    ("masks, and a box from the second on", (False, True))):
    coco = COCO()
    coco.dataset = dict(images=[dict(id=1, height=100, width=100)], categories=[dict(id=1, name="line")],
                        info={}, annotations=[told(truth, box=True, id=1, iscrowd=0, area=180.0)])
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        found = coco.loadRes([told(alarm, box=boxes[0], score=0.9), told(truth, box=boxes[1], score=0.5)])
        evaluation = COCOeval(coco, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    print(f"{name}: {evaluation.stats[0]:.1f} {evaluation.stats[3]:.1f}")
PYTHON

"$work/venv/bin/python" "$work/show.py" | tee "$work/seen"
diff "$work/seen" - <<'EXPECTED'
masks: 0.5 0.5
masks and boxes: 0.5 1.0
masks, and a box from the second on: 0.5 0.5
EXPECTED
