"""Golden files for the plug-ins of sgmae/codecs: encoded images beside what Pillow and its plug-ins make of them,
upright, as PNG.

Writes data/plugin_images/. Requirements: pillow==13.0.0 pillow-heif==1.8.1 pillow-jxl-plugin==1.3.8 scikit-image==0.26.0
numpy==2.4.6, and Debian's libjxl-tools 0.7 and libopenjp2-tools 2.5. The pictures are crops of scikit-image's CC0 photographs.
"""

import io
import pathlib
import shutil
import subprocess

import numpy
import pillow_heif
import pillow_jxl  # noqa: F401: registers itself
import skimage.data
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
OUT = pathlib.Path(__file__).parent / "data" / "plugin_images"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)


def photo(name, x, y, width, height):
    return Image.fromarray(getattr(skimage.data, name)()[y : y + height, x : x + width, :3])


cat = photo("chelsea", 130, 90, 61, 47)
cup = photo("coffee", 210, 120, 64, 48)


def add(name, image, format, **options):
    image.save(OUT / name, format, **options)
    right = ImageOps.exif_transpose(Image.open(OUT / name))
    if right.mode == "I;16":
        right = Image.fromarray((numpy.asarray(right) >> 8).astype(numpy.uint8))
    right.convert("RGB").save(OUT / f"{name}.png")


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def with_alpha(image):
    return Image.merge("RGBA", (*image.split(), image.convert("L")))


add("420.heic", cat, "HEIF", quality=90)
add("444.heic", cup, "HEIF", quality=95, chroma=444)
add("grey.heic", cup.convert("L"), "HEIF", quality=95)
add("alpha.heic", with_alpha(cup), "HEIF", quality=95)
pillow_heif.encode(
    "RGB;16", cup.size, (numpy.asarray(cup).astype(numpy.uint16) << 8).tobytes(), OUT / "10bit.heic", quality=95
)
Image.open(OUT / "10bit.heic").convert("RGB").save(OUT / "10bit.heic.png")
add("420.avif", cat, "AVIF", quality=90)
add("444.avif", cup, "AVIF", quality=95, subsampling="4:4:4")
add("grey.avif", cup.convert("L"), "AVIF", quality=95)
add("alpha.avif", with_alpha(cup), "AVIF", quality=95)
add("lossless.jxl", cat, "JXL", lossless=True)
add("lossy.jxl", cup, "JXL", quality=92)
add("grey.jxl", cup.convert("L"), "JXL", lossless=True)
add("alpha.jxl", with_alpha(cup), "JXL", lossless=True)
add("lossless.jp2", cat, "JPEG2000")
add("lossy.jp2", cup, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[45])
add("bare.j2k", cup, "JPEG2000", no_jp2=True)
add("grey.jp2", cup.convert("L"), "JPEG2000")
add("grey_alpha.jp2", with_alpha(cup).convert("LA"), "JPEG2000")
add("alpha.jp2", with_alpha(cup), "JPEG2000")
add("tiles.jp2", cat, "JPEG2000", tile_size=(32, 32))
add("16bit.jp2", Image.fromarray(numpy.asarray(cup.convert("L")).astype(numpy.uint16) * 257), "JPEG2000")
# Luma and chroma of half the size, which Pillow does not write.
planes = numpy.asarray(cup.convert("YCbCr"))
raw = OUT / "420.raw"
raw.write_bytes(planes[..., 0].tobytes() + planes[::2, ::2, 1].tobytes() + planes[::2, ::2, 2].tobytes())
layout = f"{cup.width},{cup.height},3,8,u@1x1:2x2:2x2"
subprocess.run(["opj_compress", "-i", raw, "-F", layout, "-o", OUT / "420.jp2"], check=True, capture_output=True)
raw.unlink()
Image.open(OUT / "420.jp2").convert("RGB").save(OUT / "420.jp2.png")
for orientation in range(2, 9):
    small = cat.crop((0, 0, 40, 30))
    add(f"turned{orientation}.heic", small, "HEIF", quality=95, exif=turned(orientation))
    add(f"turned{orientation}.avif", small, "AVIF", quality=95, exif=turned(orientation))
    # What counts is the orientation in the codestream, which cjxl takes from the JPEG.
    jpeg = OUT.parent / "image" / f"exif{orientation}.jpg"
    subprocess.run(["cjxl", "--quiet", "--lossless_jpeg=0", "-d", "0", jpeg, OUT / f"turned{orientation}.jxl"], check=True)
    ImageOps.exif_transpose(Image.open(jpeg)).save(OUT / f"turned{orientation}.jxl.png")
