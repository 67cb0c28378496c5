// JPEG 2000 on our side of OpenJPEG (codecs/jp2.cpp).
// sources: sgmae/codecs/jp2.cpp
// links: openjp2
// seeds: tests/golden/data/plugin_images/*.jp2 tests/golden/data/plugin_images/*.j2k
#include "fuzz/codec.h"
