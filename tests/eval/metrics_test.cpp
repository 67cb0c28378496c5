// Oracle: cases counted by hand, and the plainest count over sorted scores.
#include "sgmae/eval/metrics.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

using Labels = std::vector<std::int64_t>;

TEST(Metrics, CountByHand) {
  // Three classes; the fourth has no images. Rows are one image each.
  const at::Tensor scores = at::tensor({5.f, 1.f, 0.f, 0.f,   // 0 as 0
                                        1.f, 5.f, 0.f, 0.f,   // 0 as 1
                                        1.f, 5.f, 0.f, 0.f,   // 0 as 1
                                        0.f, 9.f, 1.f, 0.f,   // 1 as 1
                                        0.f, 0.f, 0.f, 2.f})  // 2 as 3
                                .view({5, 4});
  ClassificationCounts counts(4);
  counts.add(scores, {0, 0, 0, 1, 2});
  EXPECT_EQ(counts.images(), 5);
  EXPECT_EQ(counts.at(0, 1), 2);
  EXPECT_EQ(counts.at(2, 3), 1);
  EXPECT_DOUBLE_EQ(counts.top1(), 2.0 / 5);
  EXPECT_DOUBLE_EQ(counts.top5(), 1.0);
  EXPECT_DOUBLE_EQ(counts.class_mean(), (1.0 / 3 + 1 + 0) / 3);
  EXPECT_TRUE(std::isnan(counts.top1_of(3)));

  const auto json = to_json(counts, {"ant", "bee", "cat"});
  EXPECT_EQ(json["per_class"].size(), 4u);
  EXPECT_EQ(json["per_class"]["3"]["images"], 0);
  EXPECT_EQ(nlohmann::json::parse(json.dump())["per_class"]["3"]["acc1"], nullptr);
  EXPECT_EQ(json["per_class"]["ant"]["mistaken_for"], "bee");
  EXPECT_EQ(json["per_class"]["cat"]["mistaken_for"], "3");  // without a name
  EXPECT_FALSE(json["per_class"]["bee"].contains("mistaken_for"));
  EXPECT_EQ(json["confusion"], (nlohmann::json{{0, 0, 1}, {0, 1, 2}, {1, 1, 1}, {2, 3, 1}}));
}

TEST(Metrics, EqualTheSlowCountAndAddUp) {
  const at::Tensor scores = noise({200, 9}, 1);
  Labels labels;
  for (std::int64_t i = 0; i < 200; ++i) labels.push_back(i * i % 9);
  ClassificationCounts whole(9), first(9), second(9);
  whole.add(scores, labels);
  first.add(scores.narrow(0, 0, 77), {labels.begin(), labels.begin() + 77});
  second.add(scores.narrow(0, 77, 123), {labels.begin() + 77, labels.end()});
  first += second;
  EXPECT_EQ(first, whole);

  std::int64_t top1 = 0, top5 = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    std::vector<std::pair<float, std::int64_t>> sorted;
    for (std::int64_t c = 0; c < 9; ++c)
      sorted.emplace_back(-scores.data_ptr<float>()[i * 9 + c], c);
    std::sort(sorted.begin(), sorted.end());
    for (int place = 0; place < 5; ++place) {
      const bool hit =
          sorted[static_cast<std::size_t>(place)].second == labels[static_cast<std::size_t>(i)];
      top1 += hit && place == 0;
      top5 += hit;
    }
  }
  EXPECT_DOUBLE_EQ(whole.top1(), static_cast<double>(top1) / 200);
  EXPECT_DOUBLE_EQ(whole.top5(), static_cast<double>(top5) / 200);
}

TEST(Metrics, EqualScoresGoToTheLowerClass) {
  ClassificationCounts counts(7);
  counts.add(at::zeros({7, 7}), {0, 1, 2, 3, 4, 5, 6});
  EXPECT_DOUBLE_EQ(counts.top1(), 1.0 / 7);
  EXPECT_DOUBLE_EQ(counts.top5(), 5.0 / 7);
}

TEST(Metrics, InfiniteScoresCountAndNanIsRefused) {
  const float infinite = std::numeric_limits<float>::infinity();
  ClassificationCounts counts(2);
  counts.add(at::tensor({-infinite, infinite}).view({1, 2}), {1});
  EXPECT_EQ(counts.top1(), 1.0);
  try {
    counts.add(at::full({1, 2}, std::nan(""), at::kFloat), {0});
    ADD_FAILURE() << "NaN passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
  }
}

TEST(Metrics, RefuseLabelsOutsideTheClasses) {
  ClassificationCounts counts(2);
  for (const std::int64_t label : {-1, 2}) {
    try {
      counts.add(at::zeros({1, 2}), {label});
      ADD_FAILURE() << "label " << label << " passed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
    }
  }
  EXPECT_EQ(counts.images(), 0);
}

TEST(Metrics, ResultIsWrittenBesideItsFigure) {
  const TemporaryFolder temporary;
  const std::filesystem::path& folder = temporary.root();
  ClassificationCounts counts(2);
  counts.add(at::zeros({1, 2}), {0});
  write_result(folder / "run", {{"acc1", counts.top1()}}, counts, {"cat", "dog"});
  EXPECT_EQ(nlohmann::json::parse(read_text(folder / "run" / "result.json"))["acc1"], 1.0);
  EXPECT_GT(std::filesystem::file_size(folder / "run" / "figures" / "confusion.png"), 0u);
  temporary.write("file", "");
  EXPECT_THROW(write_result(folder / "file", {}, counts, {}), Error);
}

}  // namespace
}  // namespace sgmae
