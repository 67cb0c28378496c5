// AVIF on our side of libavif (codecs/avif.cpp).
// sources: sgmae/codecs/avif.cpp
// links: avif
// seeds: tests/golden/data/plugin_images/*.avif
#include "fuzz/codec.h"
