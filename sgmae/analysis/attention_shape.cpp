#include "sgmae/analysis/attention_shape.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr float kAdded = 1e-8f;
constexpr std::int64_t kPadding = 16;  // floats; rows of distances are padded to multiples of it

struct Shape {
  float distance, nmi;
};

template <int kLanes>
struct Vector {
  using Floats [[gnu::vector_size(4 * kLanes)]] = float;
  using Ints [[gnu::vector_size(4 * kLanes)]] = std::int32_t;
};

// Natural logarithm of normal positive numbers to about 1e-7, some finite value for 0: x = 2^e m
// with m in [sqrt(1/2), sqrt(2)), and log m = 2 artanh(s) by its series in s = (m - 1) / (m + 1),
// |s| < 0.172.
template <int kLanes>
[[gnu::always_inline]] inline void logarithm(typename Vector<kLanes>::Floats& x) {
  using Floats = typename Vector<kLanes>::Floats;
  using Ints = typename Vector<kLanes>::Ints;
  Ints bits;
  std::memcpy(&bits, &x, sizeof x);
  const Ints exponent = (bits - 0x3f3504f3) >> 23;
  bits -= exponent << 23;
  Floats m;
  std::memcpy(&m, &bits, sizeof m);
  const Floats s = (m - 1.0f) / (m + 1.0f), q = s * s;
  const Floats series = 2.0f + q * (2.0f / 3 + q * (2.0f / 5 + q * (2.0f / 7 + q * (2.0f / 9))));
  x = s * series + __builtin_convertvector(exponent, Floats) * 0.69314718f;
}

// One head: attention [n, stride] without the prefix. `distance` [n, padded] has zeros behind n;
// `key` [2 * padded] is for its own use. Everything is inlined into one function per instruction
// set.
template <int kLanes>
[[gnu::always_inline]] inline Shape shape_of_head(const float* attention, std::int64_t n,
                                                  std::int64_t stride, const float* distance,
                                                  std::int64_t padded, float* key) {
  using Floats = typename Vector<kLanes>::Floats;
  const auto load = [](Floats& to, const float* from) { std::memcpy(&to, from, sizeof to); };
  const auto sum = [](const Floats& v) {
    float total = 0;
    for (int k = 0; k < kLanes; ++k) total += v[k];
    return total;
  };
  std::memset(key, 0, 2 * padded * sizeof(float));
  float* const row = key + padded;  // one of attention, with zeros behind n
  Floats inside{};                  // of a row's last vector
  for (std::int64_t k = 0; k < kLanes; ++k) inside[k] = n % kLanes == 0 || k < n % kLanes;
  const float share = 1 / (1 + kAdded * static_cast<float>(n));  // rows sum to 1 as before
  double far = 0, information = 0;                               // sums over rows
  for (std::int64_t i = 0; i < n; ++i) {
    std::memcpy(row, attention + i * stride, n * sizeof(float));
    Floats total{};
    for (std::int64_t j = 0; j < n; j += kLanes) {
      Floats a;
      load(a, row + j);
      total += a;
    }
    const float scale = 1 / sum(total);
    Floats away{}, entropy{};
    for (std::int64_t j = 0; j < n; j += kLanes) {
      Floats p, d, keys;
      load(p, row + j);
      load(d, distance + i * padded + j);
      load(keys, key + j);
      p *= scale;
      away += p * d;
      p = (p + kAdded) * share;
      if (j + kLanes >= n) p *= inside;  // 0 log 0 is 0: the logarithm of 0 is finite here
      keys += p;
      std::memcpy(key + j, &keys, sizeof keys);
      Floats log = p;
      logarithm<kLanes>(log);
      entropy += p * log;
    }
    far += sum(away);
    information += sum(entropy);
  }
  // MI = H(k) - H(k | q), the latter the mean entropy of rows.
  const auto rows = static_cast<double>(n);
  double key_entropy = 0;
  for (std::int64_t j = 0; j < n; ++j) key_entropy -= key[j] / rows * std::log(key[j] / rows);
  return {static_cast<float>(far / rows),
          static_cast<float>((key_entropy + information / rows) /
                             std::sqrt(key_entropy * std::log(rows)))};
}

Shape plain(const float* a, std::int64_t n, std::int64_t stride, const float* distance,
            std::int64_t padded, float* key) {
  return shape_of_head<4>(a, n, stride, distance, padded, key);
}

#ifdef __x86_64__
[[gnu::target("avx2,fma")]] Shape avx2(const float* a, std::int64_t n, std::int64_t stride,
                                       const float* distance, std::int64_t padded, float* key) {
  return shape_of_head<8>(a, n, stride, distance, padded, key);
}

[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] Shape avx512(
    const float* a, std::int64_t n, std::int64_t stride, const float* distance, std::int64_t padded,
    float* key) {
  return shape_of_head<16>(a, n, stride, distance, padded, key);
}
#endif

auto choose() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
#endif
  return plain;
}

}  // namespace

WhereHeadsLook attention_shape(const at::Tensor& attention, std::int64_t prefix,
                               std::int64_t columns, std::int64_t patch_size) {
  SGMAE_ASSERT(attention.dim() == 4 && columns > 0 && attention.size(2) > prefix + 1 &&
               attention.size(2) == attention.size(3) && attention.scalar_type() == at::kFloat);
  const at::Tensor a = attention.contiguous();
  const std::int64_t images = a.size(0), heads = a.size(1), stride = a.size(2), n = stride - prefix;
  const std::int64_t padded = (n + kPadding - 1) / kPadding * kPadding;
  const std::int64_t rows = (n + columns - 1) / columns;
  std::vector<float> apart(rows * columns);  // by rows and columns between
  for (std::int64_t i = 0; i < rows * columns; ++i)
    apart[i] =
        static_cast<float>(static_cast<double>(patch_size) * std::hypot(i / columns, i % columns));
  std::vector<float> distance(n * padded, 0.0f);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      distance[i * padded + j] = apart[std::abs(i / columns - j / columns) * columns +
                                       std::abs(i % columns - j % columns)];

  static const auto shape_of = choose();
  WhereHeadsLook result{at::empty({images, heads}, at::kFloat),
                        at::empty({images, heads}, at::kFloat)};
  at::parallel_for(0, images * heads, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> key(2 * padded);
    for (std::int64_t job = begin; job < end; ++job) {
      const float* const patches =
          a.data_ptr<float>() + job * stride * stride + prefix * stride + prefix;
      const Shape shape = shape_of(patches, n, stride, distance.data(), padded, key.data());
      result.distance.data_ptr<float>()[job] = shape.distance;
      result.nmi.data_ptr<float>()[job] = shape.nmi;
    }
  });
  return result;
}

}  // namespace sgmae
