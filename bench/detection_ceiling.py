"""What a detector could reach at best: the AP of the truth itself, as far as heads and canvas can tell it.

    python bench/detection_ceiling.py instances.json [CANVAS ...]

Each object's box goes through the suppression of overlapping ones of its class (IoU above 0.5). Its mask is laid on a
square canvas of CANVAS pixels (0: the image's own size), seen by RoIAlign as 28 x 28 values in its box, and laid back
over the image.

Requirements: torch==2.11.0 torchvision==0.26.0 pycocotools==2.0.11
"""

import contextlib
import io
import sys

import numpy
import torch
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import batched_nms, roi_align

CELLS, OVERLAP = 28, 0.5


def seen_again(mask, box, canvas):
    """mask [H, W] of 0 and 1 as the mask head can tell it, for a box (left, top, right, bottom)."""
    height, width = mask.shape
    scale = canvas / max(height, width) if canvas else 1
    small = max(1, round(height * scale)), max(1, round(width * scale))
    shrunk = torch.nn.functional.interpolate(mask[None, None], small, mode="bilinear", antialias=True) >= 0.5
    placed = box * torch.tensor([small[1] / width, small[0] / height] * 2)
    cells = roi_align(shrunk.float(), [placed[None]], CELLS, aligned=True)
    return paste_masks_in_image(cells, box[None], (height, width))[0, 0] >= 0.5


def detections(coco, canvas):
    for image in coco.dataset["images"]:
        objects = [o for o in coco.imgToAnns[image["id"]] if not o.get("iscrowd")]
        if not objects:
            continue
        boxes = torch.tensor([o["bbox"] for o in objects], dtype=torch.float32)
        boxes[:, 2:] += boxes[:, :2]
        classes = torch.tensor([o["category_id"] for o in objects])
        for i in batched_nms(boxes, torch.rand(len(objects)), classes, OVERLAP).tolist():
            mask = torch.from_numpy(coco.annToMask(objects[i])).float()
            seen = rle.encode(numpy.asfortranarray(seen_again(mask, boxes[i], canvas).numpy().astype(numpy.uint8)))
            yield dict(image_id=image["id"], category_id=objects[i]["category_id"], bbox=objects[i]["bbox"],
                       segmentation=seen, score=1.0)


def main():
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(sys.argv[1])
    print(f"{'canvas':>8}{'box AP':>8}{'mask AP':>9}{'small':>7}{'medium':>8}{'large':>7}")
    for canvas in [int(side) for side in sys.argv[2:]] or [0]:
        found = list(detections(coco, canvas))
        stats = {}
        for kind in ("bbox", "segm"):
            with contextlib.redirect_stdout(io.StringIO()):
                # A box in a result would stand for the mask's area.
                part = [{k: v for k, v in d.items() if k != ("bbox" if kind == "segm" else "segmentation")} for d in found]
                evaluation = COCOeval(coco, coco.loadRes(part), kind)
                evaluation.evaluate()
                evaluation.accumulate()
                evaluation.summarize()
            stats[kind] = 100 * evaluation.stats
        box, mask = stats["bbox"], stats["segm"]
        print(f"{canvas or 'own':>8}{box[0]:8.1f}{mask[0]:9.1f}{mask[3]:7.1f}{mask[4]:8.1f}{mask[5]:7.1f}")


if __name__ == "__main__":
    main()
