"""Images per second and core, decode to normalised tensor: ours beside torchvision's ImageFolder and DataLoader.

    python bench/data_peer.py --ours build/bench_data [--photos FOLDER] [--rounds 5]

Both do MAE's training transform (RandomResizedCrop 224, scale 0.2 to 1, bicubic; flip; normalise) on the same
folder of 500 x 375 JPEG files, on one thread, taking turns. The rate is images per second of processor time, which
other programs on the machine disturb less than the clock on the wall.

Requirements: torch==2.11.0 torchvision==0.26.0 pillow==13.0.0 scikit-image==0.26.0 (the last without --photos)
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import torch
from PIL import Image
from torchvision import datasets, transforms

WIDTH, HEIGHT = 500, 375


def photos(folder):
    if folder:
        return [Image.open(p).convert("RGB") for p in sorted(pathlib.Path(folder).rglob("*.jp*g"))]
    import skimage.data

    return [Image.fromarray(getattr(skimage.data, n)()[..., :3]) for n in ("astronaut", "chelsea", "coffee", "rocket")]


def make_folder(sources, count, target):
    """`count` random cuts of `sources`, scaled to WIDTH x HEIGHT, at the quality of ImageNet's files."""
    draw = random.Random(0)
    (target / "all").mkdir(parents=True)
    for i in range(count):
        image = sources[i % len(sources)]
        share = draw.uniform(0.7, 1.0)
        width = min(image.width, image.height * WIDTH / HEIGHT) * share
        height = width * HEIGHT / WIDTH
        x, y = draw.uniform(0, image.width - width), draw.uniform(0, image.height - height)
        cut = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
        cut.save(target / "all" / f"{i:05d}.jpg", quality=92)


def theirs(folder, size):
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(folder, transform), batch_size=64, shuffle=True)
    start, images = time.process_time(), 0
    for pixels, _ in loader:
        images += len(pixels)
    return images / (time.process_time() - start)


def ours(program, folder, size):
    line = subprocess.run([program, folder, "0", str(size)], check=True, capture_output=True, text=True).stdout
    return json.loads(line)["per_core_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program bench_data")
    parser.add_argument("--photos", help="a folder of JPEG photos to cut the samples from")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        make_folder(photos(args.photos), args.images, folder)
        bytes_each = sum(p.stat().st_size for p in (folder / "all").iterdir()) / args.images
        print(f"{args.images} JPEG files of {WIDTH}x{HEIGHT}, {bytes_each / 1024:.0f} KiB each, to {args.size}x{args.size}")
        ours(args.ours, folder, args.size), theirs(folder, args.size)  # warm the file cache
        rates = []
        for number in range(args.rounds):
            pair = ours(args.ours, folder, args.size), theirs(folder, args.size)
            rates.append(pair)
            print(f"round {number + 1}: ours {pair[0]:7.0f}  torchvision {pair[1]:7.0f} img/s per core  {pair[0] / pair[1]:.2f}x")
        mine, other = (statistics.median(column) for column in zip(*rates))
        ratio = statistics.median(a / b for a, b in rates)
        print(f"median:  ours {mine:7.0f}  torchvision {other:7.0f} img/s per core  {ratio:.2f}x")


if __name__ == "__main__":
    main()
