"""Golden file for the views of contrastive learning: torchvision's ColorJitter and hue, Pillow's grey.

Writes data/views.json, of the pictures that stand in data/augment.json.
Requirements: pillow==13.0.0 torchvision==0.26.0 torch==2.11.0 numpy==2.4.6, and timm==1.0.31 for augment.py
"""

import itertools
import json
import random

import torchvision.transforms.functional as F
from augment import OUT, fnv, pictures


def jittered(image, order, by):
    """torchvision.transforms.ColorJitter once its draws are known."""
    steps = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    for i in order:
        image = steps[i](image, by[i])
    return image


if __name__ == "__main__":
    images = pictures()
    together = lambda change: fnv(b"".join(change(images[n]).tobytes() for n in sorted(images)))  # noqa: E731
    turns = [-0.5, -0.1, -0.003, 0, 0.004, 0.07, 0.1, 0.5]
    hues = [{"turn": t, "rgb": together(lambda i: F.adjust_hue(i, t))} for t in turns]
    rng, jitters = random.Random(1), []
    for order in itertools.permutations(range(4)):
        by = [round(rng.uniform(1 - s, 1 + s), 6) for s in (0.4, 0.4, 0.2)] + [round(rng.uniform(-0.1, 0.1), 6)]
        jitters.append({"order": order, "by": by, "rgb": together(lambda i: jittered(i, order, by)),
                        "grey": fnv(jittered(images["noisy"].convert("L"), order, by).tobytes())})  # fmt: skip
    value = {"hues": hues, "jitters": jitters, "made_grey": together(lambda i: F.to_grayscale(i, 3))}
    (OUT / "views.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")
