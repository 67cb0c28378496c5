// PNGs of labels (image/label_map.h), and what they may be mistaken for.
// seeds: tests/golden/data/labels/*.png
#include "sgmae/image/label_map.h"

#include "fuzz/fuzz.h"
#include "sgmae/image/decode.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const ImageInfo info = read_image_info({data, size});
    if (std::int64_t{info.size.width} * info.size.height > 1 << 16) return;  // only slower
    const LabelMap map = read_label_map({data, size});
    if (map.size != info.size) std::abort();
    // Whatever was read comes back from a file of ours.
    const LabelMap again = read_label_map(encode_label_png(map));
    if (again.size != map.size || again.labels != map.labels) std::abort();
    LabelMap scaled;
    resize_labels(map, whole(map.size), {7, 5}, {1, 1, 5, 3}, true, scaled);
    use(scaled.labels);
  });
}
