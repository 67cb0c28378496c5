#include "sgmae/image/runs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::int64_t pixels_of(ImageSize size) {
  return static_cast<std::int64_t>(size.width) * size.height;
}

void check_size(ImageSize size) {
  check(size.width >= 0 && size.height >= 0 && size.width <= largest_coordinate &&
            size.height <= largest_coordinate &&
            pixels_of(size) <= std::numeric_limits<std::uint32_t>::max(),
        ExitCode::data, "run lengths of an image of ", size.width, "x", size.height, " pixels");
}

// Runs whose object begins and ends at the places, which are in ascending order: two at the same
// place are none.
class RunWriter {
 public:
  explicit RunWriter(ImageSize size) : runs_{size, {}} {}
  void turn(std::int64_t place) {
    if (!runs_.counts.empty() && place == last_) {  // neither begins nor ends here
      last_ -= runs_.counts.back();
      runs_.counts.pop_back();
      return;
    }
    runs_.counts.push_back(static_cast<std::uint32_t>(place - last_));
    last_ = place;
  }
  Runs finish() {
    const std::int64_t end = pixels_of(runs_.size);
    if (runs_.counts.empty() || last_ < end)
      runs_.counts.push_back(static_cast<std::uint32_t>(end - last_));
    return std::move(runs_);
  }

 private:
  Runs runs_;
  std::int64_t last_ = 0;
};

// An edge between two points of the fine grid. pycocotools steps along its longer side, always in
// the direction in which that coordinate grows, and rounds the other by adding a half and cutting
// off.
struct Edge {
  static constexpr int fine = 5;  // steps a pixel

  std::int64_t x, y, length;  // where it begins and how many steps it takes
  bool along_x;
  double slope;  // of the other coordinate, a step

  Edge(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1) {
    const std::int64_t across = std::abs(x1 - x0), down = std::abs(y1 - y0);
    along_x = across >= down;
    if (along_x ? x0 > x1 : y0 > y1) {
      std::swap(x0, x1);
      std::swap(y0, y1);
    }
    x = x0;
    y = y0;
    length = along_x ? across : down;
    slope = length == 0
                ? 0
                : static_cast<double>(along_x ? y1 - y0 : x1 - x0) / static_cast<double>(length);
  }

  std::int64_t at(std::int64_t begin, std::int64_t step) const {
    return static_cast<std::int64_t>(static_cast<double>(begin) +
                                     slope * static_cast<double>(step) + .5);
  }
  std::int64_t x_at(std::int64_t step) const { return along_x ? x + step : at(x, step); }
  std::int64_t y_at(std::int64_t step) const { return along_x ? at(y, step) : y + step; }

  // Where the edge goes over the middle of a column, from its third to its fourth fine step or
  // back: adds the first pixel below, as a place down the columns.
  void add_turns(ImageSize size, std::vector<std::int64_t>& turns) const {
    const auto [left, right] = std::minmax({x_at(0), x_at(length)});
    const std::int64_t first = std::max<std::int64_t>(left + fine - 3, 0) / fine;
    for (std::int64_t column = first; column < size.width; ++column) {
      const std::int64_t before = fine * column + 2;
      if (before + 1 > right) return;
      const std::int64_t step = step_over(before);
      const std::int64_t highest = std::min(y_at(step), y_at(step + 1));
      const double row = std::clamp((static_cast<double>(highest) + .5) / fine - .5, 0.0,
                                    static_cast<double>(size.height));
      turns.push_back(column * size.height + static_cast<std::int64_t>(std::ceil(row)));
    }
  }

  // The step at one side of the line between `before` and the next x, where the next step is at the
  // other. x_at neither turns nor jumps, so it is near where the straight line is.
  std::int64_t step_over(std::int64_t before) const {
    if (along_x) return before - x;
    const auto is_before = [&](std::int64_t step) { return x_at(step) <= before; };
    const double guess = (static_cast<double>(before - x) + .5) / slope;
    auto step = static_cast<std::int64_t>(std::clamp(guess, 0.0, static_cast<double>(length - 1)));
    const bool rises = slope > 0;
    while (step > 0 && is_before(step) != rises) --step;
    while (step + 1 < length && is_before(step + 1) == rises) ++step;
    return step;
  }
};

