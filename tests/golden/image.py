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


def add(name, data, right=None):
    """`right` is what the file holds, for those that Pillow reads otherwise (docs/compatibility.md)."""
    (OUT / name).write_bytes(data)
    image = right or ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    rgb, grey = image.convert("RGB"), image.convert("L")
    entries.append(
        {"file": name, "width": rgb.width, "height": rgb.height, "rgb": fnv(rgb.tobytes()), "grey": fnv(grey.tobytes())}
    )
    if image.has_transparency_data and not name.endswith((".gif", ".bmp")):
        entries[-1]["alpha"] = fnv(image.convert("RGBA").getchannel("A").tobytes())


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
rgba = Image.merge("RGBA", (*small.split(), small.convert("L")))
add("rgba.png", encoded(rgba, "PNG"))
turned = Image.Exif()
turned[0x0112] = 6
add("rgba_turned.png", encoded(rgba, "PNG", exif=turned))
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

# TIFF. What Pillow does not write is made here.
def tiff(width, height, bits, photometric, chunks, order="<", tags=(), tile=None, rows=None, compression=1, big=False):
    """One page; `chunks` are its strips (of `rows` rows) or tiles, in the file's order."""
    sizes = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8, 16: 8}
    letters = {1: "B", 3: "H", 4: "I", 11: "f", 12: "d", 16: "Q"}
    word, count_format = ("Q", "Q") if big else ("I", "H")
    inline = struct.calcsize(word)
    start = struct.calcsize("HHIQ") if big else 8
    offsets = [start + sum(len(c) for c in chunks[:i]) for i in range(len(chunks))]
    fields = [
        (256, 3, [width]), (257, 3, [height]), (258, 3, bits), (259, 3, [compression]), (262, 3, [photometric]),
        (277, 3, [len(bits)]), (324 if tile else 273, 4, offsets), (325 if tile else 279, 4, [len(c) for c in chunks]),
    ]  # fmt: skip
    fields += [(322, 3, [tile[0]]), (323, 3, [tile[1]])] if tile else [(278, 3, [rows or height])]
    data = b"".join(chunks)
    directory = start + len(data) + len(data) % 2
    outside = directory + struct.calcsize("<" + count_format) + (len(fields) + len(tags)) * (4 + 2 * inline) + inline
    table, far = b"", b""
    for tag, kind, values in sorted([*fields, *tags]):
        raw = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{letters[kind]}", *values)
        held = raw.ljust(inline, b"\0")
        if len(raw) > inline:
            held = struct.pack(order + word, outside + len(far))
            far += raw + b"\0" * (len(raw) % 2)
        table += struct.pack(order + "HH" + word, tag, kind, len(raw) // sizes[kind]) + held
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, directory) if big else struct.pack(order + "I", directory)
    count = struct.pack(order + count_format, len(fields) + len(tags))
    return head + data + b"\0" * (len(data) % 2) + count + table + struct.pack(order + word, 0) + far


tiny = cat.crop((20, 10, 43, 27))  # 23 x 17
shape = tiny.size
tiny_grey = tiny.convert("L")
add("grey.tif", encoded(tiny_grey, "TIFF"))
add("rgb.tif", encoded(tiny, "TIFF"))
for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"):
    add(f"rgb_{compression.split('_')[-1]}.tif", encoded(tiny, "TIFF", compression=compression))
