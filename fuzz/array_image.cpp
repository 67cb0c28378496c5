// NumPy arrays as images, in .npy and .npz (data/array_image.h).
// seeds: tests/golden/data/bands/*.npy tests/golden/data/bands/*.npz
#include "sgmae/data/array_image.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    std::vector<std::uint8_t> bytes(data, data + size);
    if (is_npz(bytes)) bytes = npy_of_npz(bytes);
    for (const ArrayAxes axes : {ArrayAxes::automatic, ArrayAxes::hwc, ArrayAxes::chw}) {
      const ArrayInfo info = read_array_info(bytes, axes);
      Bands bands;
      decode_array(bytes, info, whole(info.size), bands);
    }
  });
}
