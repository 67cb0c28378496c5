// sgmae extract: features of whole images, never masked.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <filesystem>
#include <limits>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/loader.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {
namespace {

enum class Kind { cls, mean, patches };
enum class OnUnreadable { nan, fail };

struct ExtractOptions {
  std::string checkpoint, output, split = "train";
  LabelledData data;
  Kind features = Kind::mean;
  OnUnreadable unreadable = OnUnreadable::nan;
  std::int64_t batch_size = 64, input_size = 0;
  OpenOptions open;
  ComputeOptions compute;
  LaunchOptions launch;

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
    o.add("output", output,
          "file to write, .npy or .safetensors (with names, labels, and which could be read)");
    o.add("unreadable", unreadable, {{"nan", OnUnreadable::nan}, {"fail", OnUnreadable::fail}},
          "what an unreadable image gets: nan, a row of NaN; fail, exit code 3 and no file");
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
    launch.declare(o);
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
  check(!options.checkpoint.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  check(files.empty() != options.data.data_path.empty(), ExitCode::usage,
        "give either image files or --data_path");
  for (const std::string& file : files) {
    std::error_code ignored;
    check(!std::filesystem::is_directory(file, ignored), ExitCode::usage, file,
          " is a folder; give its images by --data_path ", file);
    for (const char* ending : {".txt", ".csv", ".tsv", ".tar", ".sgpack"})
      check(!file.ends_with(ending), ExitCode::usage, file,
            " is no image; a list or an archive is given by --data_path ", file);
  }
  const bool npy = options.output.ends_with(".npy");
  check(npy || options.output.ends_with(".safetensors"), ExitCode::usage, "--output '",
        options.output, "' must end in .npy or .safetensors");
  check(options.batch_size >= 1, ExitCode::usage, "batch_size must be at least 1, not ",
        options.batch_size);
  options.data.check();
  options.compute.check();
  use_threads(options.compute.threads);
  options.open.height = options.open.width = options.input_size;
  OpenedModel model = open_model(options.checkpoint, options.open);
  check_use(Use::extract, model);
  place(model, options.compute);
  const VitConfig& config = model.encoder().config();
  const Normalisation normalisation{model.info.mean, model.info.std};

  const bool named = !files.empty();
  std::unique_ptr<Source> source;
  if (named)
    source = open_files(files);
  else
    source = open_source(options.data.data_path, options.split, options.data.data_root,
                         options.data.data_format);
  if (named && options.data.fit == EvalFit::automatic) options.data.fit = EvalFit::squash;
  LoaderOptions loading =
      evaluation_loader(options.data, *source, config, normalisation, options.batch_size);
  if (options.unreadable == OnUnreadable::fail) loading.unreadable = Unreadable::fail;

  // A row an image, in the source's order; those of images that are not read stay as they are here.
  // Process 0 has them, and gets the others' after each batch.
  const std::int64_t images = source->size();
  std::vector<std::int64_t> shape{images, config.size.dim};
  if (options.features == Kind::patches) shape.insert(shape.begin() + 1, config.n_patches());
  at::Tensor features, readable;
  processes().leader([&] {
    features = at::full(shape, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
    readable = at::zeros({images}, at::kByte);
  });
  const SharedPass pass = shared_rounds("features", *source, loading, [&](const Batch& batch) {
    at::Tensor own;
    processes().together([&] {
      std::vector<std::int64_t> none = shape;
      none.front() = 0;
      own = batch.size() > 0 ? features_of(model, batch.pixels, options.features).cpu()
                             : at::empty(none);
      check(at::isfinite(own).all().item<bool>(), ExitCode::checkpoint, model.path.string(),
            ": its features are not all finite numbers; use an earlier checkpoint, or "
            "--precision fp32");
    });
    const at::Tensor rows = at::cat(processes().gather(at::tensor(batch.index, at::kLong)));
    const std::vector<at::Tensor> parts = processes().gather(own);
    if (!processes().leads()) return;
    features.index_copy_(0, rows, at::cat(parts));
    readable.index_fill_(0, rows, 1);
  });
  const std::int64_t unreadable = images - pass.images;
  processes().leader([&] {
    if (npy) {
      write_npy(options.output, features);
    } else {
      std::vector<std::string> names;
      for (std::int64_t i = 0; i < images; ++i) names.push_back(source->name(i));
      NamedTensors tensors{{"features", features}, {"readable", readable}};
      if (!named) tensors.emplace_back("label", at::tensor(source->labels(), at::kLong));
      write_safetensors(options.output, tensors,
                        {{"names", nlohmann::json(names).dump(
                                       -1, ' ', false, nlohmann::json::error_handler_t::replace)}});
    }
    info("wrote ", shape_text(features), " to ", options.output,
         unreadable == 0   ? ""
         : unreadable == 1 ? "; 1 unreadable image has a row of NaN"
                           : str("; ", unreadable, " unreadable images have rows of NaN"));
  });
  return {{"output", options.output}, {"shape", shape}, {"unreadable_images", unreadable}};
}

}  // namespace

Command extract_command() {
  const auto options = std::make_shared<ExtractOptions>();
  Command command;
  options->declare(command.options);
  command.launch = &options->launch;
  command.positional_help = "IMAGES…";
  command.run = [options](const std::vector<std::string>& files) {
    return run_extract(*options, files);
  };
  return command;
}

}  // namespace sgmae
