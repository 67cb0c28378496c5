#include "sgmae/nn/encoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {
namespace {

void check_pixels(const VitConfig& config, const at::Tensor& pixels) {
  check(pixels.dim() == 4 && pixels.size(1) == config.channels && pixels.size(2) == config.height &&
            pixels.size(3) == config.width,
        ExitCode::usage, "the model expects images of ", config.channels, "x", config.height, "x",
        config.width, " (channels x height x width), but got ",
        pixels.dim() == 4 ? str(pixels.size(1), "x", pixels.size(2), "x", pixels.size(3))
                          : str(pixels.dim(), "-dimensional pixels"));
}

// Of images that are the model's or the upper left corner of such.
GridSize grid_of(const VitConfig& config, const at::Tensor& pixels) {
  const bool fits = pixels.dim() == 4 && pixels.size(1) == config.channels &&
                    pixels.size(2) <= config.height && pixels.size(3) <= config.width &&
                    pixels.numel() > 0 && pixels.size(2) % config.patch_size == 0 &&
                    pixels.size(3) % config.patch_size == 0;
  if (!fits) check_pixels(config, pixels);
  return {pixels.size(2) / config.patch_size, pixels.size(3) / config.patch_size};
}

// Of a table [1, cls + rows*cols, D] of positions in `whole`, those of its upper left corner, as a
// table of the same kind; the row of a class token stays.
at::Tensor corner(const at::Tensor& table, GridSize whole, GridSize part) {
  if (part == whole) return table;
  const std::int64_t n = whole.rows * whole.cols, cls = table.size(1) - n, dim = table.size(2);
  const at::Tensor places = table.narrow(1, cls, n)
                                .view({1, whole.rows, whole.cols, dim})
                                .narrow(1, 0, part.rows)
                                .narrow(2, 0, part.cols)
                                .reshape({1, -1, dim});
  return cls == 0 ? places : at::cat({table.narrow(1, 0, cls), places}, 1);
}

// The inverse for gradients: d [1, cls + n, D] is added to the table's corner.
void add_to_corner(const at::Tensor& table, GridSize whole, GridSize part, const at::Tensor& d) {
  if (part == whole) {
    table.add_(d);
    return;
  }
  const std::int64_t n = whole.rows * whole.cols, cls = table.size(1) - n, dim = table.size(2);
  table.narrow(1, 0, cls).add_(d.narrow(1, 0, cls));
  table.narrow(1, cls, n)
      .view({1, whole.rows, whole.cols, dim})
      .narrow(1, 0, part.rows)
      .narrow(2, 0, part.cols)
      .add_(d.narrow(1, cls, d.size(1) - cls).view({1, part.rows, part.cols, dim}));
}

// How many encoder blocks must run for the taps.
std::size_t depth_of(const Taps& taps, std::size_t depth) {
  while (depth > 0) {
    const std::string prefix = str("encoder.", depth - 1, ".");
    const auto found = taps.wanted().lower_bound(prefix);
    if (found != taps.wanted().end() && found->starts_with(prefix)) break;
    --depth;
  }
  return depth;
}

// x [B*(cls+n), D] with the registers [1, R, D] put behind each image's class token, cls = 0 or 1.
at::Tensor insert_registers(const at::Tensor& x, std::int64_t batch, std::int64_t cls,
                            const at::Tensor& registers) {
  const at::Tensor tokens = x.view({batch, -1, x.size(1)});
  return at::cat({tokens.narrow(1, 0, cls), registers.expand({batch, -1, -1}),
                  tokens.narrow(1, cls, tokens.size(1) - cls)},
                 1)
      .view({-1, x.size(1)});
}

// The inverse for gradients: adds the registers' to `grad`, returns the others.
at::Tensor take_registers(const at::Tensor& dx, std::int64_t batch, std::int64_t cls,
                          at::Tensor& grad) {
  const std::int64_t n = grad.size(1);
  const at::Tensor tokens = dx.view({batch, -1, dx.size(1)});
  grad.add_(tokens.narrow(1, cls, n).sum(0, /*keepdim=*/true));
  return at::cat({tokens.narrow(1, 0, cls), tokens.narrow(1, cls + n, tokens.size(1) - cls - n)}, 1)
      .view({-1, dx.size(1)});
}

}  // namespace

