// Oracle: cosines of all pairs in fp64, sorted.
#include "sgmae/eval/nearest.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

double exact_cosine(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return x.mul(y).sum().item<double>() / (x.norm().item<double>() * y.norm().item<double>());
}

std::vector<Neighbour> by_all_pairs(const at::Tensor& features, const at::Tensor& query,
                                    std::int64_t k) {
  std::vector<Neighbour> all;
  for (std::int64_t row = 0; row < features.size(0); ++row)
    if (const double cosine = exact_cosine(features[row], query); !std::isnan(cosine))
      all.push_back({row, cosine});
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.cosine > b.cosine + 1e-12; });
  all.resize(std::min(all.size(), static_cast<std::size_t>(k)));
  return all;
}

void expect_rows(const std::vector<Neighbour>& found, const std::vector<Neighbour>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].row, wanted[i].row) << i;
    EXPECT_NEAR(found[i].cosine, wanted[i].cosine, 1e-12) << i;
  }
}

TEST(NearestRows, FindsWhatAllPairsSay) {
  const at::Tensor features = noise({300, 48}, 1).add(0.5), queries = noise({7, 48}, 2).add(0.5);
  const NearestRows rows(features);
  for (const std::int64_t k : {1, 5, 300, 1000}) {
    const auto found = rows.find(queries, k);
    ASSERT_EQ(found.size(), 7u);
    for (std::int64_t q = 0; q < 7; ++q)
      expect_rows(found[static_cast<std::size_t>(q)], by_all_pairs(features, queries[q], k));
  }
}

// Near-duplicates closer to each other than fp32 products can tell, and equal rows.
TEST(NearestRows, TellsTheNearestApartBeyondFp32) {
  const at::Tensor base = noise({1, 64}, 3);
  at::Tensor features = base.expand({200, 64}).clone();
  for (std::int64_t row = 0; row < 200; ++row)
    features[row].add_(noise({64}, 10 + static_cast<std::uint64_t>(row % 50)), 1e-5);
  const auto found = NearestRows(features).find(base, 12).front();
  expect_rows(found, by_all_pairs(features, base[0], 12));
  for (std::size_t i = 0; i < 12; i += 4) {  // four rows of each, the first one first
    EXPECT_LT(found[i].row, 50);
    for (std::size_t j = 1; j < 4; ++j) {
      EXPECT_EQ(found[i + j].row, found[i].row + 50 * static_cast<std::int64_t>(j));
      EXPECT_EQ(found[i + j].cosine, found[i].cosine);
    }
  }
}

TEST(NearestRows, LeavesOutByRowAndWhatIsNotFinite) {
  at::Tensor features = noise({20, 8}, 4);
  features[3].fill_(std::numeric_limits<float>::quiet_NaN());
  features[5].zero_();
  features[7].copy_(features[2]);
  const NearestRows rows(features);
  const auto found = rows.find(features.slice(0, 2, 3), 20, {{2}}).front();
  EXPECT_EQ(found.size(), 17u);
  EXPECT_EQ(found.front().row, 7) << "equal to the query, and not the query";
  for (const Neighbour& neighbour : found)
    EXPECT_TRUE(neighbour.row != 2 && neighbour.row != 3 && neighbour.row != 5);
}

// However many rows have no direction, and although theirs is nearer than all others.
TEST(NearestRows, WhatIsNotFiniteTakesNobodysPlace) {
  at::Tensor features = noise({20, 8}, 4).abs();
  const at::Tensor query = features.narrow(0, 0, 1).neg();
  features.narrow(0, 10, 10).fill_(std::numeric_limits<float>::quiet_NaN());
  const auto found = NearestRows(features).find(query, 4).front();
  expect_rows(found, by_all_pairs(features, query[0], 4));
}

TEST(NearestRows, GroupsLieAroundTheirFirst) {
  // Unit vectors at these degrees.
  const std::vector<double> degrees{0, 100, 8, 200, 16, 107, 24, 290};
  at::Tensor features = at::empty({8, 2});
  for (std::int64_t i = 0; i < 8; ++i) {
    const double angle = degrees[static_cast<std::size_t>(i)] * M_PI / 180;
    features[i][0] = std::cos(angle), features[i][1] = std::sin(angle);
  }
  using Groups = std::vector<std::vector<std::int64_t>>;
  const auto groups = [&](double most) {
    return NearestRows(features).groups(std::cos(most * M_PI / 180));
  };
  EXPECT_EQ(groups(8.01), (Groups{{0, 2}, {1, 5}, {4, 6}})) << "16 is too far from 0";
  EXPECT_EQ(groups(16.01), (Groups{{0, 2, 4}, {1, 5}}));
  EXPECT_EQ(groups(7.5), (Groups{{1, 5}}));
  EXPECT_EQ(groups(5), Groups{});
}

// More rows than are compared at once, against all pairs.
TEST(NearestRows, GroupsEqualThoseOfAllPairs) {
  const std::int64_t count = 1500;
  const at::Tensor features = at::cat({noise({count - 300, 6}, 5), noise({300, 6}, 5)});
  const NearestRows rows(features);
  std::vector<std::vector<std::int64_t>> wanted;
  std::vector<bool> taken(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int64_t> group{i};
    for (std::int64_t j = i + 1; j < count && !taken[static_cast<std::size_t>(i)]; ++j)
      if (!taken[static_cast<std::size_t>(j)] && rows.cosine(i, j) >= 0.97) group.push_back(j);
    if (group.size() == 1) continue;
    for (const std::int64_t member : group) taken[static_cast<std::size_t>(member)] = true;
    wanted.push_back(group);
  }
  EXPECT_EQ(rows.groups(0.97), wanted);
  EXPECT_GT(wanted.size(), 200u);
}

}  // namespace
}  // namespace sgmae
