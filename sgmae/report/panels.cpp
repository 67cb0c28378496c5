#include "sgmae/report/panels.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/image/bands.h"
#include "sgmae/image/text.h"

namespace sgmae {
namespace {

constexpr Colour kPaper{255, 255, 255}, kInk{30, 30, 30}, kPale{95, 95, 95}, kRim{205, 205, 205};
constexpr int kMargin = 12, kSmallestLetters = 13, kLargestLetters = 28;
constexpr int kUnderTitle = 4;  // pixels between a row and its title
constexpr double kClusterTint = 0.35;
constexpr int kPoint = 5;  // pixels of a point's side

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

Panels::Panels(ImageSize panel, const std::vector<Column>& columns, std::int64_t rows,
               const std::string& title, bool row_titles)
    : panel_(panel), letters_(std::clamp(panel.width / 16, kSmallestLetters, kLargestLetters)) {
  const int line = text_height(letters_), title_letters = letters_ + letters_ / 4;
  const int most = std::max(panel.width, 14 * letters_);  // of a column's width
  std::size_t keys = 0;
  int width = kMargin;
  std::vector<int> wide;
  for (const Column& column : columns) {
    wide.push_back(std::max(panel.width, std::min(most, text_width(column.heading, letters_))));
    for (const Key& key : column.keys) wide.back() = std::max(wide.back(), key_width(key));
    keys = std::max(keys, column.keys.size());
    left_.push_back(width);
    width += wide.back() + kMargin;
  }
  const int headings = kMargin + (title.empty() ? 0 : text_height(title_letters) + line / 2);
  const int row_title = row_titles ? line + kUnderTitle : 0;
  top_ = headings + (1 + static_cast<int>(keys)) * line + line / 4 + row_title;
  row_ = row_title + panel.height + kMargin;
  canvas_ = blank_image({width, top_ - row_title + static_cast<int>(rows) * row_}, kPaper);
  write_text(canvas_, shortened_text(title, title_letters, width - 2 * kMargin), kMargin, kMargin,
             title_letters, kInk);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    write_text(canvas_, shortened_text(columns[i].heading, letters_, wide[i]), left_[i], headings,
               letters_, kInk);
    for (std::size_t k = 0; k < columns[i].keys.size(); ++k)
      write_key(columns[i].keys[k], left_[i], headings + (1 + static_cast<int>(k)) * line);
  }
}

int Panels::key_width(const Key& key) const {
  if (key.mark == Key::heat) return scale_width("0", key.text, letters_);
  return (key.mark == Key::none ? 0 : letters_ * 3 / 2) + text_width(key.text, letters_);
}

void Panels::write_key(const Key& key, int x, int y) {
  if (key.mark == Key::heat) return write_scale(canvas_, "0", key.text, x, y, letters_, kPale);
  const int side = letters_ * 4 / 5;
  const CropBox mark{x, y + (text_height(letters_) - side) / 2, side, side};
  if (key.mark == Key::filled) fill(canvas_, mark, key.colour);
  if (key.mark == Key::outlined) outline(canvas_, mark, key.colour, std::max(2, side / 6));
  write_text(canvas_, key.text, x + key_width(key) - text_width(key.text, letters_), y, letters_,
             kPale);
}

void Panels::title_row(std::int64_t row, const std::string& title) {
  const CropBox first = place(row, 0);
  write_text(canvas_, shortened_text(title, letters_, canvas_.width - 2 * kMargin), first.x,
             first.y - text_height(letters_) - kUnderTitle, letters_, kPale);
}

CropBox Panels::place(std::int64_t row, std::size_t column) const {
  return {left_[column], top_ + static_cast<int>(row) * row_, panel_.width, panel_.height};
}

ImageSize enlarged_panel(ImageSize image) {
  constexpr int least = 160;
  const int longer = std::max(image.width, image.height);
  const int scale = std::max(1, (least + longer - 1) / longer);
  return {image.width * scale, image.height * scale};
}

Image image_of(const at::Tensor& pixels, std::int64_t i, const Normalisation& normalisation,
               const at::Tensor& like) {
  const at::Tensor one = pixels.select(0, i).contiguous();
  const auto channels = static_cast<int>(one.size(0));
  const ImageSize size{static_cast<int>(one.size(2)), static_cast<int>(one.size(1))};
  if (!normalisation.stored)
    return denormalise(one.data_ptr<float>(), channels, size, normalisation);
  const at::Tensor scale = like.select(0, i).contiguous();
  return picture_of(one.data_ptr<float>(), scale.data_ptr<float>(), channels, size,
                    *normalisation.stored);
}

CropBox patch_box(const CropBox& panel, std::int64_t p, std::int64_t rows, std::int64_t columns) {
  const auto edge = [](int begin, int length, std::int64_t i, std::int64_t count) {
    return begin + static_cast<int>(length * i / count);
  };
  const std::int64_t row = p / columns, column = p % columns;
  const int left = edge(panel.x, panel.width, column, columns);
  const int top = edge(panel.y, panel.height, row, rows);
  return {left, top, edge(panel.x, panel.width, column + 1, columns) - left,
          edge(panel.y, panel.height, row + 1, rows) - top};
}

void draw_picture(Image& canvas, const CropBox& panel, const Image& picture) {
  const int scale =
      std::max(1, std::min(panel.width / picture.width, panel.height / picture.height));
  outline(canvas, {panel.x - 1, panel.y - 1, picture.width * scale + 2, picture.height * scale + 2},
          kRim, 1);
  paste(canvas, view(picture), panel.x, panel.y, scale);
}

void draw_patch_map(Image& canvas, const CropBox& panel, const at::Tensor& values,
                    std::int64_t columns, double strength) {
  const at::Tensor all = values.to(at::kFloat).contiguous();
  const std::int64_t rows = all.size(0) / columns;
  for (std::int64_t p = 0; p < all.size(0); ++p)
    tint(canvas, patch_box(panel, p, rows, columns), heat(all.data_ptr<float>()[p]), strength);
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
    const CropBox box = patch_box(panel, p, rows, columns);
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
  outline(canvas, panel, kRim, 1);
  for (std::size_t i = 0; i < label.size(); ++i) {
    const double* point = all.data_ptr<double>() + 2 * i;
    fill(canvas,
         {panel.x + static_cast<int>(std::lround((point[0] - left) * scale)),
          panel.y + static_cast<int>(std::lround((point[1] - top) * scale)), kPoint, kPoint},
         cluster_colour(label[i]));
  }
}

}  // namespace sgmae
