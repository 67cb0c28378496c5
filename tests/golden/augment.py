"""Golden files for the augmentations of fine-tuning: Pillow's operations, timm's arguments, erasing, mixup, cutmix.

Writes data/image/augment.json and data/mixup.json. Requirements: pillow==13.0.0 timm==1.0.31 numpy==2.4.6 torch==2.11.0
"""

import json
import math
import pathlib
import random
from unittest import mock

import numpy
import torch
from PIL import Image
from timm.data import auto_augment, mixup, random_erasing

OUT = pathlib.Path(__file__).parent / "data"
POLICY = "rand-m9-mstd0.5-inc1"
FILL = (124, 116, 104)

# Our names of the policy's operations, in timm's order, and whether their sign is random.
OPERATIONS = [
    ("auto_contrast", False), ("equalize", False), ("invert", False), ("rotate", True), ("posterize", False),
    ("solarize", False), ("solarize_add", False), ("colour", True), ("contrast", True), ("brightness", True),
    ("sharpness", True), ("shear_x", True), ("shear_y", True), ("translate_x", True), ("translate_y", True),
]  # fmt: skip


def pictures():
    """Small pictures of unlike histograms: smooth, noisy, dark with one bright spot, two-valued, of one colour."""
    rng = numpy.random.default_rng(1)
    y, x = numpy.mgrid[0:13, 0:17]
    smooth = numpy.stack([40 + 9 * x, 200 - 11 * y, 3 * x * y % 256], -1)
    noisy = rng.integers(0, 256, (13, 17, 3))
    dark = rng.integers(5, 40, (13, 17, 3))
    dark[4, 5] = (250, 130, 60)
    two = numpy.where(rng.random((13, 17, 1)) < 0.3, (10, 200, 90), (240, 90, 90))
    flat = numpy.full((13, 17, 3), (90, 140, 30))
    # Large enough for equalization to have a step of more than one count.
    large = rng.normal(100, 30, (48, 32, 3)).clip(0, 255)
    return {n: Image.fromarray(a.astype(numpy.uint8)) for n, a in
            dict(smooth=smooth, noisy=noisy, dark=dark, two=two, flat=flat, large=large).items()}  # fmt: skip


def fnv(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def arguments_of(op, magnitude, negate):
    """What timm hands to the operation: one number, or none."""
    with mock.patch.object(random, "random", lambda: 1.0 if negate else 0.0):
        return op.level_fn(magnitude, op.hparams) if op.level_fn else ()


def apply(op, arguments, image, fill):
    if op.name == "PosterizeIncreasing" and arguments == (0,):  # Pillow 13 refuses what the policy draws at 10
        return Image.new(image.mode, image.size)
    return op.aug_fn(image, *arguments, **dict(op.kwargs, fillcolor=fill))


def operations():
    hparams = dict(translate_const=100, img_mean=FILL, interpolation=Image.Resampling.BICUBIC)
    policy = auto_augment.rand_augment_transform(POLICY, hparams)
    assert len(policy.ops) == len(OPERATIONS)
    images, cases = pictures(), []
    for (name, signed), op in zip(OPERATIONS, policy.ops):
        for magnitude in [0, 0.4, 2.5, 5, 7.77, 9, 9.5, 10]:
            for negate in [False, True] if signed else [False]:
                arguments = arguments_of(op, magnitude, negate)
                results = {n: apply(op, arguments, i, FILL) for n, i in images.items()}
                cases.append({
                    "op": name, "magnitude": magnitude, "negate": negate, "argument": (list(arguments) or [0])[0],
                    "rgb": fnv(b"".join(results[n].tobytes() for n in sorted(results))),
                    "grey": fnv(apply(op, arguments, images["noisy"].convert("L"), 128).tobytes()),
                })  # fmt: skip
    return {
        "images": {n: {"size": i.size, "rgb": i.tobytes().hex()} for n, i in images.items()},
        "grey": images["noisy"].convert("L").tobytes().hex(),
        "fill": FILL, "grey_fill": 128, "cases": cases,
    }  # fmt: skip


class Draws:
    """Stands in for Python's generator: every draw comes from one recorded stream of numbers of [0, 1)."""

    def __init__(self, seed):
        self.generator, self.used = numpy.random.default_rng(seed), []

    def random(self):
        self.used.append(float(self.generator.random()))
        return self.used[-1]

    def uniform(self, low, high):
        return low + (high - low) * self.random()

    def randint(self, low, high):
        return low + int(self.random() * (high - low + 1))


def erasures():
    cases = []
    sizes = [(32, 32), (20, 9), (9, 40), (224, 224), (3, 3), (2, 2)]
    for seed, (width, height) in enumerate(sizes * 3):
        draws = Draws(seed)
        image = torch.full((1, height, width), math.nan)
        eraser = random_erasing.RandomErasing(1.0, mode="const", device="cpu")
        with mock.patch.multiple(random, random=lambda: 0.0, uniform=draws.uniform, randint=draws.randint):
            eraser(image)
        rows, columns = torch.where(image[0] == 0)
        box = None
        if len(rows):
            box = [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]
            box = [int(v) for v in box]
        cases.append({"width": width, "height": height, "draws": draws.used, "box": box})
    return cases


def mixes():
    cases = []
    for i, (cut, lam, centre_y, centre_x, smoothing) in enumerate([
        (False, 0.3, 0, 0, 0.1), (False, 0.93, 0, 0, 0.0), (True, 0.4, 0.5, 0.5, 0.1), (True, 0.2, 0.01, 0.97, 0.1),
        (True, 0.98, 0.3, 0.6, 0.0), (True, 0.999, 0.3, 0.6, 0.1), (False, 1.0, 0, 0, 0.1),
    ]):  # fmt: skip
        torch.manual_seed(i)
        pixels = (torch.randn(4, 1, 6, 5) * 8).round() / 8
        label = torch.randint(0, 5, (4,))
        logits = (torch.randn(4, 5) * 64).round() / 64
        mix = mixup.Mixup(0.8, 1.0, prob=1.0, switch_prob=0.5, label_smoothing=smoothing, num_classes=5)
        centres = iter([int(centre_y * 6), int(centre_x * 5)])
        mixed = pixels.clone()
        with mock.patch.object(mix, "_params_per_batch", lambda: (lam, cut)), \
                mock.patch.object(numpy.random, "randint", lambda low, high, size=None: next(centres)):  # fmt: skip
            mixed, target = mix(mixed, label)
        logits.requires_grad_()
        loss = torch.sum(-target * torch.log_softmax(logits, -1), -1).mean()
        loss.backward()
        cases.append({
            "cut": cut, "lam": lam, "centre_y": centre_y, "centre_x": centre_x, "smoothing": smoothing,
            "pixels": pixels.flatten().tolist(), "label": label.tolist(), "logits": logits.flatten().tolist(),
            "mixed": mixed.flatten().tolist(), "target": target.flatten().tolist(), "loss": loss.item(),
            "dlogits": logits.grad.flatten().tolist(),
        })  # fmt: skip
    return cases


if __name__ == "__main__":
    write = lambda path, value: path.write_text(json.dumps(value, separators=(",", ":")) + "\n")  # noqa: E731
    write(OUT / "augment.json", {"operations": operations(), "erasures": erasures()})
    write(OUT / "mixup.json", mixes())
