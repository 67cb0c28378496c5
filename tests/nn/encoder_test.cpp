// Oracle: a vision transformer written out in double, one image and one head at a time.
#include "sgmae/nn/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/nn/patches.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

VitConfig config() {
  VitConfig c;
  c.height = 8, c.width = 12, c.channels = 2, c.patch_size = 4;
  c.size = {16, 3, 2};
  c.mlp_hidden = 24;
  return c;
}

// An encoder whose every parameter is drawn, norms and positions too.
struct Made {
  explicit Made(const VitConfig& c) {
    parameters.reserve(64);
    Initialiser init(parameters, 5);
    encoder.add_tokens(c, /*train_pos_embed=*/true, init);
    encoder.add_layers(init);
    flatten_gradients(parameters);
    for (Parameter& p : parameters) p.value.add_(at::randn_like(p.value), 0.2);
    encoder.parameters_changed();
  }
  at::Tensor value(const std::string& name) const {
    for (const Parameter& p : parameters)
      if (p.name == name) return p.value.to(at::kDouble);
    throw std::out_of_range(name);
  }
  std::vector<Parameter> parameters;
  Encoder encoder;
};

at::Tensor linear(const Made& m, const std::string& name, const at::Tensor& x) {
  return x.matmul(m.value(name + ".weight").t()) + m.value(name + ".bias");
}

at::Tensor norm(const Made& m, const std::string& name, const at::Tensor& x, double eps) {
  return at::layer_norm(x, {x.size(-1)}, m.value(name + ".weight"), m.value(name + ".bias"), eps);
}

// Tokens [1 + registers + n, D] of one image [C, H, W], whose visible patches are `order`.
at::Tensor slow_forward(const Made& m, const at::Tensor& image,
                        const std::vector<std::int64_t>& order) {
  const VitConfig& c = m.encoder.config();
  std::vector<at::Tensor> rows{m.value("cls_token")[0][0] + m.value("pos_embed")[0][0]};
  for (std::int64_t r = 0; r < c.registers; ++r) rows.push_back(m.value("reg_token")[0][r]);
  const at::Tensor kernel = m.value("patch_embed.proj.weight");  // [D, C, p, p]
  for (const std::int64_t patch : order) {
    const std::int64_t p = c.patch_size, y = patch / c.grid_width(), x = patch % c.grid_width();
    const at::Tensor pixels =
        image.to(at::kDouble).narrow(1, y * p, p).narrow(2, x * p, p).unsqueeze(0);
    rows.push_back((kernel * pixels).sum({1, 2, 3}) + m.value("patch_embed.proj.bias") +
                   m.value("pos_embed")[0][1 + patch]);
  }
  at::Tensor x = at::stack(rows);
  const std::int64_t d = c.size.dim, head = d / c.size.heads;
  for (std::int64_t i = 0; i < c.size.depth; ++i) {
    const std::string block = str("blocks.", i, ".");
    const at::Tensor qkv =
        linear(m, block + "attn.qkv", norm(m, block + "norm1", x, c.layer_norm_eps));
    std::vector<at::Tensor> heads;
    for (std::int64_t h = 0; h < c.size.heads; ++h) {
      const auto part = [&](std::int64_t which) {
        return qkv.narrow(1, which * d + h * head, head);
      };
      const at::Tensor scores = part(0).matmul(part(1).t()) / std::sqrt(static_cast<double>(head));
      heads.push_back(at::softmax(scores, 1).matmul(part(2)));
    }
    const auto scaled = [&](const char* name, const at::Tensor& branch) {
      return c.layer_scale ? branch * m.value(block + name + ".gamma") : branch;
    };
    x = x + scaled("ls1", linear(m, block + "attn.proj", at::cat(heads, 1)));
    const at::Tensor hidden =
        at::gelu(linear(m, block + "mlp.fc1", norm(m, block + "norm2", x, c.layer_norm_eps)));
    x = x + scaled("ls2", linear(m, block + "mlp.fc2", hidden));
  }
  return c.pooling == Pooling::mean ? x : norm(m, "norm", x, c.layer_norm_eps);
}

// A plan that shows `visible` patches, others for each image.
MaskPlan some_plan(std::int64_t batch, const VitConfig& c, std::int64_t visible) {
  return {at::argsort(at::rand({batch, c.n_patches()}), /*stable=*/true, 1).contiguous(), visible};
}

std::vector<std::int64_t> visible_of(const MaskPlan& plan, std::int64_t image) {
  const std::int64_t* row = plan.order.data_ptr<std::int64_t>() + image * plan.order.size(1);
  return {row, row + plan.n_visible};
}

std::vector<std::pair<std::string, VitConfig>> kinds() {
  VitConfig dino = config(), mean = config();
  dino.layer_scale = true;
  dino.registers = 3;
  mean.pooling = Pooling::mean;
  return {{"plain", config()}, {"dino", dino}, {"without norm", mean}};
}

