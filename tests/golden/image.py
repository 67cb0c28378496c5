"""Golden files for tests/image: encoded images with what Pillow makes of them, and Pillow's resizes.

Writes data/image/. Requirements: pillow==13.0.0 scikit-image==0.26.0 numpy==2.4.6 torch==2.11.0 torchvision==0.26.0
The pictures are crops of scikit-image's CC0 photographs (chelsea, coffee, astronaut, rocket).
"""

import io
import json
import pathlib
import struct
import zlib

import numpy
import skimage.data
from PIL import Image, ImageOps
from torchvision import transforms

OUT = pathlib.Path(__file__).parent / "data" / "image"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.iterdir():
    old.unlink()


def fnv(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def photo(name, x, y, width, height):
    return Image.fromarray(getattr(skimage.data, name)()[y : y + height, x : x + width, :3])


cat = photo("chelsea", 130, 90, 61, 47)
cup = photo("coffee", 210, 120, 64, 48)
face = photo("astronaut", 180, 60, 59, 64)

entries = []


def add(name, data):
    (OUT / name).write_bytes(data)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    rgb, grey = image.convert("RGB"), image.convert("L")
    entries.append(
        {"file": name, "width": rgb.width, "height": rgb.height, "rgb": fnv(rgb.tobytes()), "grey": fnv(grey.tobytes())}
    )


def encoded(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def without_segment(jpeg, marker):
    """The file without its segments of this marker."""
    out, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] != marker:
            out += jpeg[at : at + 2 + length]
        at += 2 + length
    return out + jpeg[at:]


# JPEG: chroma sampling, coding, colour spaces.
add("420.jpg", encoded(cat, "JPEG", quality=85, subsampling="4:2:0"))
add("422.jpg", encoded(cup, "JPEG", quality=90, subsampling="4:2:2"))
add("444.jpg", encoded(face, "JPEG", quality=80, subsampling="4:4:4"))
add("411.jpg", encoded(cup, "JPEG", quality=80, subsampling="4:1:1"))
add("progressive.jpg", encoded(cup, "JPEG", quality=85, progressive=True))
add("restart.jpg", encoded(cat, "JPEG", quality=85, restart_marker_blocks=2))
add("grey.jpg", encoded(face.convert("L"), "JPEG", quality=85))
add("rgb_stored.jpg", encoded(cat, "JPEG", quality=85, keep_rgb=True))
ink = numpy.asarray(cup.convert("CMYK")).copy()
ink[..., 3] = numpy.asarray(cup.convert("L")) // 3  # black ink that conversions have to mix in
cmyk = encoded(Image.fromarray(ink, "CMYK"), "JPEG", quality=90)
add("cmyk.jpg", cmyk)
add("cmyk_without_adobe.jpg", without_segment(cmyk, 0xEE))
at = cmyk.index(b"Adobe") + 11  # the colour transform: 2 is YCCK
add("ycck.jpg", cmyk[:at] + b"\2" + cmyk[at + 1 :])
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description, so that the entry looked for is not the first"
    add(f"exif{orientation}.jpg", encoded(cat.crop((0, 0, 41, 30)), "JPEG", quality=85, exif=exif))


# PNG: colour types and depths that Pillow does not write are made here.
def png(width, height, depth, colour, rows, extra=b"", interlace=0):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    data = zlib.compress(rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def transparency(data):
    return struct.pack(">I", len(data)) + b"tRNS" + data + struct.pack(">I", zlib.crc32(b"tRNS" + data))


def rows_of(array):
    """Filter type 0 and the bytes of each row."""
    return b"".join(b"\0" + row.tobytes() for row in array)


rng = numpy.random.default_rng(0)
small = face.crop((10, 10, 43, 39))
add("rgb.png", encoded(small, "PNG"))
add("grey.png", encoded(small.convert("L"), "PNG"))
add("bilevel.png", encoded(small.convert("1"), "PNG"))
add("rgba.png", encoded(Image.merge("RGBA", (*small.split(), small.convert("L"))), "PNG"))
add("grey_alpha.png", encoded(Image.merge("LA", (small.convert("L"), small.split()[0])), "PNG"))
add("palette.png", encoded(small.quantize(200), "PNG"))
add("palette_4bit.png", encoded(small.quantize(13), "PNG", bits=4))
add("palette_transparent.png", encoded(small.quantize(50), "PNG", transparency=bytes(range(0, 250, 5))))
exif = Image.Exif()
exif[0x0112] = 6
add("exif.png", encoded(small, "PNG", exif=exif))
narrow = rng.integers(0, 256, (9, 5), dtype=numpy.uint8)
add("grey_2bit.png", png(20, 9, 2, 0, rows_of(narrow)))
add("grey_4bit.png", png(10, 9, 4, 0, rows_of(narrow)))
add("grey_transparent.png", png(5, 9, 8, 0, rows_of(narrow), transparency(b"\0" + narrow[0, :1].tobytes())))
wide = rng.integers(0, 65536, (9, 12), dtype=numpy.uint16).astype(">u2")
dark = (wide >> 7).astype(">u2")  # on both sides of 255, where Pillow saturates
add("grey_16bit.png", png(12, 9, 16, 0, rows_of(dark)))
add("rgb_16bit.png", png(4, 9, 16, 2, rows_of(wide)))
add("rgba_16bit.png", png(3, 9, 16, 6, rows_of(wide)))
add("grey_alpha_16bit.png", png(6, 9, 16, 4, rows_of(wide)))
pixels = numpy.asarray(small)[:9, :11]
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # Adam7
rows = b"".join(rows_of(pixels[y::dy, x::dx]) for x, y, dx, dy in passes)
add("interlaced.png", png(11, 9, 8, 2, rows, interlace=1))

# WebP.
add("lossy.webp", encoded(cat, "WEBP", quality=80))
add("lossless.webp", encoded(cat.crop((0, 0, 30, 20)), "WEBP", lossless=True))
alpha = Image.merge("RGBA", (*small.split(), small.convert("L")))
add("alpha.webp", encoded(alpha, "WEBP", quality=80, exact=True))
exif = Image.Exif()
exif[0x0112] = 3
add("exif.webp", encoded(small, "WEBP", quality=80, exif=exif))

# Animations: the first frame counts. In the second it does not fill its canvas.
frames = [small, cat.crop((0, 0, 33, 29)), cup.crop((0, 0, 33, 29))]
add("animated.webp", encoded(frames[0], "WEBP", quality=80, save_all=True, append_images=frames[1:], duration=50))
partial = Image.new("RGBA", (40, 36))
partial.paste(alpha, (4, 6))
add("animated_alpha.webp", encoded(partial, "WEBP", lossless=True, save_all=True, append_images=[alpha.resize((40, 36))]))

# Resizes: Pillow's crop, then its bicubic resize.
resizes = []
for number, (source, box, size) in enumerate(
    [
        ("rgb", (0, 0, 61, 47), (32, 32)),
        ("rgb", (0, 0, 61, 47), (61, 47)),
        ("rgb", (3, 5, 40, 44), (37, 16)),
        ("rgb", (3, 5, 40, 44), (17, 39)),
        ("rgb", (20, 10, 33, 21), (64, 64)),
        ("rgb", (5, 0, 8, 47), (24, 24)),
        ("rgb", (60, 46, 61, 47), (9, 7)),
        ("rgb", (0, 0, 61, 47), (1, 1)),
        ("rgb", (0, 0, 61, 47), (3, 50)),
        ("grey", (0, 0, 61, 47), (28, 28)),
        ("grey", (10, 12, 33, 36), (28, 28)),
        ("grey", (58, 44, 61, 47), (35, 30)),
        ("grey", (0, 0, 61, 47), (5, 3)),
    ]
):
    image = cat if source == "rgb" else cat.convert("L")
    name = f"resize{number}.png"
    (OUT / name).write_bytes(encoded(image.crop(box).resize(size, Image.Resampling.BICUBIC), "PNG", optimize=True))
    resizes.append({"file": name, "source": f"resize_{source}.png", "box": box, "size": size})
(OUT / "resize_rgb.png").write_bytes(encoded(cat, "PNG", optimize=True))
(OUT / "resize_grey.png").write_bytes(encoded(cat.convert("L"), "PNG", optimize=True))

# The evaluation transform: shorter side to 8/7 of the target, then the middle.
centre_crops = []
for source, target in (("resize_rgb.png", 56), ("444.jpg", 28), ("rgb.png", 7)):
    transform = transforms.Compose(
        [
            transforms.Resize(target * 8 // 7, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(target),
        ]
    )
    name = f"centre_crop{target}.png"
    (OUT / name).write_bytes(encoded(transform(Image.open(OUT / source)), "PNG", optimize=True))
    centre_crops.append({"file": name, "source": source, "size": target})

(OUT / "golden.json").write_text(json.dumps({"decode": entries, "resize": resizes, "centre_crop": centre_crops}, indent=0) + "\n")