void Encoder::add_tokens(const VitConfig& config, bool train_pos_embed, Initialiser& init) {
  config_ = config;
  const std::int64_t dim = config.size.dim;
  if (config.class_token) cls_token_ = init.normal("cls_token", {1, 1, dim}, 0.02);
  if (config.registers > 0) registers_ = init.normal("reg_token", {1, config.registers, dim}, 0.02);
  if (!config.position_embedding) return;
  at::Tensor table = sincos_position_embedding(config.grid_height(), config.grid_width(), dim);
  if (!config.class_token) table = table.narrow(1, 1, config.n_patches()).contiguous();
  pos_embed_ = train_pos_embed ? init.trained("pos_embed", std::move(table))
                               : init.fixed("pos_embed", std::move(table));
}

void Encoder::add_layers(Initialiser& init) {
  const std::int64_t dim = config_.size.dim, fan_in = config_.patch_values();
  patch_embed_.weight =
      init.xavier("patch_embed.proj.weight",
                  {dim, config_.channels, config_.patch_size, config_.patch_size}, fan_in, dim);
  // MAE leaves this bias at the convolution's default, U(+-1/sqrt(fan_in)).
  patch_embed_.bias =
      init.uniform("patch_embed.proj.bias", {dim}, 1.0 / std::sqrt(static_cast<double>(fan_in)));
  blocks_ = init.blocks("blocks.", config_);
  if (config_.has_final_norm()) norm_ = init.layer_norm("norm", dim);
  parameters_changed();
}

void Encoder::set_precision(Precision precision) {
  type_ = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  parameters_changed();
}

void Encoder::parameters_changed() {
  patch_embed_.prepare(type_);
  for (Block& block : blocks_) block.prepare(type_);
}

StreamShape Encoder::shape(const MaskPlan& plan, GridSize grid) const {
  return {plan.order.size(0),
          config_.prefix_tokens() + plan.n_visible,
          config_.size.dim,
          config_.layer_norm_eps,
          type_,
          grid};
}

// embedded [B*n_visible, D] activations -> [B*(cls+n_visible), D] fp32, each with its position.
at::Tensor Encoder::placed_tokens(const at::Tensor& embedded, const MaskPlan& plan,
                                  GridSize grid) const {
  const at::Tensor positions =
      pos_embed_ ? corner(pos_embed_->value, this->grid(), grid) : at::Tensor();
  if (cls_token_ && pos_embed_)
    return embed_tokens(embedded, plan.order, plan.n_visible, cls_token_->value, positions);
  const std::int64_t batch = plan.order.size(0), dim = config_.size.dim;
  at::Tensor tokens = embedded.to(at::kFloat).view({batch, plan.n_visible, dim});
  if (pos_embed_) {
    const at::Tensor visible = plan.order.narrow(1, 0, plan.n_visible).reshape({-1});
    tokens = tokens.add(positions[0].index_select(0, visible).view(tokens.sizes()));
  }
  if (cls_token_) tokens = at::cat({cls_token_->value.expand({batch, 1, dim}), tokens}, 1);
  return tokens.view({-1, dim});
}

// Of tokens [B*(prefix+n_visible), D] those of patches, [B, n_visible, D], sharing memory.
at::Tensor Encoder::patch_rows(const at::Tensor& x, const MaskPlan& plan) const {
  return x.view({plan.order.size(0), -1, config_.size.dim})
      .narrow(1, config_.prefix_tokens(), plan.n_visible);
}

Stream Encoder::embed(const at::Tensor& given_pixels, const MaskPlan& plan, GridSize grid,
                      std::size_t depth, EncoderTrace* trace, Taps* taps) const {
  const at::Tensor pixels = given_pixels.to(device(), /*non_blocking=*/true);
  SGMAE_ASSERT(config_.attention.empty() || plan.n_visible == grid.rows * grid.cols);
  const at::Tensor patches =
      gather_patches(pixels, plan.order, plan.n_visible, config_.patch_size, type_);
  Stream stream{placed_tokens(patch_embed_.forward(patches), plan, grid), {}};
  if (registers_)
    stream.x =
        insert_registers(stream.x, pixels.size(0), config_.class_tokens(), registers_->value);
  if (trace && trace->token_weights.defined()) {
    trace->tokens = patch_rows(stream.x, plan);
    stream.x = stream.x.clone();
    patch_rows(stream.x, plan).mul_(trace->token_weights.unsqueeze(2));
  }
  if (taps && taps->wants("encoder.embed"))
    taps->put("encoder.embed", stream.x.view({pixels.size(0), -1, config_.size.dim}));
  if (trace) {
    SGMAE_ASSERT(trace->drop_path.empty() || trace->drop_path.size() == blocks_.size());
    trace->plan = plan;
    trace->grid = grid;
    trace->patches = patches;
    trace->blocks.resize(depth);
  }
  return stream;
}

