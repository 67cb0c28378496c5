#include "sgmae/eval/classifier_file.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "sgmae/base/log.h"
#include "sgmae/base/version.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

fs::path find_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  if (const fs::path best = path / "checkpoint-best.safetensors"; fs::exists(best)) return best;
  for (const fs::path& folder : {path / "checkpoints", path}) {
    const auto names = list_checkpoints(folder, false);
    if (!names.empty()) return folder / names.back().file();
  }
  fail(ExitCode::checkpoint, path.string(),
       ": no checkpoint in this folder; name a run folder or a .safetensors file");
}

std::int64_t number(const json& config, const char* key) {
  return config.at(key).get<std::int64_t>();
}

// A classifier's configuration, or that of an autoencoder's encoder.
VitConfig config_of(const json& j) {
  VitConfig c;
  c.height = number(j, "height");
  c.width = number(j, "width");
  c.channels = number(j, "channels");
  c.patch_size = number(j, "patch_size");
  c.size = {number(j, "dim"), number(j, "depth"), number(j, "heads")};
  c.mlp_hidden =
      j.contains("mlp_hidden") ? number(j, "mlp_hidden") : number(j, "mlp_ratio") * c.size.dim;
  c.layer_norm_eps = j.value("layer_norm_eps", c.layer_norm_eps);
  c.layer_scale = j.value("layer_scale", c.layer_scale);
  c.registers = j.value("registers", c.registers);
  c.pooling = j.value("pooling", "cls") == "mean" ? Pooling::mean : Pooling::cls;
  return c;
}

json to_json(const VitConfig& c) {
  return {{"height", c.height},
          {"width", c.width},
          {"channels", c.channels},
          {"patch_size", c.patch_size},
          {"dim", c.size.dim},
          {"depth", c.size.depth},
          {"heads", c.size.heads},
          {"mlp_hidden", c.mlp_hidden},
          {"layer_norm_eps", c.layer_norm_eps},
          {"layer_scale", c.layer_scale},
          {"registers", c.registers},
          {"pooling", c.pooling == Pooling::mean ? "mean" : "cls"},
          {"classes", c.classes},
          {"batch_norm_head", c.batch_norm_head}};
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  for (const char* prefix : prefixes)
    if (name.starts_with(prefix)) return true;
  return false;
}

}  // namespace

const at::Tensor* Pretrained::find(const std::string& name) const {
  for (const auto& [known, tensor] : tensors)
    if (known == name) return &tensor;
  return nullptr;
}

Pretrained read_pretrained(const fs::path& path) {
  Pretrained read;
  read.path = find_file(path);
  const std::string where = read.path.string();
  check(fs::exists(read.path), ExitCode::checkpoint, where,
        ": no such file; name a run folder or a .safetensors file");
  TensorFile file = read_safetensors(read.path);
  const auto text = file.metadata.find("sgmae");
  check(text != file.metadata.end() && file.find("patch_embed.proj.weight"), ExitCode::checkpoint,
        where, ": holds no encoder; name a model file of pre-training or fine-tuning");
  try {
    const json metadata = json::parse(text->second);
    read.config = config_of(metadata.at("config"));
    read.normalisation.mean = metadata.at("mean").get<std::vector<float>>();
    read.normalisation.std = metadata.at("std").get<std::vector<float>>();
    read.class_names = metadata.value("class_names", read.class_names);
    check_config(read.config);
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, where,
         ": the 'sgmae' entry of its header is damaged; use an earlier checkpoint");
  } catch (const Error& error) {
    fail(ExitCode::checkpoint, where, ": ", error.what());
  }
  const auto channels = static_cast<std::size_t>(read.config.channels);
  check(read.normalisation.mean.size() == channels && read.normalisation.std.size() == channels,
        ExitCode::checkpoint, where, ": mean and std in its header are not ", channels,
        " numbers each");
  for (auto& [name, tensor] : file.tensors)
    if (!starts_with_any(name, {"mask_token", "decoder_", "guide."}))
      read.tensors.emplace_back(name, std::move(tensor));
  if (const at::Tensor* head = read.find("head.weight")) read.config.classes = head->size(0);
  return read;
}

at::Tensor resize_positions(const at::Tensor& positions, std::int64_t rows, std::int64_t cols,
                            std::int64_t new_rows, std::int64_t new_cols) {
  const std::int64_t n = rows * cols, dim = positions.size(2);
  SGMAE_ASSERT(positions.size(1) == 1 + n);
  const at::Tensor grid =
      positions.narrow(1, 1, n).reshape({1, rows, cols, dim}).permute({0, 3, 1, 2}).contiguous();
  const at::Tensor resized =
      at::upsample_bicubic2d(grid, {new_rows, new_cols}, /*align_corners=*/false)
          .permute({0, 2, 3, 1})
          .reshape({1, new_rows * new_cols, dim});
  return at::cat({positions.narrow(1, 0, 1), resized}, 1);
}

void load_pretrained(const Pretrained& file, Vit& model) {
  const std::string where = file.path.string();
  const VitConfig &from = file.config, &to = model.config();
  bool head_dropped = false;
  for (Parameter& parameter : model.parameters()) {
    const bool of_head = parameter.name.starts_with("head.");
    const at::Tensor* stored = file.find(parameter.name);
    if (!stored && (of_head || starts_with_any(parameter.name, {"norm.", "fc_norm."})) &&
        (of_head || from.pooling != to.pooling))
      continue;
    check(stored, ExitCode::checkpoint, where, ": tensor '", parameter.name,
          "' is missing; the file is not a whole encoder, use another checkpoint");
    at::Tensor value = *stored;
    check(at::isfinite(value).all().item<bool>(), ExitCode::checkpoint, where, ": tensor '",
          parameter.name,
          "' holds values that are not finite; its training diverged, use an earlier checkpoint");
    const bool other_grid =
        from.grid_height() != to.grid_height() || from.grid_width() != to.grid_width();
    if (parameter.name == "pos_embed" && other_grid && value.dim() == 3 &&
        value.size(1) == 1 + from.n_patches())
      value = resize_positions(value, from.grid_height(), from.grid_width(), to.grid_height(),
                               to.grid_width());
    if (of_head && value.sizes() != parameter.value.sizes()) {
      head_dropped = true;
      continue;
    }
    check(value.sizes() == parameter.value.sizes(), ExitCode::checkpoint, where, ": tensor '",
          parameter.name, "' does not fit the model; leave out the options of its size");
    parameter.value.copy_(value);
  }
  if (head_dropped)
    info("the checkpoint's head tells ", from.classes, " classes apart and the data set has ",
         to.classes, ": training begins with a new head");
  model.parameters_changed();
}

void save_classifier(const fs::path& path, const Vit& model, const Normalisation& normalisation,
                     std::int64_t epoch, const std::vector<std::string>& class_names) {
  NamedTensors tensors;
  for (const Parameter& parameter : model.parameters())
    tensors.emplace_back(parameter.name, parameter.value);
  const json metadata{{"version", version},
                      {"config", to_json(model.config())},
                      {"mean", normalisation.mean},
                      {"std", normalisation.std},
                      {"epoch", epoch},
                      {"step", 0},
                      {"class_names", class_names}};
  // Class names are names of folders and need not be UTF-8; JSON must be.
  write_safetensors(
      path, tensors,
      {{"format", "pt"}, {"sgmae", metadata.dump(-1, ' ', false, json::error_handler_t::replace)}});
}

}  // namespace sgmae
