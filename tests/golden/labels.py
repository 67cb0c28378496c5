"""Golden files for label maps and what segmentation trains with: Pillow's PNGs and resizes, OpenCV's colour changes.

Writes data/labels/. Requirements: pillow==13.0.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
Reads the crop of scikit-image's CC0 photograph that image.py wrote to data/image/resize_rgb.png.
"""

import io
import json
import pathlib
import struct
import zlib

import cv2
import numpy
from PIL import Image

DATA = pathlib.Path(__file__).parent / "data"
OUT = DATA / "labels"
OUT.mkdir(parents=True, exist_ok=True)


def fnv(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def png(width, height, depth, colour, rows, extra=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9)
    chunks = b"".join(chunk(kind, data) for kind, data in extra or [])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


rng = numpy.random.default_rng(3)


def files():
    """PNGs of every kind that holds labels, with their values, and of every kind that does not."""
    entries = []

    def add(name, data, values=None):
        (OUT / name).write_bytes(data)
        entries.append({"file": name})
        if values is not None:
            height, width = values.shape
            entries[-1] |= {"width": width, "height": height, "values": values.astype(int).flatten().tolist()}

    for bits in (1, 2, 4, 8):
        values = rng.integers(0, 1 << bits, (5, 11), dtype=numpy.uint8)
        picture = Image.fromarray(values).convert("P")
        picture.putdata(values.flatten().tolist())
        picture.putpalette(rng.integers(0, 256, 3 << bits, dtype=numpy.uint8).tolist())
        file = encoded(picture, bits=bits)
        assert numpy.array_equal(numpy.asarray(Image.open(io.BytesIO(file))), values)
        add(f"palette_{bits}bit.png", file, values)
        # Packed, the first value in the highest bits.
        padded = numpy.zeros((5, 16), numpy.uint8)
        padded[:, :11] = values
        packed = numpy.packbits(numpy.unpackbits(padded[..., None], axis=2)[..., 8 - bits :].reshape(5, -1), axis=1)
        add(f"grey_{bits}bit.png", png(11, 5, bits, 0, packed[:, : -(-11 * bits // 8)]), values)
    values = rng.integers(0, 4, (5, 7), dtype=numpy.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    add("turned.png", encoded(Image.fromarray(values), exif=turned), numpy.rot90(values, -1))
    clear = Image.fromarray(values).convert("P")
    clear.putdata(values.flatten().tolist())
    add("palette_transparent.png", encoded(clear, transparency=0), values)
    grey = Image.fromarray(values)
    add("rgb.png", encoded(grey.convert("RGB")))
    add("rgba.png", encoded(grey.convert("RGBA")))
    add("grey_alpha.png", encoded(grey.convert("LA")))
    add("grey_16bit.png", encoded(Image.fromarray(values.astype(numpy.uint16) * 300)))
    return entries


def nearest():
    """Label maps resized by NEAREST; their values are (7 x + 31 y + x y) modulo 256."""
    cases = []
    sides = [1, 2, 3, 7, 10, 49, 64, 100, 333, 512]
    for _ in range(60):
        width, height, new_width, new_height = (int(s) for s in rng.choice(sides, 4))
        y, x = numpy.mgrid[0:height, 0:width]
        values = ((7 * x + 31 * y + x * y) % 256).astype(numpy.uint8)
        result = Image.fromarray(values).resize((new_width, new_height), Image.Resampling.NEAREST)
        cases.append({"size": [width, height], "target": [new_width, new_height], "values": fnv(result.tobytes())})
    return cases


photo = Image.open(DATA / "image" / "resize_rgb.png")


def bilinear():
    cases = []
    sizes = [(61, 47), (30, 23), (122, 94), (7, 90), (200, 5), (1, 1), (60, 47), (61, 13), (64, 64), (3, 2)]
    for size in sizes:
        for channels, image in ((3, photo), (1, photo.convert("L"))):
            for box in ((0, 0, *image.size), (5, 3, 40, 44)):
                result = image.crop(box).resize(size, Image.Resampling.BILINEAR)
                case = {"channels": channels, "box": box, "size": size, "pixels": fnv(result.tobytes())}
                cases.append(case)
    return cases


def converted(values, alpha=1.0, beta=0.0):
    """mmsegmentation's conversion: single precision, clipped, cut off to 8 bits."""
    return numpy.clip(values.astype(numpy.float32) * alpha + beta, 0, 255).astype(numpy.uint8)


def photometric():
    """Each operation on the photo and on noise. One pixel a row: OpenCV's loops over many pixels cut off where the plain
    ones round."""
    # Byte k of the noise is bits 13 to 20 of k times 2654435761.
    noise = (numpy.arange(12000, dtype=numpy.uint64) * 2654435761 >> 13 & 255).astype(numpy.uint8).reshape(-1, 3)
    column = numpy.concatenate([numpy.asarray(photo).reshape(-1, 3), noise])[:, None]
    cases = []

    def add(name, argument, result):
        cases.append({"op": name, "argument": argument, "pixels": fnv(result.tobytes())})

    def through_hsv(change):
        hsv = cv2.cvtColor(column, cv2.COLOR_RGB2HSV)
        change(hsv)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    for delta in (-32, -7.3, 0.5, 31.99):
        add("brightness", delta, converted(column, beta=delta))
    for factor in (0.5, 0.77, 1, 1.4999):
        add("contrast", factor, converted(column, alpha=factor))
    for factor in (0.5, 0.77, 1, 1.4999):
        def saturate(hsv):
            hsv[..., 1] = converted(hsv[..., 1], alpha=factor)

        add("saturation", factor, through_hsv(saturate))
    for delta in (-18, -1, 0, 9, 17):
        def turn(hsv):
            hsv[..., 0] = (hsv[..., 0].astype(int) + delta) % 180

        add("hue", delta, through_hsv(turn))
    return cases


if __name__ == "__main__":
    golden = {"files": files(), "nearest": nearest(), "bilinear": bilinear(), "photometric": photometric()}
    (OUT / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
