// HEIC on our side of libheif (codecs/heif.cpp).
// sources: sgmae/codecs/heif.cpp
// links: heif
// seeds: tests/golden/data/plugin_images/*.heic
#include "fuzz/codec.h"
