// Oracles: the model itself (its parameters, what its traces hold, and every byte that LibTorch
// hands out during a step), a packed data set's own index, and closed forms.
#include "sgmae/train/estimate.h"

#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/data/pack.h"
#include "sgmae/image/encode.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/products.h"
#include "sgmae/optim/groups.h"
#include "sgmae/train/gradient_exchange.h"
#include "tests/support/peak_bytes.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

// None of its widths fills whole cache lines.
MaeConfig odd() {
  MaeConfig config;
  config.height = 24;
  config.width = 32;
  config.patch_size = 8;
  config.encoder = {36, 3, 3};
  config.decoder = {20, 3, 5};
  return config;
}

EstimateInput input(const MaeConfig& model, std::int64_t batch = 4) {
  EstimateInput in;
  in.model = model;
  in.n_visible = model.n_patches() / 4;
  in.batch_size = batch;
  in.images = 1000;
  in.own_products = has_products(at::kCPU);
  in.probe_images = 0;
  return in;
}

TEST(Estimate, CountsTheModelsParameters) {
  for (const MaeConfig& config : {tiny_mae(), two_blocks(true), odd(), named_config("vit_tiny")}) {
    const Mae model(config, std::nullopt);
    const ParameterCount count = count_parameters(config);
    EXPECT_EQ(count.all, value_count(model.parameters()));
    std::int64_t trained = 0;
    for (const Parameter& p : model.parameters()) trained += p.trained() ? p.value.numel() : 0;
    EXPECT_EQ(count.trained, trained);
    EXPECT_EQ(count.flat * 4, flat_gradients(model.parameters()).storage().nbytes());
  }
  // He et al.: 112 M of the autoencoder around ViT-B, 330 M around ViT-L.
  EXPECT_EQ(count_parameters(named_config("vit_base")).all, 111907840);
  EXPECT_NEAR(static_cast<double>(count_parameters(named_config("vit_large")).all), 330e6, 1e6);
}

const std::pair<Precision, bool> ways[] = {  // and whether activations are checkpointed
    {Precision::fp32, false},
    {Precision::fp32, true},
    {Precision::bf16, false},
    {Precision::bf16, true}};

TEST(Estimate, TracesHoldWhatAForwardPassKeeps) {
  for (const MaeConfig& config : {tiny_mae(), two_blocks(true), odd()})
    for (const auto& [precision, checkpoint] : ways) {
      EstimateInput in = input(config);
      in.precision = precision;
      in.checkpoint_activations = checkpoint;
      Mae model(config, 1);
      model.set_precision(precision);
      model.checkpoint_activations(checkpoint);
      const at::Tensor pixels =
          at::randn({in.batch_size, config.channels, config.height, config.width});
      const at::Tensor order =
          at::randn({in.batch_size, config.n_patches()}).argsort(/*stable=*/true, /*dim=*/1);
      MaeTrace trace;
      model.forward(pixels, {order, in.n_visible}, trace);

      std::map<const void*, std::size_t> kept;  // bytes by piece of memory
      const auto keep = [&](const at::Tensor& t) {
        if (t.defined()) kept[t.storage().data()] = t.storage().nbytes();
      };
      std::vector<BlockTrace> blocks = trace.encoder.blocks;
      blocks.insert(blocks.end(), trace.decoder.blocks.begin(), trace.decoder.blocks.end());
      for (const BlockTrace& b : blocks)
        for (const at::Tensor& t :
             {b.attention.x, b.attention.qkv, b.attention.attended.out,
              b.attention.attended.log_sum_exp, b.attention.branch, b.attention.drop_path,
              b.mlp.input.x, b.mlp.input.delta, b.mlp.h, b.mlp.branch, b.mlp.drop_path, b.input.x,
              b.input.delta})
          keep(t);
      for (const Normed* norm : {&trace.encoder.norm, &trace.decoder.norm})
        for (const at::Tensor& t : {norm->sum, norm->y, norm->mean, norm->rstd}) keep(t);
      for (const at::Tensor& t : {trace.encoder.patches, trace.latent}) keep(t);
      std::size_t bytes = 0;
      for (const auto& [memory, size] : kept) bytes += size;
      EXPECT_EQ(trace_bytes(in), static_cast<std::int64_t>(bytes));
    }
}

