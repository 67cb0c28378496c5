// sgmae forward: tensors in, tensors out, so that any model can be held against any other
// implementation. Formats: docs/architecture.md, "Tensor files".
#include <algorithm>
#include <memory>
#include <sstream>

#include <ATen/ops/argsort.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>

#include "cli/command.h"
#include "cli/pixels_file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

struct ForwardOptions {
  std::string checkpoint, input, output, taps;
  double mask_ratio = 0.75;
  OpenOptions open;
  ComputeOptions compute{.precision = PrecisionChoice::fp32};  // for checking a model

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "run folder or checkpoint of any family");
    open.declare(o);
    o.section("data");
    o.add("input", input, "safetensors file with `pixels` and perhaps `noise`");
    o.add("output", output, "safetensors file to write");
    o.add("taps", taps,
          "intermediate tensors to add, e.g. encoder.*.attention,decoder.0.block_out "
          "(attention, attention_out, block_out, key)");
    o.section("mask");
    o.add("mask_ratio", mask_ratio, "fraction of patches to mask, those with the largest noise");
    o.section("run");
    compute.declare(o);
  }
};

// "encoder.*.attention,…" as the names of taps.
std::vector<std::string> tap_names(const std::string& list, std::int64_t encoder_depth,
                                   std::int64_t decoder_depth) {
  std::vector<std::string> names;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const std::size_t first = word.find('.'), last = word.rfind('.');
    check(first != std::string::npos && last != first, ExitCode::usage, "--taps: '", word,
          "' is not PART.BLOCK.WHAT, e.g. encoder.*.attention");
    const std::string part = word.substr(0, first),
                      block = word.substr(first + 1, last - first - 1),
                      what = word.substr(last + 1);
    check(part == "encoder" || part == "decoder", ExitCode::usage, "--taps: no part '", part, "'");
    check(part == "encoder" || decoder_depth > 0, ExitCode::usage,
          "--taps: the decoder only runs when the input has `noise`");
    check(what == "attention" || what == "attention_out" || what == "block_out" || what == "key",
          ExitCode::usage, "--taps: '", what,
          "' is not attention, attention_out, block_out or key");
    const std::int64_t depth = part == "encoder" ? encoder_depth : decoder_depth;
    bool found = false;
    for (std::int64_t i = 0; i < depth; ++i)
      if (block == "*" || block == std::to_string(i)) {
        names.push_back(str(part, ".", i, ".", what));
        found = true;
      }
    check(found, ExitCode::usage, "--taps: the ", part, " has no block ", block, "; it has ",
          depth);
  }
  return names;
}

nlohmann::ordered_json run_forward(const ForwardOptions& options) {
  for (const auto& [name, value] :
       {std::pair{"checkpoint", options.checkpoint}, std::pair{"input", options.input},
        std::pair{"output", options.output}})
    check(!value.empty(), ExitCode::usage, "--", name, " is missing");
  use_threads(options.compute.threads);
  const auto [file, pixels] = read_pixels_file(options.input);
  const at::Tensor* noise = file.find("noise");
  OpenedModel opened = open_model(options.checkpoint, options.open);
  check(!noise || opened.mae(), ExitCode::checkpoint, opened.path.string(),
        ": contains only an encoder, and `noise` needs the decoder too; use a full checkpoint");
  place(opened, options.compute);
  const VitConfig& config = opened.encoder().config();

  Taps taps(
      tap_names(options.taps, config.size.depth, noise ? opened.mae()->config().decoder.depth : 0));
  NamedTensors out;
  if (noise) {
    check(noise->dim() == 2 && noise->size(0) == pixels.size(0) &&
              noise->size(1) == config.n_patches(),
          ExitCode::data, options.input, ": `noise` must be [", pixels.size(0), ", ",
          config.n_patches(), "]");
    check(at::isfinite(*noise).all().item<bool>(), ExitCode::data, options.input,
          ": `noise` contains non-finite values, which cannot be ordered");
    const std::int64_t n_visible = visible_count(config.n_patches(), options.mask_ratio);
    check(n_visible > 0 && n_visible < config.n_patches(), ExitCode::usage, "mask_ratio ",
          options.mask_ratio, " would leave ", n_visible, " of ", config.n_patches(),
          " patches visible; choose one that leaves at least one visible and one masked");
    const MaskPlan plan{at::argsort(*noise, /*stable=*/true, 1).contiguous(), n_visible};
    const MaeOutput result = opened.mae()->forward(pixels, plan, &taps);
    out = {{"latent", result.latent},
           {"pred", result.pred},
           {"mask", mask_of(plan)},
           {"ids_restore", at::argsort(plan.order, /*stable=*/true, 1)},
           {"loss", at::full({1}, result.loss, at::kFloat)}};
  } else {
    out = {{"latent", opened.encoder().encode(pixels, &taps)}};
    if (opened.vit() && config.classes > 0)
      out.emplace_back("logits", opened.vit()->scores(opened.vit()->pooled(out.front().second)));
  }
  out.insert(out.end(), taps.values().begin(), taps.values().end());
  write_safetensors(options.output, out);
  info("wrote ", out.size(), " tensors to ", options.output);
  return {{"output", options.output}, {"tensors", out.size()}};
}

}  // namespace

Command forward_command() {
  const auto options = std::make_shared<ForwardOptions>();
  Command command;
  options->declare(command.options);
  command.run = [options](const std::vector<std::string>&) { return run_forward(*options); };
  return command;
}

}  // namespace sgmae
