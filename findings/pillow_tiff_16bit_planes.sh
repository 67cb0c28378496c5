#!/usr/bin/env bash
# Pillow reads 16-bit RGB TIFFs whose colours lie in planes of their own as noise.
#
# One would guess: what Pillow does not support it refuses, and 16-bit RGB it reads by the upper byte of each number,
#   however the file arranges them (PlanarConfiguration 1 or 2, both are baseline readers' business).
# What happens: in an uncompressed file with PlanarConfiguration 2 each plane is unpacked as 8-bit numbers: bytes of
#   neighbouring pixels, lower and upper in turn, take the place of pixels, and half of each row is never read. No
#   error, no warning. The same numbers side by side (PlanarConfiguration 1) are right.
# Seen with: Pillow 13.0.0. Output (upper bytes of one row of four pixels, red):
#   side by side: [1, 2, 3, 4]
#   in planes: [17, 1, 18, 2]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6

"$work/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys

import numpy
from PIL import Image

ok = True
RED = [0x0111, 0x0212, 0x0313, 0x0414]
PIXELS = numpy.stack([RED, [0x2000] * 4, [0x3000] * 4], -1).astype("<u2")


def tiff(planar, chunks):
    """One row of four pixels; the file's chunks follow its directory."""
    tags = [(256, 3, [4]), (257, 3, [1]), (258, 3, [16] * 3), (259, 3, [1]), (262, 3, [2]), (273, 4, None),
            (277, 3, [3]), (278, 3, [1]), (279, 4, [len(c) for c in chunks]), (284, 3, [planar])]
    table, outside = b"", b""
    behind = 8 + 2 + 12 * len(tags) + 4
    data = behind + 64  # room for what does not fit into an entry
    for tag, kind, values in tags:
        values = values or [data + sum(map(len, chunks[:i])) for i in range(len(chunks))]
        raw = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(raw) > 4:
            raw, outside = struct.pack("<I", behind + len(outside)), outside + raw
        table += struct.pack("<HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + table + bytes(4) + outside.ljust(64, b"\0") + b"".join(chunks)


def expect(text, file, wanted):
    global ok
    seen = numpy.asarray(Image.open(io.BytesIO(file)))[0, :, 0].tolist()
    print(f"{text}: {seen}" if seen == wanted else f"CHANGED: {text}: {seen}")
    ok = ok and seen == wanted


expect("side by side", tiff(1, [PIXELS.tobytes()]), [1, 2, 3, 4])
expect("in planes", tiff(2, [PIXELS[:, c].tobytes() for c in range(3)]), [0x11, 1, 0x12, 2])
sys.exit(0 if ok else 1)
PYTHON