// 2e-6: fp32 against double over three blocks; bf16 keeps 8 bits of each activation.
TEST(Encoder, EqualsTheOneWrittenOut) {
  for (const auto& [name, c] : kinds()) {
    Made m(c);
    const at::Tensor pixels = at::randn({2, 2, 8, 12});
    for (const std::int64_t visible : {c.n_patches(), std::int64_t{2}}) {
      const MaskPlan plan = some_plan(2, c, visible);
      std::vector<at::Tensor> exact;
      for (std::int64_t i = 0; i < 2; ++i)
        exact.push_back(slow_forward(m, pixels[i], visible_of(plan, i)));
      const at::Tensor expected = at::cat(exact);
      m.encoder.set_precision(Precision::fp32);
      EXPECT_LT(relative_error(m.encoder.forward(pixels, plan, nullptr, nullptr), expected), 2e-6)
          << name << " " << visible;
      m.encoder.set_precision(Precision::bf16);
      EXPECT_LT(relative_error(m.encoder.forward(pixels, plan, nullptr, nullptr), expected), 0.02)
          << name << " " << visible;
    }
  }
}

TEST(Encoder, EncodesWholeImagesWithoutRegisters) {
  VitConfig c = config();
  c.registers = 3;
  Made m(c);
  const at::Tensor pixels = at::randn({2, 2, 8, 12});
  const at::Tensor tokens = m.encoder.encode(pixels);
  EXPECT_EQ(tokens.sizes(), (at::IntArrayRef{2, 1 + 6, 16}));
  const at::Tensor exact = slow_forward(m, pixels[1], {0, 1, 2, 3, 4, 5});
  EXPECT_LT(relative_error(tokens[1], at::cat({exact.narrow(0, 0, 1), exact.narrow(0, 4, 6)})),
            2e-6);
}

TEST(Encoder, TapsAloneAreTheTapsOfAWholePass) {
  Made m(config());
  const at::Tensor pixels = at::randn({2, 2, 8, 12});
  for (const char* name : {"encoder.embed", "encoder.0.block_out", "encoder.1.attention_out"}) {
    Taps whole({name}), alone({name});
    EXPECT_TRUE(m.encoder.encode(pixels, &whole).defined());
    EXPECT_FALSE(m.encoder.encode(pixels, &alone, /*taps_only=*/true).defined());
    EXPECT_TRUE(whole[name].equal(alone[name])) << name;
    EXPECT_EQ(alone[name].sizes(), (at::IntArrayRef{2, 7, 16}));
  }
}

// d sum(w * forward) / d parameter by central differences of the forward pass, along one random
// direction per parameter. 3e-3: differences of fp32 results at a step of 1e-2.
TEST(Encoder, GradientsAreThoseOfTheForwardPass) {
  for (const auto& [name, c] : kinds()) {
    Made m(c);
    const at::Tensor pixels = at::randn({2, 2, 8, 12});
    const MaskPlan plan = whole_image(2, c.n_patches());
    EncoderTrace trace;
    const at::Tensor out = m.encoder.forward(pixels, plan, &trace, nullptr);
    const at::Tensor w = at::randn_like(out);
    m.encoder.backward(w, trace);
    for (Parameter& p : m.parameters) {
      const at::Tensor direction = at::randn_like(p.value), before = p.value.clone();
      const auto at_step = [&](double step) {
        p.value.copy_(before + direction * step);
        m.encoder.parameters_changed();
        const at::Tensor y = m.encoder.forward(pixels, plan, nullptr, nullptr);
        return (y * w).sum(at::kDouble).item<double>();
      };
      const double step = 1e-2 / direction.norm().item<double>();
      const double slope = (at_step(step) - at_step(-step)) / (2 * step);
      p.value.copy_(before);
      const double scale = p.grad.norm().item<double>() * direction.norm().item<double>();
      EXPECT_NEAR((p.grad * direction).sum().item<double>(), slope, 3e-3 * scale)
          << name << " " << p.name;
    }
  }
}

TEST(Encoder, RefusesPixelsOfAnotherSize) {
  const Made m(config());
  for (const at::Tensor& pixels :
       {at::randn({1, 2, 12, 8}), at::randn({1, 3, 8, 12}), at::randn({2, 8, 12})}) {
    try {
      m.encoder.encode(pixels);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_NE(std::string(error.what()).find("2x8x12"), std::string::npos) << error.what();
    }
  }
}

TEST(WholeImage, ShowsEveryPatchInItsPlace) {
  const MaskPlan plan = whole_image(2, 3);
  EXPECT_EQ(plan.n_visible, 3);
  EXPECT_EQ(visible_of(plan, 1), (std::vector<std::int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace sgmae
