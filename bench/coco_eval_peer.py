"""COCO's evaluation: sgmae coco-eval beside pycocotools and faster-coco-eval, from the files to the twelve numbers.

    python bench/coco_eval_peer.py --ours build/sgmae [--images 5000] [--rounds 3] [--large 450]

The set is drawn at random: objects as polygons, detections as boxes or as compressed run lengths. All run on one and
the same processor, taking turns. Seconds are of processor time, which other programs disturb less than the clock on the
wall; ours are of the whole process, the peers' without Python's start and imports. The numbers must agree. With --large MB, reading a truth of that size
is timed too (ours with the evaluation of no detections).

Requirements: numpy pycocotools==2.0.11 faster-coco-eval==1.8.0
"""

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import machine


def outline_in(draw, box, points):
    """A polygon round the middle of a box, as people draw objects."""
    x, y, w, h = box
    polygon = []
    for i in range(points):
        angle, reach = 2 * math.pi * i / points, draw.uniform(0.4, 0.5)
        polygon += [round(x + w * (0.5 + reach * math.cos(angle)), 2), round(y + h * (0.5 + reach * math.sin(angle)), 2)]
    return polygon


def make(folder, images, objects, detections):
    """truth.json, bbox.json, segm.json: eighty categories, detections near objects and elsewhere."""
    from pycocotools import mask as masks

    draw = random.Random(0)
    width, height, categories = 640, 480, range(1, 81)
    truth = {"images": [{"id": i, "width": width, "height": height} for i in range(1, images + 1)], "categories": [], "annotations": []}
    truth["categories"] = [{"id": c, "name": str(c)} for c in categories]
    on = [[] for _ in range(images + 1)]
    for number in range(1, objects + 1):
        w, h = draw.uniform(8, 250), draw.uniform(8, 200)
        x, y = draw.uniform(0, width - w), draw.uniform(0, height - h)
        image, category = draw.randint(1, images), draw.choice(categories)
        outline = outline_in(draw, (x, y, w, h), draw.choice([8, 14, 20, 30, 40]))
        crowd = int(draw.random() < 0.01)
        truth["annotations"].append({"id": number, "image_id": image, "category_id": category, "iscrowd": crowd, "area": round(w * h / 2, 2),
                                     "bbox": [round(v, 2) for v in (x, y, w, h)], "segmentation": [outline]})  # fmt: skip
        on[image].append(truth["annotations"][-1])
    boxes, outlines = [], []
    for _ in range(detections):
        image = draw.randint(1, images)
        score, category = round(draw.random(), 4), draw.choice(categories)
        if on[image] and draw.random() < 0.7:
            near = draw.choice(on[image])
            by = draw.choice([0.02, 0.1, 0.3])
            box = [v + by * draw.uniform(-1, 1) * near["bbox"][2 + i % 2] for i, v in enumerate(near["bbox"])]
            category = near["category_id"] if draw.random() < 0.5 else category
        else:
            box = [draw.uniform(0, 500), draw.uniform(0, 350), draw.uniform(8, 250), draw.uniform(8, 200)]
        entry = {"image_id": image, "category_id": category, "score": score}
        boxes.append({**entry, "bbox": [round(v, 2) for v in box]})
        coded = masks.merge(masks.frPyObjects([outline_in(draw, box, 16)], height, width))
        outlines.append({**entry, "segmentation": {"size": coded["size"], "counts": coded["counts"].decode()}})
    for name, value in (("truth", truth), ("bbox", boxes), ("segm", outlines)):
        (folder / f"{name}.json").write_text(json.dumps(value))