Runs runs_of_polygon(std::span<const double> points, ImageSize size,
                     std::vector<std::int64_t>& turns) {
  const auto place = [&](std::size_t i) {
    return static_cast<std::int64_t>(Edge::fine * points[i] + .5);
  };
  turns.clear();
  const std::size_t n = points.size() / 2;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t next = (i + 1) % n;
    Edge(place(2 * i), place(2 * i + 1), place(2 * next), place(2 * next + 1))
        .add_turns(size, turns);
  }
  std::sort(turns.begin(), turns.end());
  RunWriter writer(size);
  for (const std::int64_t turn : turns) writer.turn(turn);
  return writer.finish();
}

// The stretches of object in turn.
class Stretches {
 public:
  explicit Stretches(const Runs& runs) : counts_(runs.counts) { next(); }
  bool done() const { return begin == end; }
  void next() {
    begin = end;
    while (at_ + 1 < counts_.size() && begin == end) {
      begin = end + counts_[at_];
      end = begin + counts_[at_ + 1];
      at_ += 2;
    }
    if (begin != end) return;
    begin = end = 0;
  }
  std::int64_t begin = 0, end = 0;

 private:
  std::span<const std::uint32_t> counts_;
  std::size_t at_ = 0;
};

}  // namespace

Runs runs_of_text(std::string_view text, ImageSize size) {
  // Five bits a character from '0' on, the lowest first; 32 says that more follow. From the fourth
  // run on what is stored is the difference from the run before the last.
  constexpr int bits = 5, more = 32, sign = 16, most_bits = 35;
  std::vector<std::uint32_t> counts;
  counts.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    std::int64_t value = 0;
    int shift = 0, character = more;
    for (; character & more; shift += bits) {
      check(at < text.size() && shift < most_bits, ExitCode::data,
            "a run-length text that ends within a number");
      character = text[at++] - '0';
      check(character >= 0 && character < 2 * more, ExitCode::data,
            "a run-length text with a character that has no place there");
      value |= static_cast<std::int64_t>(character & (more - 1)) << shift;
    }
    if (character & sign) value -= std::int64_t{1} << shift;
    if (counts.size() > 2) value += counts[counts.size() - 2];
    check(value >= 0 && value <= std::numeric_limits<std::uint32_t>::max(), ExitCode::data,
          "a run-length text with a run of ", value, " pixels");
    counts.push_back(static_cast<std::uint32_t>(value));
  }
  return runs_of_counts(std::move(counts), size);
}

Runs runs_of_counts(std::vector<std::uint32_t> counts, ImageSize size) {
  check_size(size);
  std::int64_t pixels = 0;
  for (const std::uint32_t count : counts) pixels += count;
  check(pixels == pixels_of(size) && !counts.empty(), ExitCode::data, "run lengths of ", pixels,
        " pixels for a mask of ", size.width, "x", size.height);
  return {size, std::move(counts)};
}

std::string text_of(const Runs& runs) {
  std::string text;
  for (std::size_t i = 0; i < runs.counts.size(); ++i) {
    std::int64_t value = runs.counts[i];
    if (i > 2) value -= runs.counts[i - 2];
    for (bool more = true; more;) {
      auto character = static_cast<int>(value & 31);
      value >>= 5;
      more = (character & 16) != 0 ? value != -1 : value != 0;
      if (more) character |= 32;
      text += static_cast<char>(character + '0');
    }
  }
  return text;
}

Runs runs_of_polygons(std::span<const std::vector<double>> polygons, ImageSize size) {
  check_size(size);
  std::vector<std::int64_t> turns;
  std::vector<Runs> parts;
  for (const std::vector<double>& polygon : polygons)
    parts.push_back(runs_of_polygon(polygon, size, turns));
  if (parts.empty()) return RunWriter(size).finish();
  return parts.size() == 1 ? std::move(parts.front()) : united(parts);
}

