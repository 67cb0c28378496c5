#!/usr/bin/env bash
# OpenCV's 8-bit HSV to RGB gives a pixel another colour in a wide image than in a narrow one.
#
# One would guess: cvtColor is a function of the pixel, so that a golden file of the colour changes that segmentation
#   trains with (mmsegmentation's photometric distortion goes through 8-bit HSV) holds for any shape of the image, and
#   a crop has the colours that it has inside the whole.
# What happens: what is left of a row behind its last whole vector is computed by another loop, which rounds to the
#   nearest value where the vector code cuts off. So the same pixels come out one lower in any of the three channels in
#   rows of many pixels than in rows of one, and pixels at the right border of a photo are treated otherwise than the
#   rest. RGB to HSV has no such difference.
# Seen with: opencv-python-headless 5.0.0.93, numpy 2.4.6, x86-64 (AVX2, AVX-512). All 180 x 16 x 16 colours of every
#   17th saturation and value, as one row and as a column of rows of one pixel. Output:
#   HSV to RGB: 65.1 % of pixels differ, by [1] (rows of one minus one row)
#   RGB to HSV: 0.0 % differ
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 numpy==2.4.6

cat > "$work/show.py" <<'PYTHON'
import sys

import cv2
import numpy

colours = numpy.stack(numpy.meshgrid(range(180), range(0, 256, 17), range(0, 256, 17), indexing="ij"), -1)
colours = colours.reshape(-1, 3).astype(numpy.uint8)
row, column = colours[None], colours[:, None]


def both(code):
    return (cv2.cvtColor(row, code).reshape(-1, 3).astype(int), cv2.cvtColor(column, code).reshape(-1, 3).astype(int))


wide, narrow = both(cv2.COLOR_HSV2RGB)
share = 100 * (wide != narrow).any(1).mean()
lower = set((narrow - wide)[wide != narrow].tolist())
print(f"HSV to RGB: {share:.1f} % of pixels differ, by {sorted(lower)} (rows of one minus one row)")
wide, narrow = both(cv2.COLOR_RGB2HSV)
other = 100 * (wide != narrow).any(1).mean()
print(f"RGB to HSV: {other:.1f} % differ")
sys.exit(not (share > 1 and lower == {1} and other == 0))
PYTHON
"$work/venv/bin/python" "$work/show.py"
