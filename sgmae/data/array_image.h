// Images that are NumPy arrays of numbers: .npy, and the array of a .npz. Two axes are [H, W],
// three [H, W, C] or [C, H, W] (ArrayAxes). Messages do not name the file; the caller knows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sgmae/image/bands.h"
#include "sgmae/io/dtype.h"

namespace sgmae {

struct ArrayInfo {
  ImageSize size;
  int channels = 0;
  DType type = DType::f32;
  std::size_t begin = 0;  // of the numbers, in the file
  // Elements from one to the next in each direction.
  std::ptrdiff_t across = 0, down = 0, deep = 0;
};

// Whether a file begins like a .npy, or like a .npz whose first entry is one.
bool is_npy(std::span<const std::uint8_t> file);
bool is_npz(std::span<const std::uint8_t> file);

// The .npy in a .npz: its only entry or, of several, the one called image.npy. Throws Error(data).
std::vector<std::uint8_t> npy_of_npz(std::span<const std::uint8_t> file);

// Throws Error(data) for what is no image: other numbers of axes, objects, records, complex
// numbers, big-endian ones, too many values.
ArrayInfo read_array_info(std::span<const std::uint8_t> file, ArrayAxes axes);

// The numbers of `region`, converted to fp32.
void decode_array(std::span<const std::uint8_t> file, const ArrayInfo& info, const CropBox& region,
                  Bands& bands);

}  // namespace sgmae
