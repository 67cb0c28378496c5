#!/usr/bin/env bash
# Pillow turns a TIFF upright or scrambles it, depending on whether it is opened by its path or from its bytes.
#
# One would guess: `Image.open(path)` and `Image.open(BytesIO(bytes))` give the same picture, and a TIFF's Orientation
#   tag is heeded on loading.
# What happens: an uncompressed file in one strip (what Pillow itself writes up to 64 KiB) of mode L, P, RGBA or CMYK
#   that is opened by its path is mapped into memory. With orientation 5 to 8 the map is made with the sides of the
#   upright picture, so that rows are cut at the wrong length, and the mixture is turned after that: the size is that
#   of the file, not of the upright picture, and pixels are out of place. No error, no warning. From bytes, compressed,
#   in several strips or as RGB the same picture is right.
# Seen with: Pillow 13.0.0. Output (a picture of two rows, 0 1 2 and 3 4 5; orientation 6):
#   from bytes: [[3, 0], [4, 1], [5, 2]]
#   by path, LZW: [[3, 0], [4, 1], [5, 2]]
#   by path, uncompressed: [[4, 2, 0], [5, 3, 1]]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6

"$work/venv/bin/python" - "$work" <<'PYTHON'
import io
import sys

import numpy
from PIL import Image

ok = True


def expect(text, source, wanted):
    global ok
    image = Image.open(source)
    image.load()
    seen = numpy.asarray(image).tolist()
    print(f"{text}: {seen}" if seen == wanted else f"CHANGED: {text}: {seen}")
    ok = ok and seen == wanted


UPRIGHT = [[3, 0], [4, 1], [5, 2]]
picture = Image.fromarray(numpy.arange(6, dtype=numpy.uint8).reshape(2, 3))
exif = Image.Exif()
exif[0x0112] = 6
plain, packed = sys.argv[1] + "/plain.tif", sys.argv[1] + "/packed.tif"
picture.save(plain, exif=exif)
picture.save(packed, exif=exif, compression="tiff_lzw")
expect("from bytes", io.BytesIO(open(plain, "rb").read()), UPRIGHT)
expect("by path, LZW", packed, UPRIGHT)
expect("by path, uncompressed", plain, [[4, 2, 0], [5, 3, 1]])
sys.exit(0 if ok else 1)
PYTHON
