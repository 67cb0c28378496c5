"""The objects of COCO's panoptic truth as boxes and masks, in the layout that `sgmae detect` reads.

    /usr/bin/python3 bench/panoptic_objects.py COCO FOLDER

reads COCO/panoptic_train2017.json and COCO/panoptic/train2017/*.png, and writes FOLDER/annotations/
instances_train2017.json; likewise of val2017 where it is there. Give the photos with --data_root COCO/images/train2017.
Python with Debian's python3-pil alone.
"""
import json
import sys
from pathlib import Path

from composites import run_lengths
from PIL import Image


def segment_mask(png, number):
    """255 where the PNG's colour says `number` = R + 256 G + 65536 B."""
    mask = None
    for band, value in zip(png.split(), number.to_bytes(3, "little")):
        equal = band.point(lambda v, value=value: 255 * (v == value))
        mask = equal if mask is None else Image.composite(equal, Image.new("L", png.size), mask)
    return mask


def main():
    coco, folder = map(Path, sys.argv[1:])
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part in ("train2017", "val2017"):
        if not (coco / f"panoptic_{part}.json").exists():
            continue
        truth = json.loads((coco / f"panoptic_{part}.json").read_text())
        things = [c for c in truth["categories"] if c["isthing"]]
        objects = []
        for image in truth["annotations"]:
            png = Image.open(coco / "panoptic" / part / image["file_name"]).convert("RGB")
            for segment in image["segments_info"]:
                if segment["category_id"] not in {c["id"] for c in things}:
                    continue
                mask = segment_mask(png, segment["id"])
                left, top, right, bottom = mask.getbbox()
                objects.append({
                    "id": len(objects) + 1, "image_id": image["image_id"],
                    "category_id": segment["category_id"], "iscrowd": segment["iscrowd"], "area": segment["area"],
                    "bbox": [left, top, right - left, bottom - top],
                    "segmentation": {"size": [png.height, png.width], "counts": run_lengths(mask)}})
        written = {"images": truth["images"], "annotations": objects, "categories": things}
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(written))
        print(f"{part}: {len(objects)} objects in {len(truth['images'])} images")


if __name__ == "__main__":
    main()