double area_inside(std::span<const std::vector<double>> polygons) {
  double area = 0;
  for (const std::vector<double>& points : polygons) {
    double twice = 0;
    for (std::size_t i = 0; i < points.size(); i += 2) {
      const std::size_t next = (i + 2) % points.size();
      twice += points[i] * points[next + 1] - points[next] * points[i + 1];
    }
    area += std::abs(twice) / 2;
  }
  return area;
}

Runs runs_of(const Shape& shape, ImageSize size) {
  return shape.runs.counts.empty() ? runs_of_polygons(shape.polygons, size) : shape.runs;
}

Runs runs_of_mask(const ImageView& mask) {
  RunWriter writer({mask.width, mask.height});
  bool inside = false;
  std::int64_t place = 0;
  for (int x = 0; x < mask.width; ++x)
    for (int y = 0; y < mask.height; ++y, ++place)
      if ((mask.row(y)[x] != 0) != inside) {
        writer.turn(place);
        inside = !inside;
      }
  return writer.finish();
}

Image mask_of(const Runs& runs) {
  const auto [width, height] = runs.size;
  Image mask{width, height, 1, {}};
  mask.pixels.resize(static_cast<std::size_t>(pixels_of(runs.size)));
  for (Stretches object(runs); !object.done(); object.next()) {
    std::int64_t x = object.begin / height, y = object.begin % height;
    for (std::int64_t place = object.begin; place < object.end; ++place) {
      mask.pixels[static_cast<std::size_t>(y * width + x)] = 1;
      if (++y == height) {
        y = 0;
        ++x;
      }
    }
  }
  return mask;
}

std::int64_t area_of(const Runs& runs) {
  std::int64_t area = 0;
  for (std::size_t i = 1; i < runs.counts.size(); i += 2) area += runs.counts[i];
  return area;
}

CropBox box_around(const Runs& runs) {
  // Places fit in 32 bits, in which division is fast.
  const auto column = [height = static_cast<std::uint32_t>(runs.size.height)](std::int64_t place) {
    return static_cast<std::int64_t>(static_cast<std::uint32_t>(place) / height);
  };
  const std::int64_t height = runs.size.height;
  std::int64_t left = runs.size.width, top = height, right = -1, bottom = -1;
  for (Stretches object(runs); !object.done(); object.next()) {
    const std::int64_t first = column(object.begin), last = column(object.end - 1);
    left = std::min(left, first);
    right = last;
    if (first != last) {
      top = 0;
      bottom = height - 1;
    } else {
      top = std::min(top, object.begin - first * height);
      bottom = std::max(bottom, object.end - 1 - first * height);
    }
  }
  if (right < 0) return {};
  return {static_cast<int>(left), static_cast<int>(top), static_cast<int>(right - left + 1),
          static_cast<int>(bottom - top + 1)};
}

Runs united(std::span<const Runs> runs) {
  SGMAE_ASSERT(!runs.empty());
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  for (const Runs& each : runs) {
    SGMAE_ASSERT(each.size == runs.front().size);
    for (Stretches object(each); !object.done(); object.next())
      all.emplace_back(object.begin, object.end);
  }
  std::sort(all.begin(), all.end());
  RunWriter writer(runs.front().size);
  for (std::size_t i = 0; i < all.size();) {
    auto [begin, end] = all[i];
    for (++i; i < all.size() && all[i].first <= end; ++i) end = std::max(end, all[i].second);
    writer.turn(begin);
    writer.turn(end);
  }
  return writer.finish();
}

std::int64_t common_area(const Runs& a, const Runs& b) {
  SGMAE_ASSERT(a.size == b.size);
  std::int64_t common = 0;
  for (Stretches one(a), other(b); !one.done() && !other.done();) {
    common +=
        std::max<std::int64_t>(std::min(one.end, other.end) - std::max(one.begin, other.begin), 0);
    one.end < other.end ? one.next() : other.next();
  }
  return common;
}

double overlap(const Runs& a, const Runs& b, bool b_is_crowd) {
  const std::int64_t common = common_area(a, b);
  if (common == 0) return 0;
  const std::int64_t own = area_of(a);
  const std::int64_t over = b_is_crowd ? own : own + area_of(b) - common;
  return static_cast<double>(common) / static_cast<double>(over);
}

}  // namespace sgmae
