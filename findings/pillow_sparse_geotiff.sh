#!/usr/bin/env bash
# Of tiles that a GeoTIFF leaves out, Pillow shows the beginning of the file as pixels.
#
# One would guess: GDAL leaves tiles of nothing but zeros out (SPARSE_OK; usual for satellite tiles at the edge of a
#   swath) and gives them offset and size 0; what opens such a file shows zeros there, or refuses it.
# What happens: rasterio and tifffile read zeros. Pillow takes offset 0 at its word when tiles are not compressed, and gives
#   header and tags of the file as grey values, without a warning; compressed, it raises an error. OpenCV returns None for both.
# Seen with: rasterio 1.4.4, tifffile 2026.3.3, Pillow 13.0.0, opencv-python-headless 5.0.0.93, numpy 2.4.6; one tile of 200s of
#   sixteen. Output:
#   none: rasterio [0, 200], tifffile [0, 200], Pillow 23 different values, first missing pixels b'II*\x00', OpenCV None
#   deflate: rasterio [0, 200], tifffile [0, 200], Pillow OSError: decoder error -2, OpenCV None
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check rasterio==1.4.4 tifffile==2026.3.3 pillow==13.0.0 \
  opencv-python-headless==5.0.0.93 numpy==2.4.6

cat >"$work/show.py" <<'PYTHON'
import sys

import cv2
import numpy
import rasterio
import tifffile
from PIL import Image
from rasterio.windows import Window


def pillow(file):
    try:
        pixels = numpy.asarray(Image.open(file))
    except OSError as error:
        return f"OSError: {error}"
    return f"{len(numpy.unique(pixels))} different values, first missing pixels {pixels[0, 16:20].tobytes()}"


for compression in ("none", "deflate"):
    file = f"{sys.argv[1]}/{compression}.tif"
    with rasterio.open(file, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", tiled=True, blockxsize=16,
                       blockysize=16, SPARSE_OK="TRUE", compress=compression) as image:
        image.write(numpy.full((1, 16, 16), 200, "uint8"), window=Window(0, 0, 16, 16))
    with rasterio.open(file) as image:
        gdal = numpy.unique(image.read(1)).tolist()
    print(f"{compression}: rasterio {gdal}, tifffile {numpy.unique(tifffile.imread(file)).tolist()}, "
          f"Pillow {pillow(file)}, OpenCV {cv2.imread(file, cv2.IMREAD_UNCHANGED)}")
PYTHON

OPENCV_LOG_LEVEL=SILENT "$work/venv/bin/python" "$work/show.py" "$work" 2>/dev/null | tee "$work/said"
sed -n 's/^#   \(none\|deflate\):/\1:/p' "$0" | diff - "$work/said"
