#include "sgmae/dense/winograd.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>

#include "sgmae/base/error.h"
#include "sgmae/dense/kernels/winograd.h"
#include "sgmae/nn/kernels/product.h"
#include "sgmae/nn/kernels/with_type.h"
#include "sgmae/nn/products.h"
#include "sgmae/nn/share_out.h"

namespace sgmae {
namespace {

constexpr std::int64_t side = 4, seen = 6, taps = 3;  // of a tile, of what it sees, of the weight
constexpr std::int64_t products = seen * seen;

// The tiles of some maps, one after the other by image, row and column.
class Tiles {
 public:
  explicit Tiles(const at::Tensor& maps)
      : height_(maps.size(2)),
        width_(maps.size(3)),
        rows_((height_ + side - 1) / side),
        columns_((width_ + side - 1) / side),
        count_(maps.size(0) * rows_ * columns_) {}

  std::int64_t count() const { return count_; }

  // The cells from `before` rows above and columns left of a tile on, of maps with `channels` in
  // channels-last memory; null beyond the map.
  template <std::int64_t extent, class T>
  std::array<T*, extent * extent> cells(T* maps, std::int64_t channels, std::int64_t tile,
                                        std::int64_t before) const {
    const std::int64_t image = tile / (rows_ * columns_);
    const std::int64_t top = tile / columns_ % rows_ * side - before;
    const std::int64_t left = tile % columns_ * side - before;
    std::array<T*, extent * extent> result;
    for (std::int64_t i = 0; i < extent; ++i)
      for (std::int64_t j = 0; j < extent; ++j) {
        const std::int64_t y = top + i, x = left + j;
        result[static_cast<std::size_t>(i * extent + j)] =
            y >= 0 && y < height_ && x >= 0 && x < width_
                ? maps + ((image * height_ + y) * width_ + x) * channels
                : nullptr;
      }
    return result;
  }

 private:
  std::int64_t height_, width_, rows_, columns_, count_;
};

// Values [products, lines, channels], a line being a tile or an output channel. Each product's
// begin in another part of the caches.
class Transformed {
 public:
  Transformed(std::int64_t lines, std::int64_t channels)
      : channels_(channels),
        stride_((lines * channels + cache_line - 1) / cache_line * cache_line + cache_line),
        memory_(at::empty({products * stride_}, at::kFloat)) {}

  float* of(std::int64_t product) const {
    return memory_.mutable_data_ptr<float>() + product * stride_;
  }
  std::array<float*, products> line(std::int64_t i) const {
    std::array<float*, products> result;
    for (std::int64_t k = 0; k < products; ++k)
      result[static_cast<std::size_t>(k)] = of(k) + i * channels_;
    return result;
  }

 private:
  static constexpr std::int64_t cache_line = 16;  // in values
  std::int64_t channels_, stride_;
  at::Tensor memory_;
};

// Tiles that are looked at together. The weight is read once for all of them, from beyond the
// second cache: with twice as many as it has channels it costs little beside them.
std::int64_t tiles_at_once(const Tiles& tiles, std::int64_t in, std::int64_t out) {
  return std::min(2 * std::min(in, out), tiles.count());
}

template <class Use>
void for_tiles(const Tiles& tiles, std::int64_t at_once, Use use) {  // use(first, count)
  for (std::int64_t first = 0; first < tiles.count(); first += at_once)
    use(first, std::min(at_once, tiles.count() - first));
}

// Those of output channel o, of a weight [O, 3, 3, C].
template <class T>
std::array<T*, taps * taps> taps_of(T* weight, std::int64_t channels, std::int64_t o) {
  std::array<T*, taps * taps> result;
  for (std::int64_t t = 0; t < taps * taps; ++t)
    result[static_cast<std::size_t>(t)] = weight + (o * taps * taps + t) * channels;
  return result;
}

enum class Direction { forward, backward };  // to the results, or to the gradient of the input

// A weight [O, 3, 3, C], transformed and packed for products with values of C channels, which give
// O; backward the other way round, with the taps turned by 180 degrees.
class PackedWeight {
 public:
  template <class T>
  PackedWeight(const T* weight, std::int64_t out, std::int64_t in, Direction direction)
      : lines_(direction == Direction::forward ? out : in),
        depth_(direction == Direction::forward ? in : out),
        strip_bytes_(kernels_.packed_bytes(lines_of_strip, depth_)),
        strips_((lines_ + lines_of_strip - 1) / lines_of_strip),
        memory_(at::empty({products * strips_ * strip_bytes_}, at::kByte)) {
    const TileTransform<T, float> transform = winograd_kernels<T>().weight;
    share_out(strips_, [&](std::int64_t strip) {
      const std::int64_t first = strip * lines_of_strip,
                         count = std::min(lines_of_strip, lines_ - first);
      const auto pack = [&](const Transformed& from, std::int64_t line_stride,
                            std::int64_t depth_stride) {
        for (std::int64_t k = 0; k < products; ++k)
          kernels_.pack({from.of(k), count, depth_, line_stride, depth_stride},
                        {of(k) + strip * strip_bytes_, count, depth_}, /*share=*/0, /*shares=*/1);
      };
      if (direction == Direction::forward) {
        const Transformed strip_lines(count, in);
        for (std::int64_t i = 0; i < count; ++i)
          transform(in, taps_of(weight, in, first + i).data(), strip_lines.line(i).data());
        pack(strip_lines, in, 1);
      } else {
        const Transformed strip_lines(out, count);
        for (std::int64_t o = 0; o < out; ++o) {
          auto turned = taps_of(weight + first, in, o);
          std::reverse(turned.begin(), turned.end());
          transform(count, turned.data(), strip_lines.line(o).data());
        }
        pack(strip_lines, 1, count);
      }
    });
  }

