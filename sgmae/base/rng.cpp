#include "sgmae/base/rng.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Ten rounds of Philox 4x32; constants from Salmon et al. 2011, table 2.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c[0];
    const std::uint64_t p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

}  // namespace

// The image index fills the upper half of the counter and (epoch, purpose) the key with the seed
// hashed in, so that streams of different keys never share a block.
Rng::Rng(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, Purpose purpose) {
  const auto mixed =
      philox({static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
              static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(purpose)},
             {static_cast<std::uint32_t>(epoch >> 32), 0x53474d41u});
  key_ = {mixed[0], mixed[1]};
  counter_ = {0, mixed[2], static_cast<std::uint32_t>(index),
              static_cast<std::uint32_t>(index >> 32)};
}

std::uint32_t Rng::next() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[used_++];
}

double Rng::uniform() {
  const std::uint64_t high = next();
  return static_cast<double>(((high << 32) | next()) >> 11) * 0x1.0p-53;
}

float Rng::uniform_float() {
  return static_cast<float>(next() >> 8) * 0x1.0p-24f;
}

double Rng::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

std::int64_t Rng::below(std::int64_t bound) {
  SGMAE_ASSERT(bound > 0);
  const std::uint64_t n = static_cast<std::uint64_t>(bound);
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;
  for (;;) {
    const std::uint64_t high = next();
    const std::uint64_t draw = (high << 32) | next();
    if (draw <= limit) return static_cast<std::int64_t>(draw % n);
  }
}

double Rng::normal() {
  const double u = 1.0 - uniform();  // (0, 1], so that the logarithm is finite
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> Rng::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[below(i + 1)]);
  return order;
}

}  // namespace sgmae
