#include "sgmae/report/sheet.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/mask/guided_planner.h"
#include "sgmae/nn/patches.h"

namespace sgmae {
namespace {

constexpr Colour kPaper{255, 255, 255}, kInk{40, 40, 40}, kMasked{150, 150, 150},
    kObject{235, 80, 40}, kHint{235, 60, 160};
constexpr int kMargin = 10, kHeader = 24, kSmallestPanel = 160;

// Panels of equal size in rows and labelled columns.
class Sheet {
 public:
  Sheet(const VitConfig& config, std::vector<std::string> columns, std::int64_t rows)
      : config_(config),
        scale_(std::max(1, (kSmallestPanel + static_cast<int>(config.width) - 1) /
                               static_cast<int>(config.width))),
        panel_{static_cast<int>(config.width) * scale_, static_cast<int>(config.height) * scale_},
        canvas_(blank_image({kMargin + static_cast<int>(columns.size()) * (panel_.width + kMargin),
                             kHeader + static_cast<int>(rows) * (panel_.height + kMargin)},
                            kPaper)) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const int zoom = text_width(columns[i], 2) <= panel_.width ? 2 : 1;
      write_text(canvas_, columns[i], left(i), 6, zoom, kInk);
    }
  }

  void picture(std::int64_t row, std::size_t column, const Image& image) {
    paste(canvas_, view(image), left(column), top(row), scale_);
  }
  // Where a patch lies.
  CropBox patch(std::int64_t row, std::size_t column, std::int64_t position) const {
    const int side = static_cast<int>(config_.patch_size) * scale_;
    const int cols = static_cast<int>(config_.grid_width());
    return {left(column) + static_cast<int>(position) % cols * side,
            top(row) + static_cast<int>(position) / cols * side, side, side};
  }
  Image& canvas() { return canvas_; }
  int line_width() const { return std::max(2, static_cast<int>(config_.patch_size) * scale_ / 8); }

 private:
  int left(std::size_t column) const {
    return kMargin + static_cast<int>(column) * (panel_.width + kMargin);
  }
  int top(std::int64_t row) const {
    return kHeader + static_cast<int>(row) * (panel_.height + kMargin);
  }

  VitConfig config_;
  int scale_;
  ImageSize panel_;
  Image canvas_;
};

Image image_of(const at::Tensor& pixels, std::int64_t b, const Normalisation& normalisation) {
  const at::Tensor one = pixels.select(0, b).contiguous();
  return denormalise(one.data_ptr<float>(), static_cast<int>(one.size(0)),
                     {static_cast<int>(one.size(2)), static_cast<int>(one.size(1))}, normalisation);
}

void draw_mask(Sheet& sheet, std::int64_t row, std::size_t column, const MaskPlan& plan,
               std::int64_t n_hints) {
  const std::int64_t n = plan.order.size(1);
  const std::int64_t* order = plan.order.data_ptr<std::int64_t>() + row * n;
  for (std::int64_t i = plan.n_visible; i < n; ++i)
    fill(sheet.canvas(), sheet.patch(row, column, order[i]), kMasked);
  for (std::int64_t i = plan.n_visible - n_hints; i < plan.n_visible; ++i)
    outline(sheet.canvas(), sheet.patch(row, column, order[i]), kHint, sheet.line_width());
}

}  // namespace

at::Tensor reconstruction(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan) {
  const MaeConfig& config = model.config();
  const at::Tensor given = patchify(pixels, config.patch_size);
  at::Tensor predicted = model.forward(pixels, plan).pred;
  if (config.norm_pix_loss) {
    const at::Tensor mean = given.mean(-1, /*keepdim=*/true);
    const at::Tensor deviation =
        given.var(-1, /*unbiased=*/true, /*keepdim=*/true).add(1e-6).sqrt();
    predicted = predicted.mul(deviation).add(mean);
  }
  const at::Tensor masked = mask_of(plan).unsqueeze(-1).to(at::kBool);
  return unpatchify(at::where(masked, predicted, given), config.channels, config.height,
                    config.width);
}

MaskPlan informed_plan(const Guide& guide, std::int64_t n_visible, std::int64_t n_hints) {
  std::vector<std::int64_t> row(static_cast<std::size_t>(guide.relevance.size(0)));
  std::iota(row.begin(), row.end(), std::int64_t{0});
  return informed_plan(guide.relevance, row, {.n_visible = n_visible, .n_hints = n_hints});
}

namespace {

// `restored` [B, C, H, W] is the last column; undefined for none.
Image draw_sheet(const VitConfig& config, const at::Tensor& pixels, const at::Tensor& restored,
                 const Guide& guide, const MaskPlan& plan, std::int64_t n_hints,
                 const Normalisation& normalisation) {
  const std::int64_t batch = pixels.size(0), n = plan.order.size(1);
  std::vector<std::string> columns{"input", "object", "relevance", "mask and hints"};
  if (restored.defined()) columns.push_back("reconstruction");
  Sheet sheet(config, columns, batch);
  for (std::int64_t b = 0; b < batch; ++b) {
    const Image input = image_of(pixels, b, normalisation);
    for (std::size_t column = 0; column < 4; ++column) sheet.picture(b, column, input);
    if (restored.defined()) sheet.picture(b, 4, image_of(restored, b, normalisation));
    draw_mask(sheet, b, 3, plan, guide.degenerate[b] ? 0 : n_hints);
    if (guide.degenerate[b]) continue;

    const at::Tensor scores = guide.relevance.select(0, b).contiguous();
    const at::Tensor sides = guide.object_side.select(0, b).contiguous();
    const float* score = scores.data_ptr<float>();
    const auto [low, high] = std::minmax_element(score, score + n);
    for (std::int64_t p = 0; p < n; ++p) {
      if (sides.data_ptr<std::uint8_t>()[p])
        tint(sheet.canvas(), sheet.patch(b, 1, p), kObject, 0.5);
      tint(sheet.canvas(), sheet.patch(b, 2, p), heat((score[p] - *low) / (*high - *low + 1e-12)),
           0.8);
    }
  }
  return std::move(sheet.canvas());
}

}  // namespace

Image mask_sheet(const Mae& model, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation) {
  return draw_sheet(model.encoder().config(), pixels, reconstruction(model, pixels, plan), guide,
                    plan, n_hints, normalisation);
}

Image mask_sheet(const Encoder& encoder, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation) {
  return draw_sheet(encoder.config(), pixels, {}, guide, plan, n_hints, normalisation);
}

Image reconstruction_sheet(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan,
                           const Normalisation& normalisation) {
  Sheet sheet(model.encoder().config(), {"input", "mask", "reconstruction"}, pixels.size(0));
  const at::Tensor restored = reconstruction(model, pixels, plan);
  for (std::int64_t b = 0; b < pixels.size(0); ++b) {
    const Image input = image_of(pixels, b, normalisation);
    sheet.picture(b, 0, input);
    sheet.picture(b, 1, input);
    sheet.picture(b, 2, image_of(restored, b, normalisation));
    draw_mask(sheet, b, 1, plan, 0);
  }
  return std::move(sheet.canvas());
}

}  // namespace sgmae
