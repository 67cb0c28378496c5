#include "sgmae/detect/nms.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

namespace sgmae {
namespace {

// Boxes of one group, highest score first, side by side in memory so that one is compared with many
// at once.
struct Sorted {
  std::vector<float> left, top, right, bottom, area;
  std::vector<std::int64_t> position;

  void add(const float* box, std::int64_t at) {
    left.push_back(box[0]), top.push_back(box[1]);
    right.push_back(box[2]), bottom.push_back(box[3]);
    area.push_back((box[2] - box[0]) * (box[3] - box[1]));
    position.push_back(at);
  }
};

// The largest float that is not above `threshold`: a float exceeds the one where it exceeds the
// other.
float as_float(double threshold) {
  const auto nearest = static_cast<float>(threshold);
  return nearest > threshold ? std::nextafter(nearest, -std::numeric_limits<float>::infinity())
                             : nearest;
}

void suppress(const Sorted& boxes, float threshold, std::vector<std::uint8_t>& stays) {
  const std::size_t n = boxes.position.size();
  std::vector<std::int32_t> gone(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    if (gone[i]) continue;
    stays[static_cast<std::size_t>(boxes.position[i])] = 1;
    const float left = boxes.left[i], top = boxes.top[i], right = boxes.right[i],
                bottom = boxes.bottom[i], area = boxes.area[i];
    const float *const l = boxes.left.data(), *const t = boxes.top.data(),
                       *const r = boxes.right.data(), *const b = boxes.bottom.data(),
                       *const a = boxes.area.data();
    std::int32_t* const g = gone.data();
    for (std::size_t j = i + 1; j < n; ++j) {
      const float width = std::max(0.f, std::min(right, r[j]) - std::max(left, l[j]));
      const float height = std::max(0.f, std::min(bottom, b[j]) - std::max(top, t[j]));
      const float both = width * height;
      g[j] |= both / (area + a[j] - both) > threshold;
    }
  }
}

}  // namespace

at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
  return nms_in_groups(boxes, scores, at::zeros({boxes.size(0)}, at::kLong), threshold);
}

at::Tensor nms_in_groups(const at::Tensor& given_boxes, const at::Tensor& given_scores,
                         const at::Tensor& given_groups, double threshold) {
  const at::Tensor boxes = given_boxes.cpu().contiguous(), scores = given_scores.cpu().contiguous(),
                   groups = given_groups.cpu().contiguous();
  const auto n = static_cast<std::size_t>(boxes.size(0));
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  const float* const score = scores.data_ptr<float>();
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return score[a] > score[b]; });
  std::map<std::int64_t, Sorted> sorted;
  for (const std::int64_t at : order)
    sorted[groups.data_ptr<std::int64_t>()[at]].add(boxes.data_ptr<float>() + 4 * at, at);
  std::vector<std::uint8_t> stays(n, 0);
  for (const auto& [unused, group] : sorted) suppress(group, as_float(threshold), stays);
  std::vector<std::int64_t> kept;
  for (const std::int64_t at : order)
    if (stays[static_cast<std::size_t>(at)]) kept.push_back(at);
  return at::tensor(kept, at::kLong).to(given_boxes.device());
}

}  // namespace sgmae
