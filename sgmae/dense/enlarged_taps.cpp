#include "sgmae/dense/enlarged_taps.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/dense/bilinear.h"
#include "sgmae/nn/kernels/with_type.h"

namespace sgmae {
namespace {

constexpr std::int64_t taps_of_axis = 3;

// Along one axis: place `at` of the enlarged map, seen through a tap, has `weight` of the small
// map's `from`.
struct Entry {
  std::int64_t tap = 0, from = 0, at = 0;
  float weight = 0;
};

std::vector<Entry> entries_of(std::int64_t small, std::int64_t large) {
  std::vector<Entry> entries;
  for (std::int64_t at = 0; at < large; ++at)
    for (std::int64_t tap = 0; tap < taps_of_axis; ++tap) {
      const std::int64_t seen = at + tap - 1;
      if (seen < 0 || seen >= large) continue;
      const auto [low, high, share] = between(seen, small, large);
      if (share < 1) entries.push_back({tap, low, at, 1 - share});
      if (share > 0 && high > low)
        entries.push_back({tap, high, at, share});
      else if (share > 0)
        entries.back().weight += share;
    }
  return entries;
}

// Entries by the place that they make.
std::vector<std::vector<Entry>> by_result(const std::vector<Entry>& entries, std::int64_t large) {
  std::vector<std::vector<Entry>> lists(static_cast<std::size_t>(large));
  for (const Entry& entry : entries) lists[static_cast<std::size_t>(entry.at)].push_back(entry);
  return lists;
}

// Entries by the place and tap that they come from: of place p and tap t at 3 p + t.
std::vector<std::vector<Entry>> by_source(const std::vector<Entry>& entries, std::int64_t small) {
  std::vector<std::vector<Entry>> lists(static_cast<std::size_t>(taps_of_axis * small));
  for (const Entry& entry : entries)
    lists[static_cast<std::size_t>(taps_of_axis * entry.from + entry.tap)].push_back(entry);
  return lists;
}

// Terms of a sum, gathered and then summed.
template <class T>
class Terms {
 public:
  void clear() {
    from_.clear();
    weight_.clear();
  }
  void push(const T* from, float weight) {
    from_.push_back(from);
    weight_.push_back(weight);
  }
  void sum(std::int64_t count, bool add, float* out) const {
    row_kernels<T>().weighted_sum(static_cast<std::int64_t>(from_.size()), count, from_.data(),
                                  weight_.data(), add, out);
  }

 private:
  std::vector<const T*> from_;
  std::vector<float> weight_;
};

// Columns first, then rows. Of the rows of the small map as they are after the columns no more than
// a few are needed at a time: an enlarged row sees at most four through its three taps.
template <class T>
void add_taps(const T* taps, std::int64_t batch, std::int64_t h, std::int64_t w,
              std::int64_t large_h, std::int64_t large_w, std::int64_t channels, float* out) {
  constexpr std::int64_t kept_rows = 4, columns_at_once = 16;
  const auto rows = by_result(entries_of(h, large_h), large_h);
  const auto columns = by_result(entries_of(w, large_w), large_w);
  const std::int64_t blocks = (large_w + columns_at_once - 1) / columns_at_once;
  at::parallel_for(0, batch * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t run = columns_at_once * channels;
    std::vector<float> kept(static_cast<std::size_t>(kept_rows * taps_of_axis * run));
    Terms<T> across;
    Terms<float> down;
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / blocks, first = job % blocks * columns_at_once;
      const std::int64_t count = std::min(columns_at_once, large_w - first);
      std::array<std::int64_t, kept_rows * taps_of_axis> holds;
      holds.fill(-1);
      const auto row_of = [&](std::int64_t r, std::int64_t tap) -> const float* {
        const std::int64_t slot = r % kept_rows * taps_of_axis + tap;
        float* const to = kept.data() + slot * run;
        if (std::exchange(holds[static_cast<std::size_t>(slot)], r) == r) return to;
        for (std::int64_t x = 0; x < count; ++x) {
          across.clear();
          for (const Entry& e : columns[static_cast<std::size_t>(first + x)])
            across.push(
                taps + (((b * h + r) * w + e.from) * 9 + taps_of_axis * tap + e.tap) * channels,
                e.weight);
          across.sum(channels, false, to + x * channels);
        }
        return to;
      };
      for (std::int64_t y = 0; y < large_h; ++y) {
        down.clear();
        for (const Entry& e : rows[static_cast<std::size_t>(y)])
          down.push(row_of(e.from, e.tap), e.weight);
        down.sum(count * channels, true, out + ((b * large_h + y) * large_w + first) * channels);
      }
    }
  });
}

// The other way round: rows first, then columns.
template <class T>
void taps_gradient(const T* dout, std::int64_t batch, std::int64_t h, std::int64_t w,
                   std::int64_t large_h, std::int64_t large_w, std::int64_t channels, T* dtaps) {
  const auto rows = by_source(entries_of(h, large_h), h);
  const auto columns = by_source(entries_of(w, large_w), w);
  at::parallel_for(0, batch * h, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> line(static_cast<std::size_t>(large_w * channels)),
        cell(static_cast<std::size_t>(taps_of_axis * channels));
    Terms<T> down;
    Terms<float> across;
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / h, r = job % h;
      for (std::int64_t tap = 0; tap < taps_of_axis; ++tap) {
        down.clear();
        for (const Entry& e : rows[static_cast<std::size_t>(taps_of_axis * r + tap)])
          down.push(dout + (b * large_h + e.at) * large_w * channels, e.weight);
        down.sum(large_w * channels, false, line.data());
        for (std::int64_t c = 0; c < w; ++c) {
          for (std::int64_t t = 0; t < taps_of_axis; ++t) {
            across.clear();
            for (const Entry& e : columns[static_cast<std::size_t>(taps_of_axis * c + t)])
              across.push(line.data() + e.at * channels, e.weight);
            across.sum(channels, false, cell.data() + t * channels);
          }
          row_kernels<T>().from_float(
              1, taps_of_axis * channels, cell.data(), 0,
              dtaps + (((b * h + r) * w + c) * 9 + taps_of_axis * tap) * channels, 0);
        }
      }
    }
  });
}

}  // namespace

void add_enlarged_taps(const at::Tensor& taps, at::Tensor& out) {
  SGMAE_ASSERT(taps.is_contiguous() && out.is_contiguous() && taps.size(1) <= out.size(1) &&
               taps.size(2) <= out.size(2) && taps.size(4) == out.size(3));
  with_type(taps.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    add_taps(static_cast<const T*>(taps.const_data_ptr()), taps.size(0), taps.size(1), taps.size(2),
             out.size(1), out.size(2), out.size(3), out.mutable_data_ptr<float>());
  });
}

at::Tensor enlarged_taps_gradient(const at::Tensor& dout, std::int64_t height, std::int64_t width) {
  SGMAE_ASSERT(dout.is_contiguous() && height <= dout.size(1) && width <= dout.size(2));
  at::Tensor dtaps = at::empty({dout.size(0), height, width, 9, dout.size(3)}, dout.options());
  with_type(dout.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    taps_gradient(static_cast<const T*>(dout.const_data_ptr()), dout.size(0), height, width,
                  dout.size(1), dout.size(2), dout.size(3),
                  static_cast<T*>(dtaps.mutable_data_ptr()));
  });
  return dtaps;
}

}  // namespace sgmae
