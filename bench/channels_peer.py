"""Images per second and core from files of many channels to normalised tensors: ours beside tifffile and PyTorch.

    python bench/channels_peer.py --ours build/bench_data [--rounds 5]

Both do MAE's training transform (crop of 0.2 to 1 of the area to 224 x 224, bicubic with antialiasing in fp32; flip;
normalise by channel) on the same files, on one thread, taking turns: 13 bands of uint16 at 256 x 256, as GDAL and most
archives write them (deflate with predictor, in strips), the same in tiles and uncompressed, and as .npy. The rate is
images per second of processor time, which other programs on the machine disturb less than the clock on the wall.

Requirements: tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6 torch==2.11.0 torchvision==0.26.0
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import tifffile
import torch
from torchvision.transforms import v2

CHANNELS, SIDE, TRAINED = 13, 256, 224
WAYS = {
    "tiff, deflate": dict(compression="deflate", predictor=True),
    "tiff, deflate, tiles": dict(compression="deflate", predictor=True, tile=(128, 128)),
    "tiff, uncompressed": dict(),
    "npy": None,
}


def scene(draw):
    """Smooth in space and across bands, with some noise, as scenes are: deflate leaves about half."""
    coarse = torch.from_numpy(draw.random((1, CHANNELS, 9, 9)))
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic")[0].numpy()
    return numpy.clip(smooth * 4000 + draw.normal(0, 30, smooth.shape) + 500, 0, 65535).astype("u2").transpose(1, 2, 0)


def make(folder, count):
    draw = numpy.random.default_rng(0)
    for way, options in WAYS.items():
        target = folder / way.replace(", ", "_") / "class"
        target.mkdir(parents=True)
        for i in range(count):
            pixels = numpy.ascontiguousarray(scene(draw))
            if options is None:
                numpy.save(target / f"{i:04d}.npy", pixels)
            else:
                tifffile.imwrite(target / f"{i:04d}.tif", pixels, photometric="minisblack", planarconfig="contig",
                                 metadata=None, **options)


class Files(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.paths = sorted(folder.rglob("*.*"))
        self.transform = v2.Compose([
            v2.RandomResizedCrop(TRAINED, scale=(0.2, 1.0), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.Normalize([2500.0] * CHANNELS, [1000.0] * CHANNELS),
        ])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        path = self.paths[i]
        pixels = numpy.load(path) if path.suffix == ".npy" else tifffile.imread(path)
        return self.transform(torch.from_numpy(pixels.astype("f4")).permute(2, 0, 1))


def theirs(folder):
    loader = torch.utils.data.DataLoader(Files(folder), batch_size=64, shuffle=True)
    start, images = time.process_time(), 0
    for pixels in loader:
        images += len(pixels)
    return images / (time.process_time() - start)


def ours(program, folder):
    line = subprocess.run([program, folder, "0", str(TRAINED)], check=True, capture_output=True, text=True).stdout
    return json.loads(line)["per_core_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make(folder, options.images)
        for way in WAYS:
            files = folder / way.replace(", ", "_")
            pairs = [(ours(options.ours, files), theirs(files)) for _ in range(options.rounds)]
            a, b = (statistics.median(rates) for rates in zip(*pairs))
            ratio = statistics.median(x / y for x, y in pairs)
            print(json.dumps(dict(files=way, ours=round(a, 1), tifffile_and_torch=round(b, 1), ratio=round(ratio, 2))))


if __name__ == "__main__":
    main()