double bytes_of_a_step(const EstimateInput& in) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  Mae model(in.model, 1);
  model.set_precision(in.precision);
  model.checkpoint_activations(in.checkpoint_activations);
  const at::Tensor pixels =
      at::randn({in.batch_size, in.model.channels, in.model.height, in.model.width});
  const MaskPlan plan{
      at::randn({in.batch_size, in.model.n_patches()}).argsort(/*stable=*/true, /*dim=*/1),
      in.n_visible};
  model.forward_backward(pixels, plan);                        // memory for packing stays
  if (in.accum_iter == 1) zero_gradients(model.parameters());  // as after an optimizer's step
  const double peak = peak_bytes([&] { model.forward_backward(pixels, plan); });
  at::set_num_threads(threads);
  return peak;
}

// A wide decoder, a wide encoder, blocks that are all alike, and an encoder whose gradients have
// room for some of what the decoder keeps. What the formulas leave out (the plan, statistics of
// norms, attention's own memory of one image) is less than 1 % of it.
TEST(Estimate, StepHoldsWhatLibTorchHandsOut) {
  MaeConfig decoder;
  decoder.height = decoder.width = 64;
  decoder.patch_size = 8;
  decoder.encoder = {64, 2, 2};
  decoder.decoder = {128, 4, 4};
  MaeConfig encoder = decoder;
  encoder.encoder = {192, 8, 3};
  encoder.decoder = {32, 1, 2};
  MaeConfig alike = decoder;
  alike.encoder = alike.decoder = {96, 4, 3};
  alike.mlp_ratio = 2;
  MaeConfig lending = decoder;
  lending.encoder = {192, 4, 3};
  lending.decoder = {64, 4, 4};
  for (const MaeConfig& config : {decoder, encoder, alike, lending})
    for (const auto& [precision, checkpoint] : ways) {
      EstimateInput in = input(config, 32);
      in.precision = precision;
      in.checkpoint_activations = checkpoint;
      std::map<std::int64_t, double> held;
      for (const std::int64_t accum_iter : {1, 2}) {
        in.accum_iter = accum_iter;
        held[accum_iter] = bytes_of_a_step(in);
        EXPECT_NEAR(estimate_memory(in).activations / held[accum_iter], 1, 0.01)
            << config.encoder.dim << " and " << config.decoder.dim << ", " << name_of(precision)
            << ", " << accum_iter << ": " << held[accum_iter];
      }
      if (in.own_products && !checkpoint && config.encoder.dim > config.decoder.dim &&
          config.decoder.depth > 1) {
        EXPECT_LT(held[1], held[2]);
      }
    }
}

TEST(Estimate, MemoryOfParametersIsFourNumbersEach) {
  const MemoryEstimate m = estimate_memory(input(named_config("vit_base")));
  const ParameterCount count = count_parameters(named_config("vit_base"));
  EXPECT_EQ(m.weights, 4.0 * 111907840);
  EXPECT_EQ(m.gradients, 4.0 * static_cast<double>(count.flat));
  EXPECT_EQ(m.moments, 8.0 * static_cast<double>(count.trained));
  EXPECT_EQ(m.sum(), m.weights + m.gradients + m.moments + m.weight_copies + m.activations +
                         m.packing + m.gaps + m.batches + m.data_set + m.program);
}

TEST(Estimate, MemoryOfKeptImagesIsTheHosts) {
  EstimateInput in = input(tiny_mae());
  const MemoryEstimate none = estimate_memory(in);
  in.kept_bytes = 1'000'000;
  EXPECT_EQ(estimate_memory(in).of_host() - none.of_host(), 1e6);
  EXPECT_EQ(estimate_memory(in).of_model(), none.of_model());
}

TEST(Estimate, BfloatCopiesAreOnlyWhereProductsAreLibTorchs) {
  EstimateInput in = input(tiny_mae());
  in.precision = Precision::bf16;
  in.own_products = true;
  EXPECT_EQ(estimate_memory(in).weight_copies, 0);
  in.own_products = false;
  EXPECT_EQ(estimate_memory(in).weight_copies,
            2.0 * static_cast<double>(count_parameters(tiny_mae()).trained));
  in.precision = Precision::fp32;
  EXPECT_EQ(estimate_memory(in).weight_copies, 0);
}

