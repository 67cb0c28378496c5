"""Images per second and core, decode to normalised tensor: ours beside torchvision's ImageFolder and DataLoader.

    python bench/data_peer.py --ours build/bench_data [--program build/sgmae] [--photos FOLDER] [--rounds 5]

Both do MAE's training transform (RandomResizedCrop 224, scale 0.2 to 1, bicubic; flip; normalise) on the same
folder of 500 x 375 JPEG files, on one thread, taking turns. The rate is images per second of processor time, which
other programs on the machine disturb less than the clock on the wall. With --program the same images are also
packed, as they are and scaled to several longer sides, and the packs read in turn with the folder.

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
MAX_SIDES = (0, 400, 341, 256)  # 341: the shorter side becomes 256


def photos(folder):
    if folder:
        return [Image.open(p).convert("RGB") for p in sorted(pathlib.Path(folder).rglob("*.jp*g"))]
    import skimage.data

    return [Image.fromarray(getattr(skimage.data, n)()[..., :3]) for n in ("astronaut", "chelsea", "coffee", "rocket")]


def make_folder(sources, count, target):
    """`count` random cuts of `sources`, scaled to WIDTH x HEIGHT, at the quality of ImageNet's files."""
    draw = random.Random(0)
    (target / "all" / "class").mkdir(parents=True)
    for i in range(count):
        image = sources[i % len(sources)]
        share = draw.uniform(0.7, 1.0)
        width = min(image.width, image.height * WIDTH / HEIGHT) * share
        height = width * HEIGHT / WIDTH
        x, y = draw.uniform(0, image.width - width), draw.uniform(0, image.height - height)
        cut = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
        cut.save(target / "all" / "class" / f"{i:05d}.jpg", quality=92)


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


def packs(program, folder, max_sides):
    """{name: path} of the folder packed with each longer side (0: as it is), in the folder itself."""
    made = {}
    for side in max_sides if program else ():
        made[f"pack {side or 'as is'}"] = path = folder / f"{side}.sgpack"
        subprocess.run([program, "data", "pack", folder / "all", path, "--max_side", str(side)], check=True, capture_output=True)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program bench_data")
    parser.add_argument("--program", help="the program sgmae, to time packed data sets too")
    parser.add_argument("--photos", help="a folder of JPEG photos to cut the samples from")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        make_folder(photos(args.photos), args.images, folder)
        bytes_each = sum(p.stat().st_size for p in (folder / "all" / "class").iterdir()) / args.images
        print(f"{args.images} JPEG files of {WIDTH}x{HEIGHT}, {bytes_each / 1024:.0f} KiB each, to {args.size}x{args.size}")
        inputs = {"ours": folder / "all", **packs(args.program, folder, MAX_SIDES)}
        rates = {name: [] for name in (*inputs, "torchvision")}
        for number in range(-1, args.rounds):  # the first warms the file cache
            for name, path in inputs.items():
                rates[name].append(ours(args.ours, path, args.size))
            rates["torchvision"].append(theirs(folder / "all", args.size))
            if number >= 0:
                print(f"round {number + 1}: " + "  ".join(f"{name} {rate[-1]:.0f}" for name, rate in rates.items()))
        print("median, images per second and core; against our folder; against torchvision's folder:")
        for name, mine in rates.items():
            times = [statistics.median(a / b for a, b in zip(mine[1:], rates[other][1:])) for other in ("ours", "torchvision")]
            print(f"  {name:16} {statistics.median(mine[1:]):7.0f}  {times[0]:.2f}x  {times[1]:.2f}x")


if __name__ == "__main__":
    main()
