#include "sgmae/image/affine.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// The cubic through four values one apart, at `t` between the second and the third.
double cubic(double a, double b, double c, double d, double t) {
  return b + t * (c - a + t * (2 * (a - b) + c - d + t * (b - a - c + d)));
}

double rounded_to_15_digits(double value) {
  return std::nearbyint(value * 1e15) / 1e15;
}

}  // namespace

AffineMap rotation(ImageSize size, double degrees) {
  // Pillow first brings the angle into 0 … 360, which may change its last bit.
  const double positive = degrees < 0 ? degrees + 360.0 : degrees;
  const double angle = -positive * (std::numbers::pi / 180.0);
  const double cosine = rounded_to_15_digits(std::cos(angle));
  const double sine = rounded_to_15_digits(std::sin(angle));
  const double x = size.width / 2.0, y = size.height / 2.0;
  return {cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y};
}

Image transform(const ImageView& source, const AffineMap& map,
                const std::vector<std::uint8_t>& fill) {
  const int width = source.width, height = source.height, channels = source.channels;
  SGMAE_ASSERT(static_cast<int>(fill.size()) == channels);
  Image result{width, height, channels, {}};
  result.pixels.resize(static_cast<std::size_t>(width) * height * channels);
  std::uint8_t* out = result.pixels.data();
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < width; ++column, out += channels) {
      const double centre_x = column + 0.5, centre_y = row + 0.5;
      double x = map[0] * centre_x + map[1] * centre_y + map[2];
      double y = map[3] * centre_x + map[4] * centre_y + map[5];
      if (!(x >= 0 && x < width && y >= 0 && y < height)) {
        std::copy(fill.begin(), fill.end(), out);
        continue;
      }
      x -= 0.5, y -= 0.5;
      const double left = std::floor(x), top = std::floor(y);
      std::array<std::ptrdiff_t, 4> at;         // columns, in bytes
      std::array<const std::uint8_t*, 4> from;  // rows; the border's pixels go on outside
      for (int k = 0; k < 4; ++k) {
        at[k] = std::clamp(static_cast<int>(left) + k - 1, 0, width - 1) *
                static_cast<std::ptrdiff_t>(channels);
        from[k] = source.row(std::clamp(static_cast<int>(top) + k - 1, 0, height - 1));
      }
      for (int c = 0; c < channels; ++c) {
        std::array<double, 4> line;
        for (int k = 0; k < 4; ++k)
          line[k] = cubic(from[k][at[0] + c], from[k][at[1] + c], from[k][at[2] + c],
                          from[k][at[3] + c], x - left);
        const double value = cubic(line[0], line[1], line[2], line[3], y - top);
        out[c] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  return result;
}

}  // namespace sgmae
