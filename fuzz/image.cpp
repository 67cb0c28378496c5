// Headers and decoders of all formats, and what else a file may be (image/decode.h).
// seeds: tests/golden/data/image/*.jpg tests/golden/data/image/*.png tests/golden/data/image/*.webp
// tests/golden/data/image/*.gif tests/golden/data/image/*.bmp tests/golden/data/image/*.tif
#include "fuzz/fuzz.h"
#include "sgmae/image/decode.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const ImageInfo info = read_image_info({data, size});
    const auto width = info.size.width, height = info.size.height;
    if (std::int64_t{width} * height > 1 << 16) return;  // larger ones are only slower
    Image image;
    decode_image({data, size}, info, {width / 3, height / 3, (width + 1) / 2, (height + 1) / 2}, 1,
                 image);
    decode_image({data, size}, 3);
    decode_alpha({data, size}, info);
  });
}