void Encoder::run_blocks(std::size_t first, std::size_t end, const StreamShape& shape,
                         Stream& stream, EncoderTrace* trace, Taps* taps) const {
  for (std::size_t i = first; i < end; ++i) {
    const DropPath drop_path =
        trace && !trace->drop_path.empty() ? trace->drop_path[i] : DropPath{};
    BlockTrace* kept = trace ? &trace->blocks[i] : nullptr;
    if (kept && checkpoints_) *std::exchange(kept, nullptr) = checkpoint(stream, drop_path);
    block_forward(blocks_[i], shape, stream, kept, taps, str("encoder.", i, "."), drop_path);
  }
}

at::Tensor Encoder::forward(const at::Tensor& pixels, const MaskPlan& given_plan,
                            EncoderTrace* trace, Taps* taps) const {
  check_pixels(config_, pixels);
  const MaskPlan plan = plan_on(device(), given_plan);
  Stream stream = embed(pixels, plan, grid(), blocks_.size(), trace, taps);
  run_blocks(0, blocks_.size(), shape(plan, grid()), stream, trace, taps);
  if (!norm_.weight) return stream.value();
  Normed normed = norm_.forward(stream.x, stream.delta, config_.layer_norm_eps, type_);
  const at::Tensor latent = std::move(normed.y);
  if (trace) trace->norm = std::move(normed);
  return latent;
}

std::vector<at::Tensor> Encoder::forward_features(const at::Tensor& pixels,
                                                  const std::vector<std::int64_t>& blocks,
                                                  EncoderTrace* trace) const {
  const at::NoGradGuard no_grad;
  SGMAE_ASSERT(!blocks.empty() && blocks.front() >= 0 && blocks.back() < config_.size.depth);
  const GridSize grid = grid_of(config_, pixels);
  const MaskPlan plan = whole_image(pixels.size(0), grid.rows * grid.cols, device());
  Stream stream =
      embed(pixels, plan, grid, static_cast<std::size_t>(blocks.back() + 1), trace, nullptr);
  if (trace) trace->features = blocks;
  std::vector<at::Tensor> features;
  std::size_t done = 0;
  for (const std::int64_t block : blocks) {
    const auto end = static_cast<std::size_t>(block + 1);
    SGMAE_ASSERT(end > done);
    run_blocks(done, end, shape(plan, grid), stream, trace, nullptr);
    stream = {stream.value(), {}};  // as the next norm would
    features.push_back(stream.x.view({pixels.size(0), -1, config_.size.dim}));
    done = end;
  }
  return features;
}

at::Tensor Encoder::encode(const at::Tensor& pixels, Taps* taps, bool taps_only) const {
  const at::NoGradGuard no_grad;
  check_pixels(config_, pixels);
  const std::int64_t batch = pixels.size(0);
  const MaskPlan plan = whole_image(batch, config_.n_patches(), device());
  if (taps_only) {
    SGMAE_ASSERT(taps);
    Stream stream = embed(pixels, plan, grid(), 0, nullptr, taps);
    const std::size_t depth = depth_of(*taps, blocks_.size());
    if (depth == 0) return {};
    // What is wanted of the last block may all be its attention's.
    const std::string last = str("encoder.", depth - 1, ".");
    const bool whole = taps->wants(last + "block_out") || taps->wants(last + "attention_add");
    run_blocks(0, whole ? depth : depth - 1, shape(plan, grid()), stream, nullptr, taps);
    if (!whole)
      attention_forward(blocks_[depth - 1], shape(plan, grid()), stream, nullptr, taps, last);
    return {};
  }
  const at::Tensor tokens = forward(pixels, plan, nullptr, taps)
                                .to(pixels.device(), at::kFloat)
                                .view({batch, -1, config_.size.dim});
  if (!registers_) return tokens;
  return at::cat({tokens.narrow(1, 0, config_.class_tokens()),
                  tokens.narrow(1, config_.prefix_tokens(), config_.n_patches())},
                 1);
}

