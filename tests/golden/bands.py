"""Golden files for tests/image/bands_test.cpp and tests/data/array_image_test.cpp: images of any number
of channels and any kind of numbers, as tifffile and numpy write them, and PyTorch's resizes of some.

Writes data/bands/. Requirements: tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6 torch==2.11.0
The i-th number of an image, counted along [H, W, C], is ((7919 i + 13) mod modulus) scale + offset, so
that a test knows what a file must hold; each file is read back here and compared.
"""

import json
import pathlib
import struct
import zlib

import numpy
import tifffile
import torch

OUT = pathlib.Path(__file__).parent / "data" / "bands"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.iterdir():
    old.unlink()

HEIGHT, WIDTH = 5, 7
entries = []


def values(channels, modulus, scale=1, offset=0, height=HEIGHT, width=WIDTH):
    """[H, W, C] in float64, all of which fp32 and the file's type hold exactly."""
    i = numpy.arange(height * width * channels, dtype=numpy.int64)
    return ((7919 * i + 13) % modulus * scale + offset).reshape(height, width, channels)


def entry(file, channels, modulus, scale, offset, height=HEIGHT, width=WIDTH, **more):
    entries.append(dict(file=file, height=height, width=width, channels=channels, modulus=modulus,
                        scale=scale, offset=offset, **more))


def tiff(file, dtype, channels, modulus, scale=1, offset=0, planar=False, eight_bit=False, size=(HEIGHT, WIDTH),
         nodata=None, **options):
    pixels = values(channels, modulus, scale, offset, *size).astype(dtype)
    stored = numpy.moveaxis(pixels, 2, 0) if planar else pixels
    if channels == 1:
        stored = pixels[:, :, 0]
    elif planar:
        options["planarconfig"] = "separate"
    else:
        options["planarconfig"] = "contig"
    options.setdefault("photometric", "minisblack")
    if nodata is not None:  # as GDAL tags it
        options["extratags"] = [(42113, "s", 0, nodata, True)]
    tifffile.imwrite(OUT / file, stored, metadata=None, **options)
    read = tifffile.imread(OUT / file)
    assert read.dtype == pixels.dtype and numpy.array_equal(read, stored), file
    entry(file, channels, modulus, scale, offset, *size, eight_bit=eight_bit, **({"nodata": float(nodata)} if nodata else {}))


tiff("u8_5.tif", "u1", 5, 256)
tiff("u8_5_planes.tif", "u1", 5, 256, planar=True, rowsperstrip=2)
tiff("u16_13_deflate.tif", "u2", 13, 60000, compression="deflate", predictor=True)
tiff("u16_13_planes_lzw.tif", "u2", 13, 60000, planar=True, compression="lzw", predictor=True)
tiff("u16_4_tiles.tif", "u2", 4, 60000, tile=(16, 16), size=(20, 19))
tiff("u16_2_planes_tiles_zstd.tif", "u2", 2, 60000, planar=True, tile=(16, 16), compression="zstd", size=(20, 19))
tiff("u16_3_big_endian.tif", "u2", 3, 60000, photometric="rgb", byteorder=">", eight_bit=True)
tiff("u16_1.tif", "u2", 1, 60000, eight_bit=True)
tiff("i16_3.tif", "i2", 3, 60000, offset=-30000)
tiff("i8_2.tif", "i1", 2, 256, offset=-128)
tiff("u32_1.tif", "u4", 1, 60000, scale=256)
tiff("i32_2.tif", "i4", 2, 60000, scale=256, offset=-30000 * 256)
tiff("u64_1.tif", "u8", 1, 60000, scale=2**20)
tiff("f16_2.tif", "f2", 2, 2048, scale=0.125, offset=-128)
tiff("f32_6_bigtiff.tif", "f4", 6, 60000, scale=0.125, offset=-3000, bigtiff=True)
tiff("f32_3_planes_big_endian.tif", "f4", 3, 60000, scale=0.125, planar=True, byteorder=">", bigtiff=True)
tiff("f32_1_predictor.tif", "f4", 1, 60000, scale=0.125, offset=-3000, compression="deflate", predictor=3)
tiff("f64_1.tif", "f8", 1, 60000, scale=0.125)
tiff("f32_2_nodata.tif", "f4", 2, 60000, scale=0.125, offset=-3000, nodata="961.125")
tiff("i16_3_nodata.tif", "i2", 3, 60000, offset=-30000, planar=True, nodata="-29987 ")
tiff("i16_1_tiles_nodata.tif", "i2", 1, 60000, offset=-30000, tile=(16, 16), size=(20, 19), nodata="-29987")

# Pages: three of one band and one of two, then a smaller version of the first.
pages = values(5, 60000).astype("u2")
with tifffile.TiffWriter(OUT / "u16_pages.tif") as writer:
    for c in range(3):
        writer.write(pages[:, :, c], metadata=None, contiguous=False)
    writer.write(pages[:2, :3, 0], metadata=None, subfiletype=1)
    writer.write(pages[:, :, 3:], metadata=None, planarconfig="contig", photometric="minisblack")
