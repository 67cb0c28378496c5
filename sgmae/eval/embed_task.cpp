#include "sgmae/eval/embed_task.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  return path.empty() ? "" : fs::absolute(path).lexically_normal().string();
}

// The rows that a pass has done so far: a line that says of what, then the rows one after another.
class KeptRows {
 public:
  KeptRows(fs::path path, const std::string& what, std::size_t row_bytes)
      : path_(std::move(path)), head_(what + "\n"), row_bytes_(row_bytes) {}

  // Reads what is there into the first rows of `all`, whole batches of them, and returns how many.
  // What is of other images or another model is written over.
  std::int64_t take(at::Tensor& all, std::int64_t batch) const {
    std::error_code error;
    if (path_.empty()) return 0;
    std::int64_t done = 0;
    if (fs::is_regular_file(path_, error)) {
      const MappedFile file(path_);
      const auto bytes = file.bytes();
      const bool same = bytes.size() >= head_.size() &&
                        std::memcmp(bytes.data(), head_.data(), head_.size()) == 0;
      if (same) {
        const std::size_t rows = (bytes.size() - head_.size()) / row_bytes_;
        done = std::min(static_cast<std::int64_t>(rows), all.size(0));
        std::memcpy(all.mutable_data_ptr(), bytes.data() + head_.size(),
                    static_cast<std::size_t>(done) * row_bytes_);
        if (done < all.size(0)) done = last_readable(all, done) / batch * batch;
      } else {
        info(path_.string(), " is of other images, or by another model; they are embedded anew");
      }
    }
    if (done == 0)
      write_file(path_, head_);
    else  // a part of a batch may follow
      fs::resize_file(path_, head_.size() + static_cast<std::size_t>(done) * row_bytes_);
    return done;
  }

  // Batches begin where they would have, so that the bits are the same; that of the last row that
  // could be read is done again, since a pass in which none can be is an error.
  static std::int64_t last_readable(const at::Tensor& all, std::int64_t rows) {
    const at::Tensor readable = at::isfinite(all.slice(0, 0, rows).flatten(1)).all(1);
    std::int64_t last = rows;
    while (last > 0 && !readable[last - 1].item<bool>()) --last;
    return std::max<std::int64_t>(0, last - 1);
  }

  void add(const at::Tensor& rows) const {
    if (!path_.empty())
      append_file(path_, {static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()});
  }

 private:
  fs::path path_;
  std::string head_;
  std::size_t row_bytes_;
};

EmbeddingInfo info_of(const EmbedTask& task, const OpenedModel& model, const Source& source,
                      Fit fit) {
  const VitConfig& config = model.encoder().config();
  EmbeddingInfo info;
  info.checkpoint = absolute(model.path.string());
  info.model = model_hash(model.parameters());
  info.features = name_of(task.features);
  info.height = config.height, info.width = config.width;
  info.fit = fit;
  info.mean = model.info.mean, info.std = model.info.std;
  info.precision = name_of(model.encoder().precision());
  info.folder = fs::current_path().string();
  info.data_path = absolute(task.data.data_path);
  info.split = task.split;
  info.data_root = absolute(task.data.data_root);
  Options format;
  DataFormat data_format = task.data.data_format;
  format.section("data");
  declare_data_format(format, data_format);
  info.format = format.to_toml();
  info.data = data_hash(source);
  return info;
}

}  // namespace

void EmbedTask::declare(Options& o) {
  o.section("model");
  o.add("checkpoint", checkpoint, "run folder or checkpoint of any family");
  o.add("input_size", input_size,
        "side of the images as the model sees them; position embeddings follow. 0: its own");
  open.declare(o);
  o.section("data");
  o.add("data_path", data.data_path,
        "images: folder, list file, archive … (docs/data.md), as the argument");
  declare_data_format(o, data.data_format);
  o.add("data_root", data.data_root,
        "what paths in a list file are relative to; empty: the list's folder");
  o.add("split", split, "part of data_path: train, val or test");
  o.add("unreadable", unreadable, {{"nan", OnUnreadable::nan}, {"fail", OnUnreadable::fail}},
        "what an unreadable image gets: nan, a row of NaN; fail, exit code 3 and no file");
  o.add("fit", data.fit, fit_names,
        "how images are brought to the model's size; auto: a data set as in knn, files squashed");
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("num_workers", data.num_workers, "threads that decode images");
  o.section("features");
  o.add("features", features, token_features(),
        "mean of the patch tokens [M, D], class token [M, D], or patch tokens [M, N, D]");
}

