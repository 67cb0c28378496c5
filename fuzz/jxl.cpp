// JPEG XL on our side of libjxl (codecs/jxl.cpp).
// sources: sgmae/codecs/jxl.cpp
// links: jxl
// seeds: tests/golden/data/plugin_images/*.jxl
#include "fuzz/codec.h"