void Encoder::run_blocks_backward(std::size_t first, std::size_t end, at::Tensor& dx,
                                  EncoderTrace& trace) {
  for (std::size_t i = end; i-- > first;) {
    if (dx.defined())
      block_backward(blocks_[i], shape(trace.plan, trace.grid), trace.blocks[i], dx);
    if (i < trace.blocks.size()) trace.blocks[i] = {};  // its memory serves the next block
    if (trace.gradients_ready) trace.gradients_ready(blocks_[i].parameters);
  }
}

void Encoder::embed_backward(at::Tensor dx, EncoderTrace& trace, at::Tensor* dpixels) {
  const std::int64_t batch = trace.plan.order.size(0);
  if (trace.token_weights.defined()) {
    const at::Tensor dtokens = patch_rows(dx, trace.plan);
    trace.dtoken_weights = dtokens.mul(trace.tokens).sum(2);
    dtokens.mul_(trace.token_weights.unsqueeze(2));
  }
  if (registers_) dx = take_registers(dx, batch, config_.class_tokens(), registers_->grad);
  if (pos_embed_ && pos_embed_->trained()) {
    // Whole images, patches in place.
    SGMAE_ASSERT(trace.plan.n_visible == trace.grid.rows * trace.grid.cols);
    add_to_corner(pos_embed_->grad, grid(), trace.grid,
                  dx.view({batch, -1, config_.size.dim}).sum(0, /*keepdim=*/true));
  }
  at::Tensor dcls = cls_token_ ? gradient_memory(*cls_token_) : at::Tensor();
  const at::Tensor dembedded = (cls_token_ ? embed_tokens_backward(dx, batch, dcls) : dx).to(type_);
  patch_embed_.add_gradients(dembedded, trace.patches);
  announce(trace.gradients_ready,
           {cls_token_, registers_, pos_embed_, patch_embed_.weight, patch_embed_.bias});
  if (dpixels)
    *dpixels = gather_patches_backward(patch_embed_.input_gradient(dembedded), trace.plan.order,
                                       trace.plan.n_visible, config_.channels,
                                       trace.grid.rows * config_.patch_size,
                                       trace.grid.cols * config_.patch_size);
}

void Encoder::backward(const at::Tensor& dlatent, EncoderTrace& trace, at::Tensor* dpixels) {
  at::Tensor dx;
  if (norm_.weight) {
    dx = at::zeros_like(trace.norm.sum);
    norm_.backward(dlatent, trace.norm, dx);
    announce(trace.gradients_ready, {norm_.weight, norm_.bias});
  } else {
    dx = dlatent.to(at::kFloat).clone();
  }
  run_blocks_backward(0, blocks_.size(), dx, trace);
  embed_backward(std::move(dx), trace, dpixels);
}

void Encoder::backward_features(const std::vector<at::Tensor>& dfeatures, EncoderTrace& trace,
                                at::Tensor* dpixels) {
  const at::NoGradGuard no_grad;
  SGMAE_ASSERT(dfeatures.size() == trace.features.size());
  announce(trace.gradients_ready, {norm_.weight, norm_.bias});
  at::Tensor dx;
  std::size_t end = blocks_.size();
  for (std::size_t i = dfeatures.size(); i-- > 0;) {
    const auto begin = static_cast<std::size_t>(trace.features[i] + 1);
    run_blocks_backward(begin, end, dx, trace);
    end = begin;
    if (!dfeatures[i].defined()) continue;
    const at::Tensor d = dfeatures[i].reshape({-1, config_.size.dim});
    dx = dx.defined() ? dx.add_(d) : d.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }
  SGMAE_ASSERT(dx.defined());
  run_blocks_backward(0, end, dx, trace);
  embed_backward(std::move(dx), trace, dpixels);
}

MaskPlan whole_image(std::int64_t batch, std::int64_t n_patches, at::Device device) {
  return {at::arange(n_patches, at::TensorOptions(at::kLong).device(device))
              .expand({batch, n_patches})
              .contiguous(),
          n_patches};
}

}  // namespace sgmae
