#include "sgmae/eval/confusion_figure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/text.h"

namespace sgmae {
namespace {

constexpr int wanted_side = 720, largest_cell = 48, longest_name = 160, margin = 12, letters = 13;
constexpr Colour paper{255, 255, 255}, ink{30, 30, 30}, pale{95, 95, 95}, light{240, 240, 240};

}  // namespace

Image confusion_figure(std::span<const std::int64_t> counts, std::int64_t classes,
                       const std::vector<std::string>& class_names) {
  const int n = static_cast<int>(classes), cell = std::clamp(wanted_side / n, 1, largest_cell);
  const int line = text_height(letters), gap = letters / 2;
  const int step = (line + cell - 1) / cell;  // of so many classes one has room for its name
  const std::string rows = "true ↓", columns = "predicted →";
  const std::string low = "0%", high = "100% of the true class";

  std::vector<std::string> names;
  int room = text_width(rows, letters);  // for names
  for (int c = 0; c < n; c += step) {
    names.push_back(shortened_text(class_name(class_names, c), letters, longest_name));
    room = std::max(room, text_width(names.back(), letters));
  }
  const CropBox matrix{margin + room + gap, margin + 2 * (line + gap) + room + gap, n * cell,
                       n * cell};
  const int right = std::max(matrix.x + std::max(matrix.width, text_width(columns, letters)),
                             margin + scale_width(low, high, letters));
  Image figure = blank_image({right + margin, matrix.y + matrix.height + margin}, paper);
  write_scale(figure, low, high, margin, margin, letters, pale);
  write_text(figure, columns, matrix.x, margin + line + gap, letters, ink);
  write_text(figure, rows, margin, matrix.y - gap - line, letters, ink);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const int middle = static_cast<int>(i) * step * cell + cell / 2 - line / 2;
    write_text(figure, names[i], matrix.x - gap - text_width(names[i], letters), matrix.y + middle,
               letters, pale);
    write_text_upwards(figure, names[i], matrix.x + middle, matrix.y - gap, letters, pale);
  }

  outline(figure, {matrix.x - 1, matrix.y - 1, matrix.width + 2, matrix.height + 2}, pale, 1);
  for (int truth = 0; truth < n; ++truth) {
    const auto row = counts.subspan(static_cast<std::size_t>(truth * classes),
                                    static_cast<std::size_t>(classes));
    const std::int64_t sum = std::accumulate(row.begin(), row.end(), std::int64_t{0});
    if (sum == 0) continue;
    for (int predicted = 0; predicted < n; ++predicted) {
      const double share =
          static_cast<double>(row[static_cast<std::size_t>(predicted)]) / static_cast<double>(sum);
      const CropBox box{matrix.x + predicted * cell, matrix.y + truth * cell, cell, cell};
      fill(figure, box, heat(share));
      const std::string percent = str(std::lround(100 * share));
      if (text_width("100", letters) + 4 > cell || percent == "0") continue;
      write_text(figure, percent, box.x + (cell - text_width(percent, letters)) / 2,
                 box.y + (cell - line) / 2, letters, share > 0.5 ? ink : light);
    }
  }
  return figure;
}

}  // namespace sgmae
