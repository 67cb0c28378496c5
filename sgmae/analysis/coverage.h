// How well the object side of a cut, and a mask made from it, cover the objects that people marked.
// All on the grid of patches, rows x columns in row order. No torch here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sgmae {

// A rectangle in patches, with fractions: the image is [0, columns] x [0, rows].
struct GridBox {
  double left = 0, top = 0, right = 0, bottom = 0;
};

// How much of each patch, 0 ... 1, the union of the boxes covers: [rows * columns]. Boxes may reach
// beyond the image. Exact to 1/16 of a patch side.
std::vector<float> box_cover(std::span<const GridBox> boxes, std::int64_t rows,
                             std::int64_t columns);

// Intersection over union of the object side [N] with an object that covers each patch by `cover`
// [N]; as areas, so that it equals the IoU of the two regions in pixels. 0 when both are empty.
double side_iou(std::span<const std::uint8_t> side, std::span<const float> cover);

// Area under the ROC curve of `relevance` [N] for "is object": the chance that a random point of
// the object lies in a more relevant patch than one of the background; ties count half. A patch is
// object by `cover` and background by the rest, so that it equals the AUC over pixels. NaN where
// either has no area, or a relevance is NaN.
double relevance_auc(std::span<const float> relevance, std::span<const float> cover);

// The share of the object's area in masked patches. NaN for an object without area.
double hidden_share(std::span<const float> masked, std::span<const float> cover);

// The bounding box of the 4-connected part of the object side that holds patch `seed` (TokenCut's
// object box); none where the seed is not on that side.
std::optional<GridBox> seed_box(std::span<const std::uint8_t> side, std::int64_t seed,
                                std::int64_t columns);

double box_iou(const GridBox& a, const GridBox& b);

}  // namespace sgmae