def make_large(path, megabytes):
    """A truth of that size, its polygons as COCO's are."""
    draw = random.Random(1)
    images, limit = 118_000, megabytes * 1_000_000
    with open(path, "w") as file:
        file.write('{"images": [')
        url = "http://images.cocodataset.org/train2017/%012d.jpg"
        entry = '{"license": 4, "file_name": "%012d.jpg", "coco_url": "' + url + '", "height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45", "id": %d}'
        file.write(", ".join(entry % (i, i, i) for i in range(images)))
        file.write('], "annotations": [')
        number = 0
        while file.tell() < limit:
            w, h = draw.uniform(8, 250), draw.uniform(8, 200)
            x, y = draw.uniform(0, 640 - w), draw.uniform(0, 480 - h)
            outline = ",".join("%.2f" % v for v in outline_in(draw, (x, y, w, h), draw.choice([8, 14, 20, 26, 40, 60])))
            file.write(", " * (number > 0))
            file.write('{"segmentation": [[%s]], "area": %.4f, "iscrowd": 0, "image_id": %d, "bbox": [%.2f, %.2f, %.2f, %.2f], "category_id": %d, "id": %d}' % (
                outline, w * h / 2, draw.randrange(images), x, y, w, h, draw.randint(1, 80), number + 1))  # fmt: skip
            number += 1
        file.write('], "categories": [%s]}' % ", ".join('{"id": %d, "name": "%d"}' % (c, c) for c in range(1, 81)))
    print(f"{megabytes} MB: {number} annotations", flush=True)


def apart(function, *arguments):
    """In a process of its own: what this one holds would count as its children's."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(process.exitcode)


def peer(name, kind, truth, results):
    """In a process of its own: seconds and the twelve numbers. kind "read": of reading the truth."""
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluation
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluation
    start, stats = time.process_time(), []
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth)
        if kind != "read":
            evaluation = Evaluation(coco, coco.loadRes(results), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            stats = [float(v) for v in evaluation.stats[:12]]
    print(json.dumps({"seconds": time.process_time() - start, "stats": stats}))


def timed(command):
    """Seconds of processor time, the last line, and the most memory in MB, of a process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} ended with {status}")
    return usage.ru_utime + usage.ru_stime, json.loads(out.strip().splitlines()[-1]), usage.ru_maxrss / 1024


def contender(name, kind, truth, results, ours):
    if name == "ours":
        return timed([ours, "coco-eval", truth, results, "--type", "bbox" if kind == "read" else kind, "--threads", "1", "--json"])
    _, said, memory = timed([sys.executable, __file__, "--ours", "", "--peer", name, "--kind", kind, "--files", truth, results])
    return said["seconds"], said, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program sgmae")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=36_000)
    parser.add_argument("--detections", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=0, help="MB of a truth that is only read")
    parser.add_argument("--folder", help="where the files are made and stay; default: they go")
    for internal in ("--peer", "--kind"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    parser.add_argument("--files", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, args.kind, *args.files)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(machine.processor())
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(args.folder or temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "segm.json").exists():
            apart(make, folder, args.images, args.objects, args.detections)
        tasks = [(kind, str(folder / "truth.json"), str(folder / f"{kind}.json")) for kind in ("bbox", "segm")]
        if args.large:
            (folder / "none.json").write_text("[]")
            apart(make_large, folder / "large.json", args.large)
            tasks.append(("read", str(folder / "large.json"), str(folder / "none.json")))
        for kind, truth, results in tasks:
            seconds, memory, stats = {}, {}, {}
            for _ in range(args.rounds):
                for name in ("ours", "pycocotools", "faster-coco-eval"):
                    took, said, most = contender(name, kind, truth, results, args.ours)
                    seconds.setdefault(name, []).append(took)
                    memory[name], stats[name] = most, said["stats"]
            for name, all_seconds in seconds.items():
                ratio = statistics.median(theirs / mine for theirs, mine in zip(all_seconds, seconds["ours"]))
                line = f"{kind:5} {name:17} {statistics.median(all_seconds):7.2f} s  {ratio:6.2f} x ours  {memory[name]:6.0f} MB at most"
                if kind != "read":
                    line += f"  AP {stats[name][0]:.6f}, largest difference {max(abs(a - b) for a, b in zip(stats[name], stats['ours'])):.1e}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