  std::int64_t lines() const { return lines_; }
  std::int64_t depth() const { return depth_; }

  // to [count, lines] = from [count, depth] times the weight of product k.
  void multiply(std::int64_t k, const Transformed& from, std::int64_t count,
                const Transformed& to) const {
    kernels_.multiply({from.of(k), count, depth_, depth_, 1}, {of(k), lines_, depth_},
                      {to.of(k), lines_}, /*piece=*/0, /*threads=*/1);
  }

 private:
  char* of(std::int64_t product) const {
    return static_cast<char*>(memory_.mutable_data_ptr()) + product * strips_ * strip_bytes_;
  }

  const TypedProductKernels<float>& kernels_ = typed_products<float>();
  std::int64_t lines_, depth_, strip_bytes_, strips_;
  at::Tensor memory_;
};

template <class T>
void convolve(const T* x, const Tiles& tiles, const PackedWeight& weight, const float* bias, T* y) {
  const std::int64_t in = weight.depth(), out = weight.lines();
  const WinogradKernels<T>& kernels = winograd_kernels<T>();
  const std::int64_t at_once = tiles_at_once(tiles, in, out);
  const Transformed from(at_once, in), to(at_once, out);
  for_tiles(tiles, at_once, [&](std::int64_t first, std::int64_t count) {
    share_out(count, [&](std::int64_t i) {
      kernels.input(in, tiles.cells<seen>(x, in, first + i, /*before=*/1).data(),
                    from.line(i).data());
    });
    share_out(products, [&](std::int64_t k) { weight.multiply(k, from, count, to); });
    share_out(count, [&](std::int64_t i) {
      kernels.output(out, to.line(i).data(), bias,
                     tiles.cells<side>(y, out, first + i, /*before=*/0).data());
    });
  });
}

// The adjoint of the same, of the weight.
template <class T>
void weight_gradient(const T* dy, const T* x, const Tiles& tiles, std::int64_t in, std::int64_t out,
                     float* dw) {
  const WinogradKernels<T>& kernels = winograd_kernels<T>();
  const TypedProductKernels<float>& multiplied = typed_products<float>();
  const std::int64_t at_once = tiles_at_once(tiles, in, out);
  const Transformed from(at_once, in), to(at_once, out), sums(out, in);
  for_tiles(tiles, at_once, [&](std::int64_t first, std::int64_t count) {
    share_out(count, [&](std::int64_t i) {
      kernels.input(in, tiles.cells<seen>(x, in, first + i, /*before=*/1).data(),
                    from.line(i).data());
      kernels.output_gradient(out, tiles.cells<side>(dy, out, first + i, /*before=*/0).data(),
                              to.line(i).data());
    });
    share_out(products, [&](std::int64_t k) {
      const PackedOperand packed{packing_memory(multiplied.packed_bytes(in, count)), in, count};
      multiplied.pack({from.of(k), in, count, 1, in}, packed, /*share=*/0, /*shares=*/1);
      multiplied.multiply({to.of(k), out, count, 1, out}, packed,
                          {sums.of(k), in, /*bias=*/nullptr, /*add=*/first > 0}, /*piece=*/0,
                          /*threads=*/1);
    });
  });
  const WeightGradientTransform transform = all_winograd_kernels().weight_gradient;
  share_out(out,
            [&](std::int64_t o) { transform(in, sums.line(o).data(), taps_of(dw, in, o).data()); });
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
                    Direction direction) {
  const at::Tensor cells = x.permute({0, 2, 3, 1}).contiguous(),
                   weight = w.permute({0, 2, 3, 1}).contiguous(),
                   bias = b.defined() ? b.to(at::kFloat) : b;
  const std::int64_t out = w.size(0), in = w.size(1);
  at::Tensor y = at::empty(
      {x.size(0), x.size(2), x.size(3), direction == Direction::forward ? out : in}, x.options());
  with_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const PackedWeight packed(static_cast<const T*>(weight.data_ptr()), out, in, direction);
    convolve(static_cast<const T*>(cells.data_ptr()), Tiles(x), packed,
             bias.defined() ? bias.data_ptr<float>() : nullptr, static_cast<T*>(y.data_ptr()));
  });
  return y.permute({0, 3, 1, 2});
}

}  // namespace

std::int64_t winograd_tiles(const at::Tensor& maps) {
  return Tiles(maps).count();
}

at::Tensor winograd_convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  return convolve(x, w, b, Direction::forward);
}

at::Tensor winograd_input_gradient(const at::Tensor& dy, const at::Tensor& w) {
  return convolve(dy, w, {}, Direction::backward);
}

at::Tensor winograd_weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  const std::int64_t in = x.size(1), out = dy.size(1);
  const at::Tensor gradients = dy.permute({0, 2, 3, 1}).contiguous(),
                   cells = x.permute({0, 2, 3, 1}).contiguous();
  at::Tensor dw = at::empty({out, taps, taps, in}, at::kFloat);
  with_type(x.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    weight_gradient(static_cast<const T*>(gradients.data_ptr()),
                    static_cast<const T*>(cells.data_ptr()), Tiles(x), in, out,
                    dw.data_ptr<float>());
  });
  return dw;
}

}  // namespace sgmae
