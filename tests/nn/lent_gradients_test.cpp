// Oracle: the same step with activations in memory of their own.
#include "sgmae/nn/lent_gradients.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/nn/initialiser.h"
#include "sgmae/nn/mae.h"
#include "tests/support/peak_bytes.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

class LentGradientsOfBlocks : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_products(at::kCPU)) GTEST_SKIP() << "products are LibTorch's here";
    parameters_.reserve(24);
    Initialiser init(parameters_, 1);
    blocks_ = init.blocks("blocks.", VitSize{24, 2, 4}, 96);
    flatten_gradients(parameters_);
  }
  std::vector<Parameter> parameters_;
  std::vector<Block> blocks_;
};

TEST_F(LentGradientsOfBlocks, AreTakenByPiecesAndLeftForTheNextBackwardPass) {
  LentGradients memory(blocks_);
  std::vector<at::Tensor> pieces;
  std::int64_t bytes = 0;
  for (at::Tensor piece; (piece = memory.take({3, 35}, at::kBFloat16)).defined();) {
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(piece.data_ptr()) % 64, 0u);
    EXPECT_TRUE(piece.is_contiguous());
    bytes += 256;  // 210 in whole cache lines
    pieces.push_back(piece.fill_(static_cast<double>(pieces.size())));
  }
  const at::Tensor gradients = flat_gradients(parameters_);
  EXPECT_GT(bytes, gradients.numel() * 4 - 256);
  for (std::size_t i = 0; i < pieces.size(); ++i)
    EXPECT_TRUE(pieces[i].eq(static_cast<double>(i)).all().item<bool>());
  EXPECT_FALSE(memory.take({10000}, at::kFloat).defined());

  memory.give_back();
  EXPECT_FALSE(memory.take({1}, at::kFloat).defined());
  double written_over = 0;
  for (const Block& block : blocks_)
    for (const Linear* layer : {&block.qkv, &block.proj, &block.fc1, &block.fc2}) {
      EXPECT_TRUE(layer->weight->cleared);
      EXPECT_FALSE(layer->weight->grad[0].any().item<bool>());
      written_over += layer->weight->grad.abs().sum().item<double>();
      layer->weight->grad.zero_();
    }
  EXPECT_GT(written_over, 0);
  EXPECT_FALSE(gradients.any().item<bool>());  // norms, biases and what lies between tensors
}

TEST_F(LentGradientsOfBlocks, AreNotLentTwiceNorWhereThereAreGradients) {
  {
    LentGradients first(blocks_);
    EXPECT_TRUE(first.take({1}, at::kFloat).defined());
    EXPECT_FALSE(LentGradients(blocks_).take({1}, at::kFloat).defined());
  }
  EXPECT_TRUE(LentGradients(blocks_).take({1}, at::kFloat).defined());
  blocks_[1].fc2.add_weight_gradient(at::randn({5, 24}), at::randn({5, 96}));
  EXPECT_FALSE(LentGradients(blocks_).take({1}, at::kFloat).defined());
  EXPECT_TRUE(blocks_[1].fc2.weight->grad.any().item<bool>());
}

TEST(LentGradients, StepIsTheSameInMemoryOfItsOwn) {
  MaeConfig config = two_blocks(true);
  config.decoder = {24, 3, 2};  // not all of it fits
  const at::Tensor pixels = at::randn({12, config.channels, config.height, config.width});
  const MaskPlan plan{at::randn({12, config.n_patches()}).argsort(/*stable=*/true, /*dim=*/1), 6};
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const bool checkpointed : {false, true}) {
      Mae lending(config, 1), keeping(config, 1);
      for (Mae* model : {&lending, &keeping}) {
        model->set_precision(precision);
        model->checkpoint_activations(checkpointed);
      }
      for (int step = 0; step < 2; ++step) {
        for (Parameter& parameter : keeping.parameters()) parameter.cleared = false;
        for (int part = 0; part < 2; ++part) {
          at::Tensor loss[2];
          const double lent =
              peak_bytes([&] { loss[0] = lending.forward_backward(pixels, plan).mean; });
          const double kept =
              peak_bytes([&] { loss[1] = keeping.forward_backward(pixels, plan).mean; });
          EXPECT_TRUE(loss[0].equal(loss[1]));
          for (std::size_t i = 0; i < keeping.parameters().size(); ++i) {
            const Parameter& own = keeping.parameters()[i];
            if (own.trained()) {
              EXPECT_TRUE(lending.parameters()[i].grad.equal(own.grad)) << own.name;
            }
          }
          if (step + part == 0 || !has_products(at::kCPU)) continue;  // memory for packing is kept
          if (part == 0 && !checkpointed) {
            EXPECT_LT(lent, kept);
          } else if (part > 0) {
            EXPECT_EQ(lent, kept);
          }
        }
        for (Mae* model : {&lending, &keeping})
          for (Parameter& parameter : model->parameters())
            if (parameter.trained()) parameter.grad.zero_(), parameter.cleared = true;
      }
    }
}

}  // namespace
}  // namespace sgmae