TEST(Estimate, ShardedOptimizerSharesMomentsAndOnOneHostWeights) {
  EstimateInput in = input(named_config("vit_base"));
  in.processes = 16;
  const MemoryEstimate whole = estimate_memory(in);
  const ExchangeEstimate sums = estimate_exchange(in);
  in.shard_optimizer = true;
  const MemoryEstimate shard = estimate_memory(in);
  EXPECT_EQ(shard.moments, whole.moments / 16);
  EXPECT_EQ(shard.weights, whole.weights);
  EXPECT_EQ(shard.gradients, whole.gradients);
  EXPECT_EQ(shard.activations, whole.activations);
  // Sum and gathering are the halves of a sum for all; weights have no room between them.
  EXPECT_NEAR(estimate_exchange(in).link_bytes / sums.link_bytes, 1, 1e-3);
  in.processes = 4;
  EXPECT_EQ(estimate_memory(in).weights, whole.weights / 4);
  in.on_cpu = false;
  EXPECT_EQ(estimate_memory(in).weights, whole.weights);
}

TEST(Estimate, CheckpointedBlocksKeepTheirInputs) {
  EstimateInput in = input(named_config("vit_base"), 64);
  in.precision = Precision::bf16;
  in.checkpoint_activations = true;
  const double seen = 64 * 50, all = 64 * 197, masked = 64 * 147;
  const double last = all * (12 * 512 + 4 * 16) + masked * (4 * 512 + 2 * 512 + 2 * 2048);
  EXPECT_EQ(static_cast<double>(trace_bytes(in)),
            seen * 768 * (12 * 6 - 2) + all * 512 * (7 * 6 - 2) + last + 64 * 49 * 768 * 2 +
                seen * (6 * 768 + 8) + masked * (6 * 512 + 8));
  EstimateInput kept = in;
  kept.checkpoint_activations = false;
  EXPECT_LT(estimate_memory(in).activations, 0.6 * estimate_memory(kept).activations);
}

TEST(Estimate, ExchangesFlatGradients) {
  EstimateInput in = input(odd());
  EXPECT_EQ(estimate_exchange(in).bytes, 0);  // alone
  in.processes = 8;
  Mae model(odd(), 1);
  EXPECT_EQ(estimate_exchange(in).bytes,
            static_cast<double>(flat_gradients(model.parameters()).storage().nbytes()));
  EXPECT_EQ(estimate_exchange(in).link_bytes, 0);  // of one host
  in.processes = 64;
  const ExchangeEstimate e = estimate_exchange(in);
  EXPECT_DOUBLE_EQ(e.link_bytes, 2 * 63.0 / 64 * e.bytes);
}

TEST(Estimate, TimeOfOneProcessIsPassesAndSteps) {
  EstimateInput in = input(tiny_mae(), 10);
  in.accum_iter = 2, in.epochs = 36, in.images = 1005;  // 50 steps an epoch
  in.speed = MeasuredSpeed{0.1, 0.5};
  const TimeEstimate t = estimate_time(in, 0);
  EXPECT_DOUBLE_EQ(t.step, 2.5);
  EXPECT_DOUBLE_EQ(t.images_per_second, 8);
  EXPECT_DOUBLE_EQ(t.hours, 36 * 50 * 2.5 / 3600);
  EXPECT_EQ(t.process_hours, t.hours);
}

TEST(Estimate, BackwardHidesSumsButForTheLastBucket) {
  EstimateInput in = input(named_config("vit_base"), 1);
  in.processes = 16, in.images = 1600, in.epochs = 1;
  in.speed = MeasuredSpeed{3, 0};  // backward is two seconds
  const ExchangeEstimate e = estimate_exchange(in);
  const auto gbits = [&](double seconds) { return e.link_bytes * 8e-9 / seconds; };
  const double bucket = static_cast<double>(GradientExchange::bucket_bytes) / e.bytes;
  TimeEstimate t = estimate_time(in, gbits(1));
  EXPECT_DOUBLE_EQ(t.exchange, 1);
  EXPECT_DOUBLE_EQ(t.step, 3 + bucket);
  EXPECT_DOUBLE_EQ(t.step_unhidden, 4);
  t = estimate_time(in, gbits(7));
  EXPECT_DOUBLE_EQ(t.step, 3 + 5);  // two of seven seconds are hidden
  in.shard_optimizer = true;
  t = estimate_time(in, gbits(1));
  EXPECT_NEAR(t.step, 3 + 0.5 * bucket + 0.5, 1e-3);  // nothing hides the weights' way back
}

