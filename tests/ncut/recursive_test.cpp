// Oracles: planted clusters, and exhaustive search over all ways to cut tiny graphs.
#include "sgmae/ncut/recursive.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

using Sets = std::set<std::set<std::int64_t>>;

Sets sets_of(const std::vector<std::int64_t>& label) {
  std::map<std::int64_t, std::set<std::int64_t>> by_label;
  for (std::size_t i = 0; i < label.size(); ++i)
    by_label[label[i]].insert(static_cast<std::int64_t>(i));
  Sets sets;
  for (const auto& [unused, members] : by_label) sets.insert(members);
  return sets;
}

// Cosines of blocks of the given sizes: `within` inside, `between` elsewhere, 1 on the diagonal,
// and a little noise from `seed`.
at::Tensor blocks(const std::vector<std::int64_t>& sizes, double within, double between,
                  double noise = 0, std::uint64_t seed = 0) {
  std::int64_t n = 0;
  for (const auto size : sizes) n += size;
  at::Tensor m = at::full({n, n}, between, at::kFloat);
  std::int64_t begin = 0;
  for (const auto size : sizes) {
    m.slice(0, begin, begin + size).slice(1, begin, begin + size).fill_(within);
    begin += size;
  }
  Rng rng(seed, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      const double value = m[i][j].item<double>() + noise * rng.uniform(-1, 1);
      m[i][j] = value;
      m[j][i] = value;
    }
    m[i][i] = 1;
  }
  return m;
}

// Ncut within `patches` of the parting where patches of `chosen` are one side, in plain loops.
double slow_ncut(const at::Tensor& m, const std::vector<std::int64_t>& patches, unsigned chosen) {
  double cut = 0, assoc[2] = {};
  for (std::size_t a = 0; a < patches.size(); ++a)
    for (std::size_t b = 0; b < patches.size(); ++b) {
      double w = m[patches[a]][patches[b]].item<double>();
      if (w < 0) w = 1e-5;
      const bool sa = chosen >> a & 1, sb = chosen >> b & 1;
      assoc[sa] += w;
      if (sa && !sb) cut += w;
    }
  return cut / assoc[0] + cut / assoc[1];
}

// The same greedy order of cuts, with every cut found by trying all of them.
Sets exhaustive(const at::Tensor& m, std::int64_t parts) {
  std::vector<std::int64_t> all(m.size(0));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  std::vector<std::vector<std::int64_t>> leaves{all};
  while (static_cast<std::int64_t>(leaves.size()) < parts) {
    double best = std::numeric_limits<double>::infinity();
    std::size_t leaf = 0;
    unsigned chosen = 0;
    for (std::size_t l = 0; l < leaves.size(); ++l)
      for (unsigned c = 1; c + 1 < (1u << leaves[l].size()); ++c) {
        const double value = slow_ncut(m, leaves[l], c);
        if (value < best - 1e-12) {
          best = value;
          leaf = l;
          chosen = c;
        }
      }
    std::vector<std::int64_t> sides[2];
    for (std::size_t i = 0; i < leaves[leaf].size(); ++i)
      sides[chosen >> i & 1].push_back(leaves[leaf][i]);
    leaves[leaf] = sides[0];
    leaves.push_back(sides[1]);
  }
  Sets sets;
  for (const auto& l : leaves) sets.insert({l.begin(), l.end()});
  return sets;
}

TEST(NcutValue, IsTheDefinition) {
  const at::Tensor m = blocks({3, 4}, 0.5, -0.1, 0.3, 1);
  const std::vector<std::uint8_t> side{1, 0, 0, 1, 1, 0, 1};
  unsigned chosen = 0;
  for (std::size_t i = 0; i < side.size(); ++i) chosen |= static_cast<unsigned>(side[i]) << i;
  EXPECT_NEAR(ncut_value(m, side), slow_ncut(m, {0, 1, 2, 3, 4, 5, 6}, chosen), 1e-6);
  // Two halves of ones without edges between: 0; a graph of ones, n of N: n (N-n) / n N + ... = 1.
  EXPECT_NEAR(ncut_value(blocks({2, 2}, 1, 0), {1, 1, 0, 0}, {.epsilon = 0}), 0, 1e-12);
  EXPECT_NEAR(ncut_value(at::ones({5, 5}), {1, 1, 0, 0, 0}), 1, 1e-12);
}

