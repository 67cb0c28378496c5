#include "sgmae/report/sheet.h"

#include <algorithm>
#include <string>
#include <vector>

#include "sgmae/analysis/reconstruction.h"
#include "sgmae/analysis/relations.h"
#include "sgmae/base/error.h"
#include "sgmae/image/draw.h"
#include "sgmae/mask/guided_planner.h"
#include "sgmae/report/panels.h"

namespace sgmae {
namespace {

constexpr Colour kHint{235, 60, 160};

const Key kHidden{Key::filled, masked_colour, "hidden"};

// A row for each image, under its name.
Panels panels(const VitConfig& config, const std::vector<Column>& columns, std::int64_t rows,
              const SheetText& text) {
  Panels sheet(enlarged_panel({static_cast<int>(config.width), static_cast<int>(config.height)}),
               columns, rows, text.title, !text.names.empty());
  for (std::size_t b = 0; b < text.names.size(); ++b)
    sheet.title_row(static_cast<std::int64_t>(b), text.names[b]);
  return sheet;
}

CropBox patch_of(const VitConfig& config, const CropBox& panel, std::int64_t p) {
  return patch_box(panel, p, config.grid_height(), config.grid_width());
}

void draw_mask(Panels& sheet, const VitConfig& config, std::int64_t row, std::size_t column,
               const MaskPlan& plan, std::int64_t n_hints) {
  const CropBox panel = sheet.place(row, column);
  const int line = std::max(2, panel.width / static_cast<int>(config.grid_width()) / 8);
  const std::int64_t n = plan.order.size(1);
  const std::int64_t* order = plan.order.data_ptr<std::int64_t>() + row * n;
  for (std::int64_t i = plan.n_visible; i < n; ++i)
    fill(sheet.canvas(), patch_of(config, panel, order[i]), masked_colour);
  for (std::int64_t i = plan.n_visible - n_hints; i < plan.n_visible; ++i)
    outline(sheet.canvas(), patch_of(config, panel, order[i]), kHint, line);
}

Column reconstruction_column(const Mae& model) {
  Column column{"reconstruction", {{.text = "of what is hidden"}}};
  if (model.config().norm_pix_loss) column.keys.push_back({.text = "(brightness, contrast given)"});
  return column;
}

}  // namespace

std::string model_title(const std::string& name, const ModelInfo& info, std::int64_t epochs) {
  const std::string of = epochs > 0 ? str(" of ", epochs) : "";
  if (info.step > 0) return str(name, ", in epoch ", info.epoch + 1, of);
  if (info.epoch > 0) return str(name, ", after epoch ", info.epoch, of);
  return epochs > 0 ? name + ", before training" : name;
}

namespace {

// `restored` [B, C, H, W] is the last column, undefined for none.
Image draw_sheet(const VitConfig& config, const at::Tensor& pixels, const at::Tensor& restored,
                 const Column& last, const Guide& guide, const MaskPlan& plan, std::int64_t n_hints,
                 const Normalisation& normalisation, SheetText text) {
  const std::int64_t batch = pixels.size(0);
  const bool cut = guide.eigenvector.defined();
  std::vector<Column> columns{
      {"input"},
      {"object",
       {{Key::filled, object_colour, cut ? "object side of the cut" : "relevance above mean"}}},
      {"relevance", {{.mark = Key::heat, .text = "1"}, {.text = "1 is hidden first"}}},
      {"informed mask", {kHidden, {Key::outlined, kHint, "hint, left visible"}}}};
  if (restored.defined()) columns.push_back(last);
  for (std::int64_t b = 0; b < batch; ++b) {
    if (!guide.degenerate[b]) continue;
    text.names.resize(static_cast<std::size_t>(batch));
    text.names[b] += " (its patches are too alike for relevance: the mask is random)";
  }
  Panels sheet = panels(config, columns, batch, text);
  for (std::int64_t b = 0; b < batch; ++b) {
    const Image input = image_of(pixels, b, normalisation, pixels);
    for (std::size_t column = 0; column < 4; ++column)
      draw_picture(sheet.canvas(), sheet.place(b, column), input);
    if (restored.defined())
      draw_picture(sheet.canvas(), sheet.place(b, 4), image_of(restored, b, normalisation, pixels));
    draw_mask(sheet, config, b, 3, plan, guide.degenerate[b] ? 0 : n_hints);
    if (guide.degenerate[b]) continue;
    const at::Tensor sides = guide.object_side.select(0, b).contiguous();
    for (std::int64_t p = 0; p < sides.size(0); ++p)
      if (sides.data_ptr<std::uint8_t>()[p])
        tint(sheet.canvas(), patch_of(config, sheet.place(b, 1), p), object_colour, 0.5);
    draw_patch_map(sheet.canvas(), sheet.place(b, 2), min_max(guide.relevance[b].unsqueeze(0))[0],
                   config.grid_width(), 0.8);
  }
  return sheet.take();
}

}  // namespace

Image mask_sheet(const Mae& model, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation,
                 const SheetText& text) {
  return draw_sheet(model.encoder().config(), pixels, reconstruction(model, pixels, plan),
                    reconstruction_column(model), guide, plan, n_hints, normalisation, text);
}

Image mask_sheet(const Encoder& encoder, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation,
                 const SheetText& text) {
  return draw_sheet(encoder.config(), pixels, {}, {}, guide, plan, n_hints, normalisation, text);
}

Image reconstruction_sheet(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan,
                           const Normalisation& normalisation, const SheetText& text) {
  const VitConfig& config = model.encoder().config();
  Panels sheet = panels(config, {{"input"}, {"mask", {kHidden}}, reconstruction_column(model)},
                        pixels.size(0), text);
  const at::Tensor restored = reconstruction(model, pixels, plan);
  for (std::int64_t b = 0; b < pixels.size(0); ++b) {
    const Image input = image_of(pixels, b, normalisation, pixels);
    for (std::size_t column = 0; column < 2; ++column)
      draw_picture(sheet.canvas(), sheet.place(b, column), input);
    draw_picture(sheet.canvas(), sheet.place(b, 2), image_of(restored, b, normalisation, pixels));
    draw_mask(sheet, config, b, 1, plan, 0);
  }
  return sheet.take();
}

}  // namespace sgmae
