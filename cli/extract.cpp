// sgmae extract: features of whole images, never masked.
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/loader.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

enum class Kind { cls, mean, patches };

struct ExtractOptions {
  std::string checkpoint, output, split = "train";
  LabelledData data;
  Kind features = Kind::mean;
  std::int64_t batch_size = 64, input_size = 0;
  OpenOptions open;
  ComputeOptions compute;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "run folder or checkpoint of any family");
    o.add("input_size", input_size,
          "side of the images as the model sees them; position embeddings follow. 0: its own");
    open.declare(o);
    o.section("data");
    o.add("data_path", data.data_path,
          "images in place of files: folder, list file, archive … (docs/data.md)");
    declare_data_format(o, data.data_format);
    o.add("data_root", data.data_root,
          "what paths in a list file are relative to; empty: the list's folder");
    o.add("split", split, "part of data_path: train, val or test");
    o.add("output", output, "file to write, .npy or .safetensors (with labels and names)");
    o.add("fit", data.fit,
          {{"auto", EvalFit::automatic},
           {"centre_crop", EvalFit::centre_crop},
           {"squash", EvalFit::squash}},
          "how images are brought to the model's size; auto: a data set as in knn, files squashed");
    o.add("batch_size", batch_size, "images per forward pass");
    o.add("num_workers", data.num_workers, "threads that decode images");
    o.section("features");
    o.add("features", features,
          {{"mean", Kind::mean}, {"cls", Kind::cls}, {"patches", Kind::patches}},
          "mean of the patch tokens [M, D], class token [M, D], or patch tokens [M, N, D]");
    o.section("run");
    compute.declare(o);
  }
};

at::Tensor features_of(const OpenedModel& model, const at::Tensor& pixels, Kind kind) {
  const at::Tensor tokens = model.encoder().encode(pixels);
  const VitConfig& config = model.encoder().config();
  const at::Tensor patches = tokens.narrow(1, config.class_tokens(), config.n_patches());
  switch (kind) {
    case Kind::cls:
      check(config.class_token, ExitCode::usage,
            "this model has no class token; choose --features mean or patches");
      return tokens.select(1, 0).contiguous();
    case Kind::patches:
      return patches.contiguous();
    case Kind::mean:
      break;
  }
  // A classifier with global pooling has its norm behind the mean.
  const bool fc_norm = config.pooling == Pooling::mean;
  return fc_norm ? model.vit()->pooled(tokens) : patches.mean({1});
}

nlohmann::ordered_json run_extract(ExtractOptions options, const std::vector<std::string>& files) {
  check(!options.checkpoint.empty(), ExitCode::usage, "--checkpoint is missing");
  check(files.empty() != options.data.data_path.empty(), ExitCode::usage,
        "name image files, or --data_path, and not both");
  const bool npy = options.output.ends_with(".npy");
  check(npy || options.output.ends_with(".safetensors"), ExitCode::usage, "--output '",
        options.output, "' must end in .npy or .safetensors");
  check(options.batch_size >= 1, ExitCode::usage, "batch_size must be at least 1");
  use_threads(options.compute.threads);
  options.open.height = options.open.width = options.input_size;
  OpenedModel model = open_model(options.checkpoint, options.open);
  check_use(Use::extract, model);
  place(model, options.compute);
  const VitConfig& config = model.encoder().config();
  const Normalisation normalisation{model.info.mean, model.info.std};

  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> labels;
  std::vector<std::string> names = files;
  if (!files.empty()) {
    const Fit fit = options.data.fit == EvalFit::centre_crop ? Fit::centre_crop : Fit::squash;
    for (std::size_t i = 0; i < files.size();) {
      const std::size_t end =
          std::min(files.size(), i + static_cast<std::size_t>(options.batch_size));
      const at::Tensor pixels =
          load_images({files.begin() + static_cast<std::ptrdiff_t>(i),
                       files.begin() + static_cast<std::ptrdiff_t>(end)},
                      static_cast<int>(config.height), static_cast<int>(config.width),
                      static_cast<int>(config.channels), normalisation, fit);
      parts.push_back(features_of(model, pixels, options.features));
      i = end;
    }
  } else {
    const auto source = open_source(options.data.data_path, options.split, options.data.data_root,
                                    options.data.data_format);
    Loader loader(*source, evaluation_loader(options.data, *source, config, normalisation,
                                             options.batch_size));
    loader.start_epoch(0);
    for (Batch batch; loader.next(batch);) {
      parts.push_back(features_of(model, batch.pixels, options.features));
      labels.insert(labels.end(), batch.label.begin(), batch.label.end());
    }
    for (std::int64_t i = 0; i < source->size(); ++i) names.push_back(source->name(i));
  }
  const at::Tensor features = at::cat(parts);
  if (npy) {
    write_npy(options.output, features);
  } else {
    NamedTensors tensors{{"features", features}};
    if (!labels.empty()) tensors.emplace_back("label", at::tensor(labels, at::kLong));
    write_safetensors(options.output, tensors,
                      {{"names", nlohmann::json(names).dump(
                                     -1, ' ', false, nlohmann::json::error_handler_t::replace)}});
  }
  info("wrote ", shape_text(features), " to ", options.output);
  return {{"output", options.output}, {"shape", features.sizes().vec()}};
}

}  // namespace

Command extract_command() {
  const auto options = std::make_shared<ExtractOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "IMAGES…";
  command.run = [options](const std::vector<std::string>& files) {
    return run_extract(*options, files);
  };
  return command;
}

}  // namespace sgmae