void EmbedTask::check() const {
  sgmae::check(!checkpoint.empty(), ExitCode::usage,
               "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  sgmae::check(batch_size >= 1, ExitCode::usage, "batch_size must be at least 1, not ", batch_size);
  data.check();
  compute.check();
}

std::vector<std::string> EmbedTask::take_images(const std::vector<std::string>& arguments) {
  const auto is_set = [](const std::string& name) {
    std::error_code error;
    bool set = fs::is_directory(name, error);
    for (const char* ending : {".txt", ".csv", ".tsv", ".json", ".tar", ".parquet", ".arrow", ".gz",
                               ".sgpack", "-ubyte"})
      set = set || name.ends_with(ending);
    return set;
  };
  sgmae::check(arguments.empty() || data.data_path.empty(), ExitCode::usage,
               "give images either as arguments or by --data_path");
  const auto sets = std::count_if(arguments.begin(), arguments.end(), is_set);
  sgmae::check(sets == 0 || arguments.size() == 1, ExitCode::usage,
               "give image files, or one folder, list or archive");
  sgmae::check(!arguments.empty() || !data.data_path.empty(), ExitCode::usage,
               "no images are named; give a folder, or image files");
  if (sets == 0) return arguments;
  data.data_path = arguments.front();
  return {};
}

std::unique_ptr<Source> open_images(const EmbedTask& task, const std::vector<std::string>& files) {
  if (!files.empty()) return open_files(files, task.data.data_format);
  return open_source(task.data.data_path, task.split, task.data.data_root, task.data.data_format);
}

Embedding embed_images(EmbedTask task, const std::vector<std::string>& files,
                       const fs::path& kept) {
  task.check();
  use_threads(task.compute.threads);
  OpenOptions open = task.open;
  open.height = open.width = task.input_size;
  OpenedModel model = open_model(task.checkpoint, open);
  check_use(Use::embed, model);
  place(model, task.compute);
  const VitConfig& config = model.encoder().config();
  const Normalisation normalisation = model.info.normalisation();
  task.data.data_format = task.data.data_format.read_as(normalisation);
  const std::unique_ptr<Source> source = open_images(task, files);
  LabelledData data = task.data;
  if (!files.empty() && data.fit == Fit::automatic) data.fit = Fit::squash;
  LoaderOptions loading = evaluation_loader(data, *source, config, normalisation, task.batch_size);
  if (task.unreadable == EmbedTask::OnUnreadable::fail) loading.unreadable = Unreadable::fail;

  // A row an image, in the source's order; those of images that are not read stay as they are here.
  // Process 0 has them, and gets the others' after each round.
  const std::int64_t images = source->size();
  std::vector<std::int64_t> shape{images, config.size.dim};
  if (task.features == TokenFeatures::patches) shape.insert(shape.begin() + 1, config.n_patches());
  Embedding embedding;
  embedding.info = info_of(task, model, *source, loading.fit);
  nlohmann::ordered_json what = to_json(embedding.info);
  what["shape"] = shape;
  what["batch_size"] = task.batch_size;
  const KeptRows rows_done(
      kept, what.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
      static_cast<std::size_t>(
          std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{4}, std::multiplies<>())));
  std::int64_t done = 0;
  processes().leader([&] {
    embedding.features = at::full(shape, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
    done = rows_done.take(embedding.features, task.batch_size);
  });
  done = std::stoll(processes().of_leader(std::to_string(done)));
  if (done > 0 && processes().leads())
    info("going on behind the ", done, " images of ", images, " that are done");
  if (done < images) {
    if (done > 0) {
      loading.subset.resize(static_cast<std::size_t>(images - done));
      std::iota(loading.subset.begin(), loading.subset.end(), done);
    }
    std::int64_t first = done;  // row of the round at hand
    shared_rounds("features", *source, loading, [&](const Batch& batch) {
      at::Tensor own;
      processes().together([&] {
        std::vector<std::int64_t> none = shape;
        none.front() = 0;
        own = batch.size() > 0
                  ? features_of(model, model.encoder().encode(batch.pixels), task.features).cpu()
                  : at::empty(none);
        check(at::isfinite(own).all().item<bool>(), ExitCode::checkpoint, model.path.string(),
              ": its features are not all finite numbers; use an earlier checkpoint, or "
              "--precision fp32");
      });
      const at::Tensor rows = at::cat(processes().gather(at::tensor(batch.index, at::kLong)));
      const std::vector<at::Tensor> parts = processes().gather(own);
      processes().leader([&] {
        embedding.features.index_copy_(0, rows, at::cat(parts));
        const std::int64_t end = std::min(images, first + task.batch_size * processes().size());
        rows_done.add(embedding.features.slice(0, first, end));
        first = end;
      });
    });
  }
  if (!processes().leads()) return embedding;
  for (std::int64_t i = 0; i < images; ++i) embedding.names.push_back(source->name(i));
  embedding.label = source->labels();
  if (embedding.label.empty()) embedding.label.assign(embedding.names.size(), -1);
  embedding.class_names = source->class_names();
  return embedding;
}

}  // namespace sgmae
