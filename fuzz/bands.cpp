// Values as stored, of all pages too (image/decode.h).
// seeds: tests/golden/data/bands/*.tif tests/golden/data/bands/*.png
// seeds: tests/golden/data/image/*.tif tests/golden/data/image/*.png
#include "fuzz/fuzz.h"
#include "sgmae/image/decode.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  for (const int page : {0, 1, all_pages})
    try_to(ExitCode::data, [&] {
      const ImageInfo info = read_image_info({data, size}, page);
      nodata_tag({data, size}, info);
      const auto width = info.size.width, height = info.size.height;
      if (std::int64_t{width} * height * info.channels > 1 << 18) return;  // larger: only slower
      Bands bands;
      decode_bands({data, size}, info, {width / 3, height / 3, (width + 1) / 2, (height + 1) / 2},
                   info.channels, bands);
    });
  return try_to(ExitCode::data, [&] { count_pages({data, size}); });
}
