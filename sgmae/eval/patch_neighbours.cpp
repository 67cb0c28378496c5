#include "sgmae/eval/patch_neighbours.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <memory>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/label_map.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {
namespace {

// Least share of votes that a class is given, so that its logarithm is a number.
constexpr double least_share = 1e-4;

// [B, N, D] of patches after the final norm.
at::Tensor patch_tokens(const Encoder& encoder, const at::Tensor& pixels) {
  const at::Tensor tokens = encoder.encode(pixels).cpu();
  const std::int64_t n = encoder.config().n_patches();
  return tokens.narrow(1, tokens.size(1) - n, n);
}

}  // namespace

std::vector<std::int64_t> patch_classes(const std::uint8_t* labels, std::int64_t height,
                                        std::int64_t width, std::int64_t patch) {
  std::vector<std::int64_t> classes;
  for (std::int64_t y = 0; y < height; y += patch)
    for (std::int64_t x = 0; x < width; x += patch) {
      std::array<std::int64_t, 256> pixels{};
      for (std::int64_t row = y; row < y + patch; ++row)
        for (std::int64_t column = x; column < x + patch; ++column)
          ++pixels[labels[row * width + column]];
      const std::int64_t unlabelled = pixels[unlabelled_pixel];
      const auto best = std::max_element(pixels.begin(), pixels.begin() + unlabelled_pixel);
      classes.push_back(2 * unlabelled > patch * patch ? -1 : best - pixels.begin());
    }
  return classes;
}

PixelClassifier classify_by_neighbours(const Encoder& encoder, const Source& train,
                                       std::int64_t classes, const LoaderOptions& loader,
                                       const PatchNeighbours& options) {
  const VitConfig& config = encoder.config();
  const std::int64_t n = config.n_patches(), d = config.size.dim;
  const std::int64_t of_an_image =
      std::clamp<std::int64_t>((options.patches + train.size() - 1) / train.size(), 1, n);
  std::vector<at::Tensor> features{at::empty({0, d}, at::kFloat)};
  std::vector<std::int64_t> labels;
  shared_pass("patches of training images", train, loader, [&](const Batch& batch) {
    const at::Tensor tokens = patch_tokens(encoder, batch.pixels);
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const std::vector<std::int64_t> of_patch = patch_classes(
          batch.labels.const_data_ptr<std::uint8_t>() + i * config.height * config.width,
          config.height, config.width, config.patch_size);
      const auto image = static_cast<std::uint64_t>(batch.index[static_cast<std::size_t>(i)]);
      std::vector<std::int64_t> kept;
      for (const std::int64_t patch : Rng(loader.seed, 0, image, Purpose::patches).permutation(n)) {
        const std::int64_t label = of_patch[static_cast<std::size_t>(patch)];
        if (label < 0 || static_cast<std::int64_t>(kept.size()) == of_an_image) continue;
        kept.push_back(patch);
        labels.push_back(label);
      }
      features.push_back(tokens[i].index_select(0, at::tensor(kept, at::kLong)));
    }
  });
  const at::Tensor all = at::cat(processes().gather(at::cat(features)));
  std::vector<std::int64_t> all_labels;
  const auto own =
      at::from_blob(labels.data(), {static_cast<std::int64_t>(labels.size())}, at::kLong);
  for (const at::Tensor& part : processes().gather(own))
    all_labels.insert(all_labels.end(), part.const_data_ptr<std::int64_t>(),
                      part.const_data_ptr<std::int64_t>() + part.numel());
  check(all.size(0) >= options.votes.k, ExitCode::data, "the training images have only ",
        all.size(0), " labelled patches, too few for ", options.votes.k, " neighbours");
  const auto keys = std::make_shared<LabelledFeatures>(all, all_labels, classes);

  const auto logits = [&encoder, keys, votes = options.votes](const at::Tensor& pixels) {
    const VitConfig& c = encoder.config();
    const std::int64_t rows = pixels.size(2) / c.patch_size,
                       columns = pixels.size(3) / c.patch_size;
    const at::Tensor filled =
        at::constant_pad_nd(pixels, {0, c.width - pixels.size(3), 0, c.height - pixels.size(2)});
    const at::Tensor tokens = patch_tokens(encoder, filled)
                                  .view({pixels.size(0), c.grid_height(), c.grid_width(), -1})
                                  .narrow(1, 0, rows)
                                  .narrow(2, 0, columns)
                                  .reshape({-1, c.size.dim});
    const at::Tensor given = keys->votes(tokens, {votes}).front();
    return given.div(given.sum(1, /*keepdim=*/true))
        .clamp_min(least_share)
        .log()
        .to(at::kFloat)
        .view({pixels.size(0), rows, columns, keys->classes()})
        .permute({0, 3, 1, 2});
  };
  return {.logits = logits,
          .side = config.height,
          .patch = config.patch_size,
          .channels = config.channels,
          .normalisation = loader.normalisation};
}

}  // namespace sgmae
