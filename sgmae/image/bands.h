// Values as a file stores them, of any number of channels and whatever range: satellite bands,
// 16-bit microscopy, depth. The other kind of pixels beside image.h's 8 bits.
//
//   decode_bands(bytes, info, box, 13, bands);        // decode.h
//   fill_nodata(bands, normalisation);
//   resizer.resize(bands, {224, 224}, whole, flip, scaled);
//   normalise(scaled, normalisation, out);
#pragma once

#include <array>
#include <map>
#include <vector>

#include "sgmae/image/geometry.h"
#include "sgmae/image/normalise.h"
#include "sgmae/image/resize.h"

namespace sgmae {

// Integers beyond 2^24 and 64-bit floats are rounded to fp32.
struct Bands {
  int width = 0, height = 0, channels = 0;
  std::vector<float> values;  // [height, width, channels]

  ImageSize size() const { return {width, height}; }
};

// Sets the sizes and makes room; the values are then undefined.
void reshape(Bands& bands, ImageSize size, int channels);

// What counts as no data (nodata, and always NaN and infinities) becomes its channel's mean, which
// is 0 once normalised, so that resizing spreads nothing that was never measured.
void fill_nodata(Bands& bands, const Normalisation& normalisation);

// Resize with antialiasing in fp32, by the filter and the weights of resize.h: equal to PyTorch's
// interpolate(mode="bicubic", antialias=True) but for rounding. Nothing is clamped. Holds weights
// for its next use; one per thread.
class BandResizer {
 public:
  explicit BandResizer(Simd simd = Simd::automatic) : simd_(use_simd(simd)) {}

  // `source` scaled to `target`, of which `window` is made, and then mirrored with `flip`.
  void resize(const Bands& source, ImageSize target, const CropBox& window, bool flip,
              Bands& result);

 private:
  struct Weights {
    int taps = 0;
    std::vector<int> first;     // [length]
    std::vector<float> weight;  // [length, taps]
  };
  const Weights& weights(int in, int out, int begin, int length);

  bool simd_;
  std::map<std::array<int, 4>, Weights> cache_;  // by the arguments of weights()
  std::vector<float> between_;
};

// `bands` [H, W, C] to `out` [C, H, W].
void normalise(const Bands& bands, const Normalisation& normalisation, float* out);

// A picture of normalised values [C, H, W]: red, green and blue are the channels that
// StoredValues::picture names, without it the first three, or the first as grey where there are
// fewer. Each is stretched so that its 2nd and 98th percentile in `like` (also [C, H, W]; of a
// reconstruction its input) become black and white.
Image picture_of(const float* values, const float* like, int channels, ImageSize size,
                 const StoredValues& stored);

}  // namespace sgmae
