#include "sgmae/eval/segment_photo.h"

#include <ATen/Parallel.h>
#include <ATen/ops/any.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/dense/bilinear.h"
#include "sgmae/dense/kernels/maps.h"
#include "sgmae/image/augment.h"
#include "sgmae/image/resize.h"
#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {
namespace {

at::Tensor resized(const at::Tensor& maps, std::int64_t height, std::int64_t width) {
  if (maps.size(2) == height && maps.size(3) == width) return maps;
  return at::upsample_bilinear2d(maps, {height, width}, /*align_corners=*/false);
}

std::int64_t whole_patches(std::int64_t length, std::int64_t patch) {
  return (length + patch - 1) / patch * patch;
}

// [1, C, h, w]; sides below the window's are filled up with zeros to whole patches.
at::Tensor pixels_of(const PixelClassifier& classifier, const ImageView& photo, ImageSize size) {
  const Image scaled = resize(photo, size, /*flip=*/false, ResizeFilter::bilinear);
  const auto filled = [&](int length) {
    return length >= classifier.side ? static_cast<std::int64_t>(length)
                                     : whole_patches(length, classifier.patch);
  };
  const std::int64_t height = filled(size.height), width = filled(size.width);
  at::Tensor pixels = at::empty({1, classifier.channels, height, width}, at::kFloat);
  normalise(scaled, classifier.normalisation, {static_cast<int>(width), static_cast<int>(height)},
            pixels.mutable_data_ptr<float>());
  return pixels;
}

// Logits [1, classes, h, w] of a view of `size`, by windows.
at::Tensor view_logits(const PixelClassifier& classifier, const at::Tensor& pixels, ImageSize size,
                       const SegmentViews& views) {
  const std::int64_t height = pixels.size(2), width = pixels.size(3);
  const std::int64_t rows = std::min(classifier.side, height),
                     columns = std::min(classifier.side, width);
  const std::int64_t stride =
      views.stride > 0 ? views.stride : std::max<std::int64_t>(1, classifier.side * 2 / 3);
  struct Window {
    std::int64_t y, x;
  };
  std::vector<Window> windows;
  for (const std::int64_t y : window_starts(height, rows, stride))
    for (const std::int64_t x : window_starts(width, columns, stride)) windows.push_back({y, x});

  at::Tensor sums, counts;
  for (std::size_t first = 0; first < windows.size();) {
    const std::size_t end =
        std::min(windows.size(), first + static_cast<std::size_t>(views.batch_size));
    std::vector<at::Tensor> parts;
    for (std::size_t i = first; i < end; ++i)
      parts.push_back(pixels.narrow(2, windows[i].y, rows).narrow(3, windows[i].x, columns));
    const at::Tensor small = classifier.logits(at::cat(parts));
    check(!small.isnan().any().item<bool>(), ExitCode::diverged,
          "the model's logits are NaN; use an earlier checkpoint");
    const at::Tensor logits = resized(small, rows, columns);
    if (windows.size() == 1) {
      sums = logits;
      break;
    }
    if (!sums.defined()) {
      sums = at::zeros({1, height, width, logits.size(1)}, logits.options()).permute({0, 3, 1, 2});
      counts = at::zeros({1, 1, height, width}, logits.options());
    }
    for (; first < end; ++first) {
      const auto part = [&](const at::Tensor& all) {
        return all.narrow(2, windows[first].y, rows).narrow(3, windows[first].x, columns);
      };
      part(sums).add_(logits.narrow(0, static_cast<std::int64_t>(first % views.batch_size), 1));
      part(counts).add_(1);
    }
  }
  if (counts.defined()) sums.div_(counts);
  return sums.narrow(2, 0, size.height).narrow(3, 0, size.width);
}

// What lies at `place` between lines of `count` values: one of them, or put together in `memory`.
const float* mixed(const float* lines, const Between& place, std::int64_t count, float* memory) {
  if (place.share == 0) return lines + place.low * count;
  const std::array terms{lines + place.low * count, lines + place.high * count};
  const std::array weights{1 - place.share, place.share};
  row_kernels<float>().weighted_sum(2, count, terms.data(), weights.data(), /*add=*/false, memory);
  return memory;
}

}  // namespace

std::vector<std::int64_t> window_starts(std::int64_t length, std::int64_t window,
                                        std::int64_t stride) {
  std::vector<std::int64_t> starts{0};
  while (starts.back() + window < length)
    starts.push_back(std::min(starts.back() + stride, length - window));
  return starts;
}

LabelMap likeliest_classes(const at::Tensor& scores, ImageSize size) {
  const at::Tensor values = scores[0].permute({1, 2, 0}).cpu().contiguous();
  const std::int64_t height = values.size(0), width = values.size(1), classes = values.size(2);
  LabelMap map{size, std::vector<std::uint8_t>(static_cast<std::size_t>(size.width) *
                                               static_cast<std::size_t>(size.height))};
  const float* const from = values.data_ptr<float>();
  at::parallel_for(0, size.height, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row_memory(static_cast<std::size_t>(width * classes)),
        cell_memory(static_cast<std::size_t>(classes));
    for (std::int64_t y = begin; y < end; ++y) {
      const float* const row =
          mixed(from, between(y, height, size.height), width * classes, row_memory.data());
      std::uint8_t* const to = map.labels.data() + y * size.width;
      for (std::int64_t x = 0; x < size.width; ++x)
        to[x] = static_cast<std::uint8_t>(map_kernels().first_largest(
            classes, mixed(row, between(x, width, size.width), classes, cell_memory.data())));
    }
  });
  return map;
}

LabelMap segment_photo(const PixelClassifier& classifier, const ImageView& photo,
                       const SegmentViews& views) {
  const ImageSize size{photo.width, photo.height};
  const auto side = static_cast<int>(classifier.side);
  std::vector<ImageSize> sizes;
  if (views.whole)
    sizes.push_back(fitted(size, {side, side}));
  else
    for (const double scale : views.scales) {
      // mmsegmentation's test transform, its 2048 by 512.
      const double shorter = scale * side;
      sizes.push_back(scaled_to_sides(size, std::max(1, static_cast<int>(shorter)),
                                      std::max(1, static_cast<int>(4 * shorter))));
    }
  if (sizes.size() == 1 && !views.flip)
    return likeliest_classes(
        view_logits(classifier, pixels_of(classifier, photo, sizes[0]), sizes[0], views), size);
  at::Tensor sum;
  for (const ImageSize& view : sizes) {
    const at::Tensor pixels = pixels_of(classifier, photo, view);
    const auto add = [&](const at::Tensor& logits) {
      const at::Tensor shares = resized(at::softmax(logits, 1), sizes[0].height, sizes[0].width);
      sum = sum.defined() ? sum.add_(shares) : shares;
    };
    add(view_logits(classifier, pixels, view, views));
    // Mirrored within the view, so that what fills it up stays on the right.
    if (views.flip) {
      at::Tensor mirrored = pixels.clone();
      mirrored.narrow(2, 0, view.height)
          .narrow(3, 0, view.width)
          .copy_(pixels.narrow(2, 0, view.height).narrow(3, 0, view.width).flip(3));
      add(view_logits(classifier, mirrored, view, views).flip(3));
    }
  }
  return likeliest_classes(sum, size);
}

}  // namespace sgmae