// A tree of clusters, each cut clear: {4, 3} against {3} first, then 4 against 3. (Where three
// clusters are equally far apart, splitting the eigenvector at its mean need not give the best
// cut.)
TEST(RecursiveNcut, FindsWhatExhaustiveSearchFinds) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    at::Tensor m = blocks({4, 3, 3}, 0.85, 0.35, 0.08, seed);
    m.slice(0, 0, 7).slice(1, 7).sub_(0.25);
    m.slice(0, 7).slice(1, 0, 7).sub_(0.25);
    for (const std::int64_t parts : {2, 3})
      EXPECT_EQ(sets_of(recursive_ncut(m, parts).label), exhaustive(m, parts))
          << "seed " << seed << ", " << parts << " parts";
  }
}

TEST(RecursiveNcut, RecoversPlantedClustersOfARealSize) {
  const std::vector<std::int64_t> sizes{60, 50, 40, 25, 21};
  const at::Tensor m = blocks(sizes, 0.7, 0.1, 0.1, 3);
  const Clustering c = recursive_ncut(m, 5);
  EXPECT_EQ(c.parts, 5);
  std::int64_t patch = 0;
  for (std::size_t k = 0; k < sizes.size(); ++k)  // numbered by size
    for (std::int64_t i = 0; i < sizes[k]; ++i, ++patch)
      EXPECT_EQ(c.label[patch], static_cast<std::int64_t>(k)) << patch;
}

// Without any edge between clusters no second eigenvector is the second; they come apart all the
// same.
TEST(RecursiveNcut, TakesApartWhatHangsTogetherByNothing) {
  const Clustering c = recursive_ncut(blocks({30, 20, 14, 10}, 0.9, -0.3), 4);
  EXPECT_EQ(c.parts, 4);
  EXPECT_EQ(sets_of(c.label).size(), 4u);
  EXPECT_EQ(std::count(c.label.begin(), c.label.end(), 0), 30);
  EXPECT_EQ(std::count(c.label.begin(), c.label.end(), 3), 10);
  for (const double value : c.ncut) EXPECT_LT(value, 1e-3);  // edges of 1e-5 only
}

TEST(RecursiveNcut, FinerClusteringsRefineCoarserOnes) {
  const at::Tensor m = blocks({20, 15, 12, 9}, 0.6, 0.2, 0.15, 5);
  for (std::int64_t parts = 2; parts < 8; ++parts) {
    const auto coarse = recursive_ncut(m, parts), fine = recursive_ncut(m, parts + 1);
    std::map<std::int64_t, std::int64_t> parent;
    for (std::size_t i = 0; i < coarse.label.size(); ++i) {
      const auto [entry, added] = parent.try_emplace(fine.label[i], coarse.label[i]);
      EXPECT_EQ(entry->second, coarse.label[i]);
    }
  }
}

TEST(RecursiveNcut, StopsWhereNothingCanBeCut) {
  const Clustering alike = recursive_ncut(at::ones({40, 40}), 3);
  EXPECT_EQ(alike.parts, 1);
  EXPECT_TRUE(alike.ncut.empty());
  const Clustering single = recursive_ncut(at::ones({1, 1}), 3);
  EXPECT_EQ(single.parts, 1);
  EXPECT_EQ(recursive_ncut(blocks({2, 2}, 1, 0.1), 4).label.size(), 4u);
}

}  // namespace
}  // namespace sgmae
