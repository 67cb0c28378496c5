#include "sgmae/analysis/coverage.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr std::int64_t kFine = 16;  // cells per patch side when boxes are united

std::int64_t cell(double position, std::int64_t patches) {
  const double cells = position * static_cast<double>(kFine);
  return static_cast<std::int64_t>(
      std::clamp(cells + 0.5, 0.0, static_cast<double>(patches * kFine)));
}

}  // namespace

std::vector<float> box_cover(std::span<const GridBox> boxes, std::int64_t rows,
                             std::int64_t columns) {
  const std::int64_t width = columns * kFine;
  std::vector<std::uint8_t> covered(static_cast<std::size_t>(rows * kFine * width), 0);
  for (const GridBox& box : boxes)
    for (std::int64_t y = cell(box.top, rows); y < cell(box.bottom, rows); ++y)
      for (std::int64_t x = cell(box.left, columns); x < cell(box.right, columns); ++x)
        covered[y * width + x] = 1;
  std::vector<float> cover(static_cast<std::size_t>(rows * columns), 0.0f);
  for (std::int64_t y = 0; y < rows * kFine; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      cover[y / kFine * columns + x / kFine] +=
          static_cast<float>(covered[y * width + x]) / (kFine * kFine);
  return cover;
}

double side_iou(std::span<const std::uint8_t> side, std::span<const float> cover) {
  SGMAE_ASSERT(side.size() == cover.size());
  double both = 0, either = 0;
  for (std::size_t i = 0; i < side.size(); ++i) {
    both += side[i] ? cover[i] : 0;
    either += side[i] ? 1 : cover[i];
  }
  return either > 0 ? both / either : 0;
}

double relevance_auc(std::span<const float> relevance, std::span<const float> cover) {
  SGMAE_ASSERT(relevance.size() == cover.size());
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (std::any_of(relevance.begin(), relevance.end(), [](float r) { return std::isnan(r); }))
    return none;
  std::vector<std::size_t> order(relevance.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return relevance[a] < relevance[b]; });
  double object = 0, background = 0, won = 0;  // areas so far, and of pairs in the right order
  for (std::size_t i = 0; i < order.size();) {
    const float level = relevance[order[i]];
    double object_here = 0, background_here = 0;
    for (; i < order.size() && relevance[order[i]] == level; ++i) {
      object_here += cover[order[i]];
      background_here += 1 - static_cast<double>(cover[order[i]]);
    }
    won += object_here * (background + background_here / 2);
    object += object_here;
    background += background_here;
  }
  return object > 0 && background > 0 ? won / (object * background) : none;
}

double hidden_share(std::span<const float> masked, std::span<const float> cover) {
  SGMAE_ASSERT(masked.size() == cover.size());
  double hidden = 0, area = 0;
  for (std::size_t i = 0; i < masked.size(); ++i) {
    hidden += masked[i] * cover[i];
    area += cover[i];
  }
  return area > 0 ? hidden / area : std::numeric_limits<double>::quiet_NaN();
}

std::optional<GridBox> seed_box(std::span<const std::uint8_t> side, std::int64_t seed,
                                std::int64_t columns) {
  const auto n = static_cast<std::int64_t>(side.size());
  SGMAE_ASSERT(columns > 0 && n % columns == 0 && seed >= 0 && seed < n);
  if (!side[seed]) return {};
  std::vector<std::uint8_t> reached(side.size(), 0);
  std::vector<std::int64_t> frontier{seed};
  reached[seed] = 1;
  std::int64_t left = columns, right = -1, top = n, bottom = -1;
  const auto visit = [&](std::int64_t patch) {
    if (side[patch] && !reached[patch]) {
      reached[patch] = 1;
      frontier.push_back(patch);
    }
  };
  while (!frontier.empty()) {
    const std::int64_t patch = frontier.back(), x = patch % columns, y = patch / columns;
    frontier.pop_back();
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
    if (x > 0) visit(patch - 1);
    if (x + 1 < columns) visit(patch + 1);
    if (y > 0) visit(patch - columns);
    if (patch + columns < n) visit(patch + columns);
  }
  return GridBox{static_cast<double>(left), static_cast<double>(top),
                 static_cast<double>(right + 1), static_cast<double>(bottom + 1)};
}

double box_iou(const GridBox& a, const GridBox& b) {
  const auto area = [](const GridBox& box) {
    return std::max(0.0, box.right - box.left) * std::max(0.0, box.bottom - box.top);
  };
  const double both = area({std::max(a.left, b.left), std::max(a.top, b.top),
                            std::min(a.right, b.right), std::min(a.bottom, b.bottom)});
  const double either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

}  // namespace sgmae
