// Oracle: Mae::encode on the same pixels.
#include "sgmae/eval/features.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/vit.h"
#include "tests/support/other_device.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

Batch batch_of(std::int64_t images, std::int64_t first_label) {
  Batch batch;
  batch.pixels = at::empty({images, 1, 16, 16});
  Rng rng(1, 0, static_cast<std::uint64_t>(first_label), Purpose::probe);
  for (std::int64_t i = 0; i < batch.pixels.numel(); ++i)
    batch.pixels.data_ptr<float>()[i] = static_cast<float>(rng.normal());
  for (std::int64_t i = 0; i < images; ++i) batch.label.push_back(first_label + i);
  return batch;
}

TEST(Features, AreTheClassTokenAndTheMeanOfPatches) {
  const Mae model(tiny_mae(), 1);
  std::vector<Batch> batches{batch_of(3, 0), batch_of(2, 3)};
  std::size_t next = 0;
  const Features features = extract_features(model.encoder(), [&](Batch& batch) {
    if (next == batches.size()) return false;
    batch = batches[next++];
    return true;
  });
  EXPECT_EQ(features.label, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  ASSERT_EQ(features.cls.sizes(), (at::IntArrayRef{5, 16}));
  ASSERT_EQ(features.mean.sizes(), (at::IntArrayRef{5, 16}));
  const at::Tensor tokens = model.encode(batches[1].pixels);  // [2, 5, 16]
  for (std::int64_t d = 0; d < 16; ++d) {
    double sum = 0;
    for (std::int64_t n = 1; n < 5; ++n) sum += tokens[0][n][d].item<double>();
    // Four fp32 terms: a few units in the last place of values about 1.
    EXPECT_NEAR(features.mean[3][d].item<double>(), sum / 4, 1e-6);
    EXPECT_EQ(features.cls[3][d].item<float>(), tokens[0][0][d].item<float>());
  }
}

TEST(Features, NeedAClassToken) {
  VitConfig config = encoder_config(tiny_mae());
  config.class_token = false;
  const Vit model(config, 1);
  EXPECT_THROW(encode_batch(model.encoder(), batch_of(1, 0)), Error);
}

TEST(Features, ComeFromAnotherDeviceToTheCpu) {
  const at::Device device = other_device();
  Mae model(tiny_mae(), 1);
  const Features here = encode_batch(model.encoder(), batch_of(3, 0));
  model.move_to(device);
  const Features there = encode_batch(model.encoder(), batch_of(3, 0));
  ASSERT_TRUE(there.cls.is_cpu() && there.mean.is_cpu());
  // fp32 sums in another order, of values about 1.
  EXPECT_TRUE(at::allclose(there.cls, here.cls, 0, 1e-5));
  EXPECT_TRUE(at::allclose(there.mean, here.mean, 0, 1e-5));
}

TEST(Features, MustBeFinite) {
  const Mae model(tiny_mae(), 1);
  bool first = true;
  const auto next = [&](Batch& batch) {
    batch = batch_of(2, 0);
    batch.pixels.data_ptr<float>()[7] = std::nanf("");
    return std::exchange(first, false);
  };
  try {
    extract_features(model.encoder(), next);
    ADD_FAILURE() << "NaN passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
  }
}

TEST(Features, NeedImages) {
  const Mae model(tiny_mae(), 1);
  EXPECT_THROW(extract_features(model.encoder(), [](Batch&) { return false; }), Error);
}

}  // namespace
}  // namespace sgmae
