"""Reads a run's events with TensorBoard's own reader and checks them against its log.txt and, of pre-training, the
pictures in figures/.

usage: tensorboard_read.py RUN_FOLDER
Requirements: tensorboard==2.21.0
"""
import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
events = EventAccumulator(str(run), size_guidance={"scalars": 0})
events.Reload()
for tag in events.Tags()["scalars"]:
    points = events.Scalars(tag)
    print(f"{tag}: {len(points)} points, last {points[-1].value:g} at step {points[-1].step}")

# Scalars are stored as fp32: relative error at most 2^-24, doubled for the rounding of the log.
compared = 0
for line in (run / "log.txt").read_text().splitlines():
    for key, wanted in json.loads(line).items():
        tag = key.replace("mask_", "mask/", 1)
        if tag == key or tag not in events.Tags()["scalars"] or not isinstance(wanted, float):
            continue
        assert any(abs(p.value - wanted) <= 2**-23 * abs(wanted) for p in events.Scalars(tag)), key
        compared += 1
assert compared > 0
print(f"{compared} values agree with log.txt")

figures = run / "figures"
pictures = EventAccumulator(str(figures), size_guidance={"images": 0})
pictures.Reload()
for tag in pictures.Tags()["images"]:
    files = {path.read_bytes() for path in figures.glob("masks_*.png")}
    for picture in pictures.Images(tag):
        width, height = (int.from_bytes(picture.encoded_image_string[at:at + 4], "big") for at in (16, 20))  # of PNG
        assert (picture.width, picture.height) == (width, height)
        assert picture.encoded_image_string in files, picture.step
        print(f"figures/{tag}: {width} x {height} at step {picture.step}, as in a file")
