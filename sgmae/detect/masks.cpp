#include "sgmae/detect/masks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/detect/roi_axis.h"

namespace sgmae {
namespace {

// The square's places along one axis for the pixels first … of the image: pixel first + i lies
// between places low[i] and low[i] + 1, `beyond` of the way; place -1 and `size` are 0.
struct Line {
  int first = 0;
  std::vector<std::int64_t> low;
  std::vector<float> beyond;
};

Line line(double low, double high, std::int64_t size, int pixels) {
  Line result;
  const double cell = (high - low) / static_cast<double>(size);
  if (!(cell > 0)) return result;
  // From where the outermost cells' interpolation ends.
  const double first = std::clamp(std::ceil(low - cell / 2 - 0.5), 0.0, 1.0 * pixels);
  const double last = std::clamp(std::floor(high + cell / 2 - 0.5), -1.0, pixels - 1.0);
  result.first = static_cast<int>(first);
  for (int pixel = result.first; pixel <= static_cast<int>(last); ++pixel) {
    const double place = (pixel + 0.5 - low) / cell - 0.5;
    const double before = std::clamp(std::floor(place), -1.0, static_cast<double>(size) - 1);
    result.low.push_back(static_cast<std::int64_t>(before));
    result.beyond.push_back(static_cast<float>(place - before));
  }
  return result;
}

}  // namespace

at::Tensor mask_targets(std::span<const InstanceMask* const> masks, const at::Tensor& boxes,
                        std::int64_t height, std::int64_t width, std::int64_t size) {
  SGMAE_ASSERT(static_cast<std::int64_t>(masks.size()) == boxes.size(0));
  const at::Tensor on_host = boxes.cpu().contiguous();
  at::Tensor targets = at::zeros({boxes.size(0), size, size}, at::kFloat);
  const RoiAlign align{.size = size, .scale = 1};
  at::parallel_for(0, boxes.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const float* const box = on_host.data_ptr<float>() + 4 * n;
      const Axis rows = axis_of(box[1], box[3], height, align);
      const Axis columns = axis_of(box[0], box[2], width, align);
      const auto& [place, inside] = *masks[static_cast<std::size_t>(n)];
      float* const target = targets.data_ptr<float>() + n * size * size;
      const std::int64_t left = std::max<std::int64_t>(columns.first, place.x);
      const std::int64_t right =
          std::min<std::int64_t>(columns.first + columns.count, place.x + place.width);
      std::vector<float> row(static_cast<std::size_t>(size));
      for (std::int64_t y = std::max<std::int64_t>(rows.first, place.y);
           y < std::min<std::int64_t>(rows.first + rows.count, place.y + place.height); ++y) {
        const std::uint8_t* const pixels = inside.data() + (y - place.y) * place.width;
        for (std::int64_t j = 0; j < size; ++j) {
          const float* const weight = columns.weight.data() + j * columns.count;
          float sum = 0;
          for (std::int64_t x = left; x < right; ++x)
            if (pixels[x - place.x]) sum += weight[x - columns.first];
          row[static_cast<std::size_t>(j)] = sum;
        }
        for (std::int64_t i = 0; i < size; ++i) {
          const float weight =
              rows.weight[static_cast<std::size_t>(i * rows.count + y - rows.first)];
          for (std::int64_t j = 0; j < size; ++j)
            target[i * size + j] += weight * row[static_cast<std::size_t>(j)];
        }
      }
    }
  });
  return targets;
}

Runs paste_mask(std::span<const float> probabilities, std::int64_t size, const PixelBox& box,
                ImageSize image) {
  SGMAE_ASSERT(static_cast<std::int64_t>(probabilities.size()) == size * size);
  const Line rows = line(box.top, box.bottom, size, image.height);
  const Line columns = line(box.left, box.right, size, image.width);
  const auto at = [&](std::int64_t y, std::int64_t x) {
    const bool known = y >= 0 && y < size && x >= 0 && x < size;
    return known ? probabilities[static_cast<std::size_t>(y * size + x)] : 0.f;
  };
  // Column by column, as run lengths are; pixels from the image's first on that are not told yet.
  Runs runs{image, {}};
  std::vector<float> places(static_cast<std::size_t>(size + 2));  // of one column, -1 to `size`
  bool inside = false;
  std::uint32_t run = 0;
  const auto add = [&](bool is_object, std::int64_t pixels) {
    if (is_object != inside && pixels > 0) {
      runs.counts.push_back(run);
      run = 0;
      inside = is_object;
    }
    run += static_cast<std::uint32_t>(pixels);
  };
  const std::int64_t height = image.height;
  const auto known_rows = static_cast<std::int64_t>(rows.low.size());
  add(false, columns.first * height);
  for (std::size_t j = 0; j < columns.low.size(); ++j) {
    const std::int64_t x = columns.low[j];
    for (std::int64_t y = -1; y <= size; ++y)
      places[static_cast<std::size_t>(y + 1)] =
          at(y, x) + columns.beyond[j] * (at(y, x + 1) - at(y, x));
    add(false, rows.first);
    for (std::size_t i = 0; i < rows.low.size(); ++i) {
      const float* const above = &places[static_cast<std::size_t>(rows.low[i] + 1)];
      add(above[0] + rows.beyond[i] * (above[1] - above[0]) >= 0.5f, 1);
    }
    add(false, height - rows.first - known_rows);
  }
  add(false,
      (image.width - columns.first - static_cast<std::int64_t>(columns.low.size())) * height);
  runs.counts.push_back(run);
  return runs;
}

}  // namespace sgmae
