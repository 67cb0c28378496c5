#include "sgmae/report/panels.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr Colour kPaper{255, 255, 255}, kInk{40, 40, 40};
constexpr int kMargin = 10, kTitle = 18;
constexpr double kClusterTint = 0.35;
constexpr int kPoint = 5;  // pixels of a point's side

// The longest beginning of the text that fits, twice as large where that fits whole.
void write_title(Image& canvas, std::string text, int x, int y, int room) {
  if (text_width(text, 2) <= room) return write_text(canvas, text, x, y, 2, kInk);
  while (!text.empty() && text_width(text, 1) > room) text.pop_back();
  write_text(canvas, text, x, y + 4, 1, kInk);
}

// Patch (row, column) of a grid stretched over the panel.
CropBox patch_box(const CropBox& panel, std::int64_t row, std::int64_t column, std::int64_t rows,
                  std::int64_t columns) {
  const auto edge = [](int begin, int length, std::int64_t i, std::int64_t count) {
    return begin + static_cast<int>(length * i / count);
  };
  const int left = edge(panel.x, panel.width, column, columns);
  const int top = edge(panel.y, panel.height, row, rows);
  return {left, top, edge(panel.x, panel.width, column + 1, columns) - left,
          edge(panel.y, panel.height, row + 1, rows) - top};
}

}  // namespace

Colour cluster_colour(std::int64_t cluster) {
  static constexpr std::array<Colour, 8> colours{{{230, 159, 0},
                                                  {0, 114, 178},
                                                  {0, 158, 115},
                                                  {204, 121, 167},
                                                  {86, 180, 233},
                                                  {213, 94, 0},
                                                  {240, 228, 66},
                                                  {90, 90, 90}}};
  return colours[static_cast<std::size_t>(cluster) % colours.size()];
}

Panels::Panels(ImageSize panel, const std::vector<std::string>& columns, std::int64_t rows)
    : panel_(panel),
      canvas_(blank_image(
          {kMargin + static_cast<int>(columns.size()) * (panel.width + kMargin),
           kTitle + kMargin + static_cast<int>(rows) * (panel.height + kTitle + kMargin)},
          kPaper)) {
  for (std::size_t i = 0; i < columns.size(); ++i)
    write_title(canvas_, columns[i], place(0, i).x, 4, panel.width);
}

void Panels::title_row(std::int64_t row, const std::string& title) {
  const CropBox first = place(row, 0);
  write_title(canvas_, title, first.x, first.y - kTitle + 1, canvas_.width - 2 * kMargin);
}

CropBox Panels::place(std::int64_t row, std::size_t column) const {
  return {kMargin + static_cast<int>(column) * (panel_.width + kMargin),
          2 * kTitle + static_cast<int>(row) * (panel_.height + kTitle + kMargin), panel_.width,
          panel_.height};
}

void draw_picture(Image& canvas, const CropBox& panel, const Image& picture) {
  const int scale =
      std::max(1, std::min(panel.width / picture.width, panel.height / picture.height));
  paste(canvas, view(picture), panel.x, panel.y, scale);
}

void draw_patch_map(Image& canvas, const CropBox& panel, const at::Tensor& values,
                    std::int64_t columns, double strength) {
  const at::Tensor all = values.to(at::kFloat).contiguous();
  const std::int64_t rows = all.size(0) / columns;
  for (std::int64_t p = 0; p < all.size(0); ++p)
    tint(canvas, patch_box(panel, p / columns, p % columns, rows, columns),
         heat(all.data_ptr<float>()[p]), strength);
}

void draw_matrix(Image& canvas, const CropBox& panel, const at::Tensor& matrix) {
  const at::Tensor all = matrix.to(at::kFloat).contiguous();
  const std::int64_t rows = all.size(0), columns = all.size(1);
  for (int y = 0; y < panel.height; ++y)
    for (int x = 0; x < panel.width; ++x)
      fill(canvas, {panel.x + x, panel.y + y, 1, 1},
           heat(all.data_ptr<float>()[y * rows / panel.height * columns +
                                      x * columns / panel.width]));
}

void draw_clusters(Image& canvas, const CropBox& panel, const std::vector<std::int64_t>& label,
                   std::int64_t columns, int width) {
  const auto n = static_cast<std::int64_t>(label.size());
  const std::int64_t rows = n / columns;
  SGMAE_ASSERT(rows * columns == n);
  for (std::int64_t p = 0; p < n; ++p) {
    const std::int64_t row = p / columns, column = p % columns;
    const CropBox box = patch_box(panel, row, column, rows, columns);
    const Colour colour = cluster_colour(label[p]);
    tint(canvas, box, colour, kClusterTint);
    const auto other = [&](std::int64_t down, std::int64_t right) {
      const std::int64_t r = row + down, c = column + right;
      return r >= 0 && r < rows && c >= 0 && c < columns && label[r * columns + c] != label[p];
    };
    if (other(-1, 0)) fill(canvas, {box.x, box.y, box.width, width}, colour);
    if (other(1, 0)) fill(canvas, {box.x, box.y + box.height - width, box.width, width}, colour);
    if (other(0, -1)) fill(canvas, {box.x, box.y, width, box.height}, colour);
    if (other(0, 1)) fill(canvas, {box.x + box.width - width, box.y, width, box.height}, colour);
    // Where a border turns around this patch's corner, close the line.
    for (const int down : {-1, 1})
      for (const int right : {-1, 1})
        if (other(down, right) && !other(down, 0) && !other(0, right))
          fill(canvas,
               {right < 0 ? box.x : box.x + box.width - width,
                down < 0 ? box.y : box.y + box.height - width, width, width},
               colour);
  }
}

void draw_points(Image& canvas, const CropBox& panel, const at::Tensor& points,
                 const std::vector<std::int64_t>& label) {
  const at::Tensor all = points.to(at::kDouble).contiguous();
  SGMAE_ASSERT(all.dim() == 2 && all.size(0) == static_cast<std::int64_t>(label.size()));
  const at::Tensor low = all.amin(0), high = all.amax(0);
  const double left = low[0].item<double>(), top = low[1].item<double>();
  const double across = high[0].item<double>() - left, down = high[1].item<double>() - top;
  const double scale = std::min((panel.width - kPoint) / std::max(across, 1e-12),
                                (panel.height - kPoint) / std::max(down, 1e-12));
  outline(canvas, panel, {200, 200, 200}, 1);
  for (std::size_t i = 0; i < label.size(); ++i) {
    const double* point = all.data_ptr<double>() + 2 * i;
    fill(canvas,
         {panel.x + static_cast<int>(std::lround((point[0] - left) * scale)),
          panel.y + static_cast<int>(std::lround((point[1] - top) * scale)), kPoint, kPoint},
         cluster_colour(label[i]));
  }
}

}  // namespace sgmae
