// Oracle: torchvision's roi_align of whole masks, and its paste_mask_in_image on boxes where the
// two mean the same (tests/golden/detect.py).
#include "sgmae/detect/masks.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/detect/golden.h"

namespace sgmae {
namespace {

// A mask [H, W] of 0 and 1 as its smallest box holds it.
InstanceMask in_its_box(const at::Tensor& mask) {
  const at::Tensor rows = mask.any(1).nonzero(), columns = mask.any(0).nonzero();
  const auto first = [](const at::Tensor& x) {
    return static_cast<int>(x[0].item<std::int64_t>());
  };
  const auto last = [](const at::Tensor& x) {
    return static_cast<int>(x[-1].item<std::int64_t>());
  };
  InstanceMask result{{first(columns), first(rows), last(columns) - first(columns) + 1,
                       last(rows) - first(rows) + 1},
                      {}};
  for (int y = result.place.y; y < result.place.y + result.place.height; ++y)
    for (int x = result.place.x; x < result.place.x + result.place.width; ++x)
      result.inside.push_back(mask[y][x].item<std::uint8_t>());
  return result;
}

// 1e-5: sums in another order.
TEST(MaskTargets, AreTorchvisionsRoiAlignOfTheMask) {
  const Golden& golden = golden_operations();
  std::vector<InstanceMask> masks;
  for (int i = 0; i < 3; ++i) masks.push_back(in_its_box(golden["mask.masks"][i]));
  std::vector<const InstanceMask*> of;
  for (int i = 0; i < 4; ++i)
    of.push_back(&masks[static_cast<std::size_t>(golden["mask.of"][i].item<std::int64_t>())]);
  EXPECT_LT(relative_error(mask_targets(of, golden["mask.proposals"], 40, 50, 28),
                           golden["mask.targets"]),
            1e-5);
}

TEST(MaskTargets, OfAMaskThatFillsItsPartOfTheImageKnowNothingBesideIt) {
  // All of columns 10 to 19 of an image of 40 x 40, seen by a box twice as wide.
  const InstanceMask mask{{10, 0, 10, 40}, std::vector<std::uint8_t>(400, 1)};
  const InstanceMask* const one[] = {&mask};
  const at::Tensor targets =
      mask_targets(one, at::tensor({5.f, 0.f, 25.f, 40.f}).view({1, 4}), 40, 40, 4);
  // Cells of 5 pixels, 5 samples each, at the pixels' middles: outside, in, in, outside.
  for (const auto& [column, value] : {std::pair{0, 0.f}, {1, 1.f}, {2, 1.f}, {3, 0.f}})
    EXPECT_TRUE(targets[0].select(1, column).allclose(at::full({4}, value))) << column;
}

Image pasted(std::span<const float> square, std::int64_t size, const PixelBox& box,
             ImageSize image) {
  return mask_of(paste_mask(square, size, box, image));
}

TEST(PasteMask, IsTorchvisionsWhereItsBoxesAreWholePixels) {
  const Golden& golden = golden_operations();
  for (int i = 0; i < 4; ++i) {
    const at::Tensor box = golden["paste.boxes"][i];
    const auto at_side = [&](int k) { return static_cast<double>(box[k].item<float>()); };
    const at::Tensor square = golden["paste.squares"][i].contiguous();
    const Image ours = pasted({square.data_ptr<float>(), 28 * 28}, 28,
                              {at_side(0), at_side(1), at_side(2), at_side(3)}, {130, 90});
    int differ = 0;
    for (int y = 0; y < 90; ++y)
      for (int x = 0; x < 130; ++x)
        differ += ours.pixels[static_cast<std::size_t>(y * 130 + x)] !=
                  golden["paste.masks"][i][y][x].item<std::uint8_t>();
    EXPECT_EQ(differ, 0) << i;
  }
}

TEST(PasteMask, AFullSquareFillsItsBox) {
  const std::vector<float> full(16, 1.f);
  const Image mask = pasted(full, 4, {3, 2, 11, 6}, {20, 10});
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 20; ++x)
      EXPECT_EQ(mask.pixels[static_cast<std::size_t>(y * 20 + x)],
                x >= 3 && x < 11 && y >= 2 && y < 6)
          << x << " " << y;
}

TEST(PasteMask, BoxesBesideTheImageOrWithoutSizeLeaveItEmpty) {
  const std::vector<float> full(16, 1.f);
  for (const PixelBox& box :
       {PixelBox{30, 2, 40, 6}, {-9, -9, -1, -1}, {5, 5, 5, 5}, {5, 5, 2, 9}}) {
    const Image mask = pasted(full, 4, box, {20, 10});
    EXPECT_EQ(mask.pixels, std::vector<std::uint8_t>(200, 0));
  }
}

}  // namespace
}  // namespace sgmae