add("rgb_predictor.tif", encoded(tiny, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
add("rgb_jpeg.tif", encoded(cat, "TIFF", compression="jpeg", quality=85))
add("grey_jpeg.tif", encoded(tiny_grey, "TIFF", compression="jpeg", quality=85))
for compression in ("raw", "group3", "group4", "tiff_ccitt"):
    add(f"bilevel_{compression.split('_')[-1]}.tif", encoded(tiny.convert("1"), "TIFF", compression=compression))
add("cmyk.tif", encoded(Image.fromarray(ink[:17, :23], "CMYK"), "TIFF", compression="tiff_lzw"))
add("palette.tif", encoded(tiny.quantize(90), "TIFF"))
add("rgba.tif", encoded(Image.merge("RGBA", (*tiny.split(), tiny_grey)), "TIFF"))
add("grey_alpha.tif", encoded(Image.merge("LA", (tiny_grey, tiny.split()[0])), "TIFF"))
add("pages.tif", encoded(tiny.copy(), "TIFF", save_all=True, append_images=[cup.crop((0, 0, 20, 20)), face.crop((0, 0, 9, 9))]))
pixels = numpy.asarray(tiny)
bands = numpy.concatenate([pixels, numpy.asarray(tiny_grey)[..., None]], 2)
alpha_first = [(338, 3, [1])]
add("rgb_multiplied.tif", tiff(*shape, [8] * 4, 2, [bands.tobytes()], tags=alpha_first))
add("rgba_unmarked.tif", tiff(*shape, [8] * 4, 2, [bands.tobytes()]))
add("rgb_strips.tif", tiff(*shape, [8] * 3, 2, [pixels[y : y + 5].tobytes() for y in range(0, 17, 5)], ">", rows=5))
add("rgb_planes.tif", tiff(*shape, [8] * 3, 2, [pixels[..., c].tobytes() for c in range(3)], tags=[(284, 3, [2])]))
padded = numpy.pad(pixels, ((0, 15), (0, 9), (0, 0)), "edge")
tiles = [padded[y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)]
add("rgb_tiles.tif", tiff(*shape, [8] * 3, 2, [zlib.compress(t.tobytes()) for t in tiles], tile=(16, 16), compression=8))
planes = [t[..., c].tobytes() for c in range(3) for t in tiles]
add("rgb_tile_planes.tif", tiff(*shape, [8] * 3, 2, planes, ">", tile=(16, 16), tags=[(284, 3, [2])]))
add("rgb_big.tif", tiff(*shape, [8] * 3, 2, [pixels.tobytes()], big=True))
add("grey_white_is_zero.tif", tiff(*shape, [8], 0, [tiny_grey.tobytes()]))
add("grey_bit_order.tif", tiff(*shape, [8], 1, [tiny_grey.tobytes()], tags=[(266, 3, [2])]))
add("bilevel_bit_order.tif", tiff(*shape, [1], 0, [tiny.convert("1").tobytes()], tags=[(266, 3, [2])]))
add("grey_2bit.tif", tiff(20, 9, [2], 1, [narrow.tobytes()]))
add("grey_4bit.tif", tiff(10, 9, [4], 0, [narrow.tobytes()]))
ramp = (320, 3, [(i * 4000 + 200) % 65536 for i in range(48)])
add("palette_4bit.tif", tiff(10, 9, [4], 3, [narrow.tobytes()], tags=[ramp]))
add("grey_16bit.tif", tiff(12, 9, [16], 1, [dark.astype("<u2").tobytes()]))
add("grey_16bit_big_endian.tif", tiff(12, 9, [16], 1, [dark.tobytes()], ">"))
add("grey_16bit_deflate.tif", tiff(12, 9, [16], 1, [zlib.compress(dark.tobytes())], ">", compression=8))
add("rgb_16bit.tif", tiff(4, 9, [16] * 3, 2, [wide.tobytes()], ">"))
add("rgba_16bit.tif", tiff(3, 9, [16] * 4, 2, [wide.astype("<u2").tobytes()], tags=[(338, 3, [2])]))
add("cmyk_16bit.tif", tiff(3, 9, [16] * 4, 5, [wide.astype("<u2").tobytes()]))

# Valid files that Pillow 13 refuses or gets wrong.
deep = rng.integers(0, 65536, (6, 7, 3), dtype=numpy.uint16)
planes = [deep[..., c].astype("<u2").tobytes() for c in range(3)]
high = Image.fromarray((deep >> 8).astype(numpy.uint8))
add("rgb_16bit_planes.tif", tiff(7, 6, [16] * 3, 2, planes, tags=[(284, 3, [2])]), high)
turned = [(274, 3, [6])]
upright = tiny.transpose(Image.Transpose.ROTATE_270)
add("rgb_big_big_endian.tif", tiff(*shape, [8] * 3, 2, [pixels.tobytes()], ">", turned, big=True), upright)

# GIF. Frames as a program may write them that Pillow does not.
def gif(width, height, place, numbers, colours, extension=b"", interlaced=False, own_colours=None):
    def table(colours):
        return b"".join(bytes(c) for c in colours)

    flags = 0x80 | (len(colours).bit_length() - 2) if colours else 0
    out = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + table(colours or []) + extension
    flags = 0x40 if interlaced else 0
    if own_colours:
        flags |= 0x80 | (len(own_colours).bit_length() - 2)
    out += b"," + struct.pack("<HHHHB", *place, flags) + table(own_colours or [])
    bits, held, data = 0, 0, bytearray()
    codes = []
    for i, number in enumerate(numbers):  # the table of codes is emptied before it grows
        codes += ([256] if i % 200 == 0 else []) + [number]
    for code in [*codes, 257]:
        held, bits = held | code << bits, bits + 9
        while bits >= 8:
            data.append(held & 255)
            held, bits = held >> 8, bits - 8
    data.append(held)
    blocks = b"".join(bytes([len(data[i : i + 255])]) + bytes(data[i : i + 255]) for i in range(0, len(data), 255))
    return out + b"\x08" + blocks + b"\0;"


add("palette.gif", encoded(tiny.quantize(200), "GIF"))
add("grey.gif", encoded(tiny_grey, "GIF", interlace=1))
add("transparent.gif", encoded(tiny.quantize(30), "GIF", transparency=3))
add("animated.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50))
few = [(10 * i, 255 - 7 * i, (31 * i) % 256) for i in range(16)]
numbers = [int(n) for n in rng.integers(0, 16, 12 * 10)]
seen_through = b"!\xf9\x04\x01\0\0\x07\0"
add("interlaced.gif", gif(12, 10, (0, 0, 12, 10), numbers, few, interlaced=True))
add("small_frame.gif", gif(20, 15, (3, 2, 12, 10), numbers, few))
add("small_transparent_frame.gif", gif(20, 15, (3, 2, 12, 10), numbers, few, seen_through))
add("frame_beyond_canvas.gif", gif(9, 15, (3, 2, 12, 10), numbers, few, seen_through))
add("own_colours.gif", gif(12, 10, (0, 0, 12, 10), numbers, few, own_colours=few[::-1]))
add("too_few_colours.gif", gif(12, 10, (0, 0, 12, 10), numbers, few[:8]))
add("no_colours.gif", gif(12, 10, (0, 0, 12, 10), [11 * n for n in numbers], None))

# BMP.
def bmp(width, height, bits, data, compression=0, colours=b"", masks=b"", header=40, used=0):
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 0, 0, used, 0)
        if header > 40:
            head = (head + masks).ljust(header, b"\0")
            masks = b""
    start = 14 + len(head) + len(masks) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + masks + colours + data


def bmp_rows(rows):
    """Padded to 4 bytes, the last row first."""
    return b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in reversed(rows))


add("rgb.bmp", encoded(tiny, "BMP"))
add("grey.bmp", encoded(tiny_grey, "BMP"))
add("bilevel.bmp", encoded(tiny.convert("1"), "BMP"))
add("palette.bmp", encoded(tiny.quantize(90), "BMP"))
add("rgba.bmp", encoded(Image.merge("RGBA", (*tiny.split(), tiny_grey)), "BMP"))
blue_first = pixels[..., ::-1]
add("top_down.bmp", bmp(23, -17, 24, bmp_rows([row.tobytes() for row in blue_first[::-1]])))
add("os2.bmp", bmp(23, 17, 24, bmp_rows([row.tobytes() for row in blue_first]), header=12))
colours16 = b"".join(bytes([*c, 0]) for c in few)
nibbles = numpy.array(numbers, dtype=numpy.uint8).reshape(10, 12)
packed = [bytes(a << 4 | b for a, b in zip(row[::2], row[1::2])) for row in nibbles.tolist()]
add("palette_4bit.bmp", bmp(12, 10, 4, bmp_rows(packed), colours=colours16))
add("palette_1bit.bmp", bmp(40, 9, 1, bmp_rows([row.tobytes() for row in narrow]), colours=colours16[4:12]))
add("os2_palette.bmp", bmp(12, 10, 8, bmp_rows([bytes(row) for row in nibbles]), colours=bytes(range(256)) * 3, header=12))
words = [row.astype("<u2").tobytes() for row in rng.integers(0, 65536, (9, 7))]
add("555.bmp", bmp(7, 9, 16, bmp_rows(words)))
add("565.bmp", bmp(7, 9, 16, bmp_rows(words), 3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
quads = [row.astype("<u4").tobytes() for row in rng.integers(0, 2**32, (9, 7))]
add("32bit.bmp", bmp(7, 9, 32, bmp_rows(quads)))
add("red_first.bmp", bmp(7, 9, 32, bmp_rows(quads), 3, masks=struct.pack("<IIII", 255, 255 << 8, 255 << 16, 255 << 24), header=108))
runs = b"".join(b"".join(bytes([1, n]) for n in row[:4]) + bytes([0, 5, *row[4:9], 0, 3, row[9]]) + bytes([0, 0]) for row in nibbles.tolist())
add("runs8.bmp", bmp(12, 10, 8, runs + b"\0\x01", 1, colours=colours16, used=16))
runs = b"".join(bytes([5, 0x12, 0, 5, 0x34, 0x56, 0x70, 0, 0, 0]) for _ in range(8)) + bytes([0, 2, 4, 1, 8, 0x9A, 0, 0])
add("runs4.bmp", bmp(12, 10, 4, runs + b"\0\x01", 2, colours=colours16))
# Valid files that Pillow 13 refuses or gets wrong: two colours with 8 bits a pixel, and an image that ends early.
black_and_white = bytes([0, 0, 0, 0, 255, 255, 255, 0])
bits = rng.integers(0, 2, (5, 9), dtype=numpy.uint8)
two = bmp(9, 5, 8, bmp_rows([row.tobytes() for row in bits]), colours=black_and_white, used=2)
add("two_colours.bmp", two, Image.fromarray(bits * 255))
ended = numpy.zeros((10, 12, 3), dtype=numpy.uint8) + numpy.array(few[0], dtype=numpy.uint8)[::-1]
ended[9, :3] = few[7][::-1]
add("runs_end_early.bmp", bmp(12, 10, 8, bytes([3, 7, 0, 1]), 1, colours=colours16, used=16), Image.fromarray(ended))

# Orientation, wherever ImageOps.exif_transpose finds it, and where it does not.
def exif_block(value, kind=3, order="<", before=()):
    """With an entry for each of `before`, (tag, type, count, offset), in front of the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    held = value if isinstance(value, bytes) else struct.pack(order + {3: "HH", 4: "I", 9: "i", 11: "f"}[kind], value, *([0] * (kind == 3)))
    entries = b"".join(struct.pack(order + "HHII", *entry) for entry in before)
    entries += struct.pack(order + "HHI", 0x0112, kind, 1) + held
    return head + struct.pack(order + "H", 1 + len(before)) + entries + struct.pack(order + "I", 0)


def with_app1(jpeg, *bodies):
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies)
    return jpeg[:2] + segments + jpeg[2:]


def xmp(value, element=False):
    said = f"><tiff:Orientation>{value}</tiff:Orientation></x>" if element else f' tiff:Orientation="{value}"/>'
    return b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description" + said.encode() + b"</x:xmpmeta>"


plain = encoded(cat.crop((0, 0, 21, 14)), "JPEG", quality=85)
adobe = b"http://ns.adobe.com/xap/1.0/\0"
long_name = (0x010F, 2, 40, 0x7FFF)  # said to lie beyond the end: what follows is not read
too_long = (0x010F, 2, 1 << 30, 30)  # longer than the block: passed over
for name, bodies in {
    "long": [b"Exif\0\0" + exif_block(6, 4)],
    "long_big_endian": [b"Exif\0\0" + exif_block(5, 4, ">")],
    "short_big_endian": [b"Exif\0\0" + exif_block(8, 3, ">")],
    "signed": [b"Exif\0\0" + exif_block(7, 9)],
    "float": [b"Exif\0\0" + exif_block(3, 11)],
    "byte": [b"Exif\0\0" + exif_block(b"\6\0\0\0", 1)],
    "nine": [b"Exif\0\0" + exif_block(9), adobe + xmp(6)],
    "zero": [b"Exif\0\0" + exif_block(0)],
    "twice": [b"Exif\0\0" + exif_block(6), b"Exif\0\0" + exif_block(3)],
    "prefix_twice": [b"Exif\0\0Exif\0\0" + exif_block(6)],
    "behind_lost": [b"Exif\0\0" + exif_block(6, before=[long_name])],
    "behind_too_long": [b"Exif\0\0" + exif_block(6, before=[too_long])],
    "xmp": [adobe + xmp(6)],
    "xmp_element": [adobe + xmp(8, True)],
    "xmp_zero": [adobe + xmp(0) + xmp(6)],
    "xmp_twice": [adobe + xmp(6), adobe + xmp(3)],
    "xmp_and_exif": [b"Exif\0\0" + exif_block(6), adobe + xmp(3)],
    "xmp_and_other_exif": [b"Exif\0\0" + exif_block(6).replace(b"\x12\x01", b"\x13\x01"), adobe + xmp(3)],
}.items():
    add(f"turned_{name}.jpg", with_app1(plain, *bodies))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_profile(block, name=b"exif"):
    block = b"Exif\0\0" + block
    digits = block.hex().encode()
    return b"\n" + name + b"\n%8d\n" % len(block) + b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72)) + b"\n"


colour = numpy.asarray(cat)[:7, :11]
raw = (b"Raw profile type exif\0", raw_profile(exif_block(6)))
packet = b"XML:com.adobe.xmp\0"
for name, chunks in {
    "exif_long": [(b"eXIf", exif_block(5, 4, ">"))],
    "exif_text": [(b"tEXt", b"exif\0" + exif_block(6))],
    "raw": [(b"tEXt", b"".join(raw))],
    "raw_deflated": [(b"zTXt", raw[0] + b"\0" + zlib.compress(raw[1]))],
    "raw_app1": [(b"tEXt", b"Raw profile type APP1\0" + raw_profile(exif_block(6), b"APP1"))],
    "raw_and_exif": [(b"tEXt", b"".join(raw)), (b"eXIf", exif_block(3))],
    "xmp": [(b"iTXt", packet + b"\0\0\0\0" + xmp(7))],
    "xmp_deflated": [(b"iTXt", packet + b"\1\0en\0word\0" + zlib.compress(xmp(6)))],
    "xmp_text": [(b"tEXt", packet + xmp(6))],
    "xmp_broken": [(b"iTXt", packet + b"\1\0\0\0nothing deflated")],
    "xmp_and_raw": [(b"iTXt", packet + b"\0\0\0\0" + xmp(7)), (b"tEXt", b"".join(raw))],
}.items():
    extra = b"".join(chunk(*c) for c in chunks)
    add(f"turned_{name}.png", png(11, 7, 8, 2, rows_of(colour), extra))
late = png(11, 7, 8, 2, rows_of(colour))
add("turned_late.png", late[:-12] + chunk(b"eXIf", exif_block(6)) + late[-12:])

add("turned_xmp.webp", encoded(cat.crop((0, 0, 21, 14)), "WEBP", quality=80, xmp=xmp(6)))
add("turned_long.webp", encoded(cat.crop((0, 0, 21, 14)), "WEBP", quality=80, exif=exif_block(8, 4, ">")))

for orientation in range(1, 9):
    tags = [(274, 3, [orientation])]
    add(f"turned{orientation}.tif", tiff(11, 7, [8] * 3, 2, [colour.tobytes()], "<>"[orientation % 2], tags))
for name, tags in {
    "long": [(274, 4, [6])],
    "nine": [(274, 3, [9]), (700, 1, xmp(6))],
    "xmp": [(700, 1, xmp(6))],
    "xmp_and_tag": [(274, 3, [3]), (700, 7, xmp(6))],
}.items():
    add(f"turned_{name}.tif", tiff(11, 7, [8] * 3, 2, [colour.tobytes()], tags=tags))
add("turned_big.tif", tiff(11, 7, [8] * 3, 2, [colour.tobytes()], tags=[(274, 3, [8])], big=True))

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
