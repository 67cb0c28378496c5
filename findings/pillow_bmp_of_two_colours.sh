#!/usr/bin/env bash
# Pillow reads a BMP of 8 bits a pixel as one of 1 bit when its palette is black and white.
#
# One would guess: how many bits a pixel has is the header's `biBitCount`; `biClrUsed` says how long the palette is.
# What happens: with a palette of two entries, black and white (a mask saved with its palette cut to what is used), the
#   mode becomes "1", and rows of bytes are unpacked as rows of bits: the left eighth of the picture, bit by bit, is
#   spread over its whole width. Labels 0 and 1 come out as 7 pixels of black and then the lowest bit of a byte. No
#   error, no warning. With any other two colours the same file is read rightly.
# Seen with: Pillow 13.0.0. Output:
#   black and red: [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
#   black and white: [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pillow==13.0.0

"$work/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys

from PIL import Image

ok = True
ROW = [1, 1, 0, 0] * 4


def expect(text, colour, wanted):
    """Of a file of one row whose second colour is this one: where a pixel is not black."""
    global ok
    palette = bytes(4) + bytes([*reversed(colour), 0])
    header = struct.pack("<IiiHHIIiiII", 40, len(ROW), 1, 1, 8, 0, len(ROW), 0, 0, 2, 0)
    start = 14 + len(header) + len(palette)
    file = b"BM" + struct.pack("<IHHI", start + len(ROW), 0, 0, start) + header + palette + bytes(ROW)
    image = Image.open(io.BytesIO(file)).convert("RGB")
    seen = [int(image.getpixel((x, 0)) != (0, 0, 0)) for x in range(len(ROW))]
    print(f"{text}: {seen}" if seen == wanted else f"CHANGED: {text}: {seen}")
    ok = ok and seen == wanted


expect("black and red", (255, 0, 0), ROW)
expect("black and white", (255, 255, 255), [0, 0, 0, 0, 0, 0, 0, 1] * 2)
sys.exit(0 if ok else 1)
PYTHON
