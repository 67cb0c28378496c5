// Resize with antialiasing, bicubic (Keys, a = -0.5) or bilinear, equal to Pillow 13's
// Image.resize(size, BICUBIC or BILINEAR): two passes over 8-bit values with 22-bit fixed-point
// weights, rounded after each pass.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "sgmae/image/image.h"
#include "sgmae/image/simd.h"

namespace sgmae {

enum class ResizeFilter { bicubic, bilinear };

// Holds weights and scratch memory for its next use; one per thread.
class Resizer {
 public:
  explicit Resizer(Simd simd = Simd::automatic, ResizeFilter filter = ResizeFilter::bicubic)
      : simd_(use_simd(simd)), filter_(filter) {}

  // `source` (1 or 3 channels) scaled to `target`; `result` is overwritten, its memory used again.
  // With `flip` the result is mirrored left to right. With `window` only that rectangle of the
  // scaled image is made (and then mirrored).
  void resize(const ImageView& source, ImageSize target, bool flip, Image& result);
  void resize(const ImageView& source, ImageSize target, const CropBox& window, bool flip,
              Image& result);

  // What of a source of `size` that second form reads.
  CropBox part_read(ImageSize size, ImageSize target, const CropBox& window);
  // The same result where only that part is decoded: `pixels` are those of `part`, which holds
  // part_read() of the whole source.
  void resize(const ImageView& pixels, const CropBox& part, ImageSize size, ImageSize target,
              const CropBox& window, bool flip, Image& result);

  // One axis: output i is the sum over k < taps of weight[i * taps + k] times input first[i] + k,
  // in units of 2^-22. `taps` is a multiple of 4; the surplus has weight 0.
  struct Weights {
    int taps = 0;
    std::vector<int> first;
    int begin = 0, end = 0;  // all inputs that count; `first` need not ascend
    std::vector<std::int32_t> weight;
    // The same for 16-bit multiplication, weight = high * 2^11 + low. Per four taps: four high
    // halves, then four low ones.
    std::vector<std::int16_t> halves;
  };

 private:
  const Weights& weights(int in, int out, int begin, int length);
  void forget_some();

  // One pass each: `width` columns, or `height` rows, out of `in`, which begins at column
  // `first_column`, or row `first_row`, of what `weights` count.
  void scale_across(const ImageView& in, int first_column, const Weights& weights, bool flip,
                    std::uint8_t* out, int width);
  void scale_down(const ImageView& in, int first_row, const Weights& weights, std::uint8_t* out,
                  int height);

  bool simd_;
  ResizeFilter filter_;
  std::map<std::array<int, 4>, Weights> cache_;  // by the arguments of weights()
  std::vector<std::uint8_t> between_, padded_, unused_;
  std::vector<const std::uint8_t*> rows_;
};

// One image, once.
Image resize(const ImageView& source, ImageSize target, bool flip = false,
             ResizeFilter filter = ResizeFilter::bicubic);

}  // namespace sgmae