TEST(Estimate, GuidanceIsForwardPassesOverAllImages) {
  EstimateInput in = input(named_config("vit_base"));
  in.speed = MeasuredSpeed{1, 0};
  const double alone = estimate_time(in, 0).hours;
  in.masks.map_passes = 2, in.masks.map_pass.encoder = 1;
  // A whole image is 17.58 GMAC of the encoder; training takes 58.7 GFLOP (flops_test.cpp).
  EXPECT_NEAR(estimate_arithmetic(in).map_flop_per_image * 1e-9, 35.2, 0.1);
  const TimeEstimate t = estimate_time(in, 0);
  EXPECT_NEAR(t.guidance_hours, 2 * 1000 * 35.2 / 58.7 / 3600, 1e-2);
  EXPECT_DOUBLE_EQ(t.hours, alone + t.guidance_hours);
  in.masks.map_pass.autoencoder = 3;  // as much as a training pass
  EXPECT_NEAR(estimate_arithmetic(in).map_flop_per_image * 1e-9, 35.2 + 58.7, 0.3);
}

TEST(Estimate, FilesOfARun) {
  EstimateInput in = input(named_config("vit_base"));
  in.images = 1'000'000'000, in.masks.map_passes = 1, in.epochs = 400, in.save_every = 20;
  const FilesEstimate f = estimate_files(in);
  EXPECT_EQ(f.maps, 1e9 * 196 * 2);
  EXPECT_EQ(f.model, 4.0 * 111907840);
  EXPECT_EQ(f.index, 1e9 * (4 + 30));
  EXPECT_EQ(f.run, 20 * f.model + 2 * f.state + f.maps);
  in.masks.map_passes = 0;
  EXPECT_EQ(estimate_files(in).maps, 0);
  EXPECT_EQ(f.open_images, 10);  // one for each thread that decodes
  EXPECT_EQ(f.descriptors, 10 + 17);
  // Listed in /proc for runs of 2 and 4 processes with image files: 6 and 10 sockets of process 0.
  in.processes = 4;
  EXPECT_EQ(estimate_files(in).descriptors, 10 + 17 + 10);
}

TEST(Estimate, IndexOfAPackIsThePacks) {
  const TemporaryFolder folder;
  const auto index_size = [&](int images) {
    const auto root = folder.root() / std::to_string(images);
    std::filesystem::create_directories(root / "set");
    for (int i = 0; i < images; ++i)
      write_png(root / "set" / ("image" + std::to_string(i) + ".png"),
                Image{4, 4, 1, std::vector<std::uint8_t>(16)});
    write_pack(*open_source(root / "set"), root / "train.sgpack", {});
    const std::string bytes = read_text(root / "train.sgpack");
    return static_cast<double>(
        read_pack_header({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                         bytes.size())
            .index_size);
  };
  EstimateInput in = input(tiny_mae());
  in.store = ImageStore::pack, in.name_length = 10;  // image0.png
  in.images = 5;
  EXPECT_EQ(estimate_files(in).index, index_size(8) - index_size(3));
}

TEST(Estimate, SaysWhatNoRunCouldBe) {
  const auto said = [](const auto& change) -> std::string {
    EstimateInput in = input(tiny_mae());
    change(in);
    try {
      check_estimate(in);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said([](EstimateInput&) {}), "");
  const auto expect = [&](const char* what, const std::string& sentence) {
    EXPECT_NE(sentence.find(what), std::string::npos) << sentence;
  };
  expect("images must be in 1 ..", said([](EstimateInput& in) { in.images = 0; }));
  expect("processes must be in 1 ..", said([](EstimateInput& in) { in.processes = 0; }));
  expect("processes_per_host must", said([](EstimateInput& in) { in.processes_per_host = -8; }));
  expect("fewer than one step needs (batch_size 4 x accum_iter 1 x 251 processes)",
         said([](EstimateInput& in) { in.processes = 251; }));
  expect("change mask_ratio", said([](EstimateInput& in) { in.n_visible = 0; }));
}

}  // namespace
}  // namespace sgmae