with tifffile.TiffFile(OUT / "u16_pages.tif") as file:
    assert [p.shape for p in file.pages] == [(5, 7), (5, 7), (5, 7), (2, 3), (5, 7, 2)]
entry("u16_pages.tif", 5, 60000, 1, 0, pages=True, eight_bit=False)

# 12 bits, which tifffile cannot write: grey, uncompressed, two values in three bytes, a row at a time.
flat = values(1, 4096).astype(int)[:, :, 0]
rows = b""
for row in flat:
    bits = "".join(f"{value:012b}" for value in row)
    bits += "0" * (-len(bits) % 8)
    rows += int(bits, 2).to_bytes(len(bits) // 8, "big")
tags = [(256, 3, WIDTH), (257, 3, HEIGHT), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8),
        (277, 3, 1), (278, 3, HEIGHT), (279, 4, len(rows))]
directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
at = 8 + len(rows) + len(rows) % 2
(OUT / "u12_1.tif").write_bytes(struct.pack("<2sHI", b"II", 42, at) + rows + bytes(len(rows) % 2) + directory + bytes(4))
assert numpy.array_equal(tifffile.imread(OUT / "u12_1.tif"), flat)
entry("u12_1.tif", 1, 4096, 1, 0, eight_bit=False)


def png(file, colour_type, channels):
    pixels = values(channels, 60000).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)),
              (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    (OUT / file).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks))
    entry(file, channels, 60000, 1, 0, eight_bit=True)


png("u16_1.png", 0, 1)
png("u16_3.png", 2, 3)
png("u16_4.png", 6, 4)


def array(file, pixels, channels, modulus, scale=1, offset=0, axes="auto", save=numpy.save, **more):
    save(OUT / file, pixels, **more)
    entry(file, channels, modulus, scale, offset, axes=axes)


u16 = values(3, 60000).astype("u2")
array("u16_hwc.npy", u16, 3, 60000)
array("u16_chw.npy", numpy.ascontiguousarray(numpy.moveaxis(u16, 2, 0)), 3, 60000)
array("u16_fortran.npy", numpy.asfortranarray(u16), 3, 60000)
array("u16_hw.npy", values(1, 60000).astype("u2")[:, :, 0], 1, 60000)
array("f16_hwc.npy", values(2, 2048, 0.125, -128).astype("f2"), 2, 2048, 0.125, -128)
array("f32_hwc.npy", values(2, 60000, 0.125, -128).astype("f4"), 2, 60000, 0.125, -128)
array("f64_hwc.npy", values(2, 60000, 0.125, -128).astype("f8"), 2, 60000, 0.125, -128)
array("i32_hwc.npy", values(2, 60000, 256, -128).astype("i4"), 2, 60000, 256, -128)
array("bool_hw.npy", values(1, 2).astype("?")[:, :, 0], 1, 2)
array("u8_forced_hwc.npy", values(9, 256).astype("u1"), 9, 256, axes="hwc")
array("one.npz", None, 3, 60000, save=lambda path, _: numpy.savez(path, u16))
array("compressed.npz", None, 3, 60000, save=lambda path, _: numpy.savez_compressed(path, image=u16, mask=u16[:, :, 0]))

# What is refused.
numpy.save(OUT / "bad_big_endian.npy", u16.astype(">u2"))
numpy.save(OUT / "bad_complex.npy", u16.astype("c8"))
numpy.save(OUT / "bad_objects.npy", numpy.array([[1, "two"]], dtype=object), allow_pickle=True)
numpy.save(OUT / "bad_records.npy", numpy.zeros((2, 2), dtype=[("a", "u1"), ("b", "f4")]))
numpy.save(OUT / "bad_one_axis.npy", numpy.zeros(5, dtype="f4"))
numpy.save(OUT / "bad_four_axes.npy", numpy.zeros((1, 2, 3, 4), dtype="f4"))
numpy.save(OUT / "bad_empty.npy", numpy.zeros((0, 4, 3), dtype="f4"))
numpy.savez(OUT / "bad_two.npz", a=u16, b=u16)

# Resizes of [9, 11, 3] numbers, most of them far from 0 … 255.
resizes = []
source = values(3, 60000, 0.125, -3000, 9, 11)
for height, width in [(9, 11), (4, 5), (20, 6), (3, 30), (1, 1)]:
    tensor = torch.from_numpy(source).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(tensor, (height, width), mode="bicubic", antialias=True)
    resizes.append(dict(height=height, width=width,
                        values=[round(v, 3) for v in scaled[0].permute(1, 2, 0).flatten().tolist()]))

(OUT / "golden.json").write_text(json.dumps(dict(
    tiff=[e for e in entries if e["file"].endswith((".tif", ".png"))],
    arrays=[e for e in entries if e["file"].endswith((".npy", ".npz"))], resizes=resizes)) + "\n")
print(f"{len(entries)} files, {sum(f.stat().st_size for f in OUT.iterdir())} bytes")
