#include "sgmae/train/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/version.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* position_mean_name = "guide.position_mean";
constexpr const char* mask_token_name = "mask_token";
constexpr const char* head_prefix = "head.";  // of a classifier, which an encoder can do without

std::string shape_text(const at::Tensor& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.sizes())
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

bool is_decoder_parameter(const std::string& name) {
  return name == mask_token_name || name.starts_with("decoder_");
}

std::int64_t integer(const json& object, const char* key) {
  check(object.contains(key) && object[key].is_number_integer(), ExitCode::checkpoint,
        "the configuration in the file lacks the number '", key, "'");
  return object[key];
}

json parse_metadata(const TensorFile& file, const fs::path& path) {
  const auto found = file.metadata.find("sgmae");
  check(found != file.metadata.end(), ExitCode::checkpoint, path.string(),
        ": not a model of sgmae (its header has no 'sgmae' entry); name a file of a run's "
        "checkpoints/");
  json parsed = json::parse(found->second, nullptr, false);
  check(parsed.is_object() && parsed.contains("config"), ExitCode::checkpoint, path.string(),
        ": the 'sgmae' entry of its header is damaged; use an earlier checkpoint");
  return parsed;
}

ModelInfo read_info(const TensorFile& file, const fs::path& path) {
  const json metadata = parse_metadata(file, path);
  ModelInfo info;
  try {
    info.config = config_from_json(metadata["config"]);
    info.mean = metadata.at("mean").get<std::vector<float>>();
    info.std = metadata.at("std").get<std::vector<float>>();
    info.epoch = integer(metadata, "epoch");
    info.step = integer(metadata, "step");
    info.version = metadata.value("version", "");
    info.guide = metadata.value("guide", json());
    check_config(info.config);
  } catch (const Error& error) {
    fail(ExitCode::checkpoint, path.string(), ": ", error.what());
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, path.string(),
         ": the 'sgmae' entry of its header is damaged; use an earlier checkpoint");
  }
  const auto channels = static_cast<std::size_t>(info.config.channels);
  check(info.mean.size() == channels && info.std.size() == channels, ExitCode::checkpoint,
        path.string(), ": mean and std in its header are not ", channels, " numbers each");
  if (const at::Tensor* mean = file.find(position_mean_name)) info.position_mean = *mean;
  info.has_decoder = file.find(mask_token_name) != nullptr;
  return info;
}

void copy_weights(const TensorFile& file, const fs::path& path, bool need_decoder, Mae& model) {
  std::set<std::string> known;
  const bool has_decoder = file.find(mask_token_name) != nullptr;
  check(has_decoder || !need_decoder, ExitCode::checkpoint, path.string(),
        ": holds an encoder only (no '", mask_token_name,
        "'), and this needs the decoder too; use a full checkpoint");
  for (Parameter& parameter : model.parameters()) {
    known.insert(parameter.name);
    if (!has_decoder && is_decoder_parameter(parameter.name)) continue;
    const at::Tensor* stored = file.find(parameter.name);
    check(stored, ExitCode::checkpoint, path.string(), ": tensor '", parameter.name,
          "' is missing; the file is not a whole model, use another checkpoint");
    check(stored->sizes() == parameter.value.sizes(), ExitCode::checkpoint, path.string(),
          ": tensor '", parameter.name, "' is ", shape_text(*stored), ", the model needs ",
          shape_text(parameter.value), "; use the options with which it was trained");
    parameter.value.copy_(*stored);
  }
  for (const auto& [name, tensor] : file.tensors)
    check(known.count(name) > 0 || name == position_mean_name || name.starts_with(head_prefix),
          ExitCode::checkpoint, path.string(), ": tensor '", name,
          "' has no place in the model; use the options with which it was trained");
  model.parameters_changed();
}

fs::path find_model_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const fs::path& folder : {path / "checkpoints", path}) {
    const auto names = list_checkpoints(folder, false);
    if (!names.empty()) return folder / names.back().file();
  }
  fail(ExitCode::checkpoint, path.string(),
       ": no checkpoint in this folder; name a run folder or a .safetensors file");
}

void mix(std::uint64_t& hash, const void* data, std::size_t bytes) {
  const auto* next = static_cast<const unsigned char*>(data);
  for (; bytes > 0; next += 8, bytes -= std::min<std::size_t>(8, bytes)) {
    std::uint64_t word = 0;
    std::memcpy(&word, next, std::min<std::size_t>(8, bytes));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
  }
}

bool parse_number(const std::string& text, std::int64_t& value) {
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos)
    return false;
  value = std::stoll(text);
  return true;
}

}  // namespace

json to_json(const MaeConfig& c) {
  return {{"height", c.height},
          {"width", c.width},
          {"channels", c.channels},
          {"patch_size", c.patch_size},
          {"dim", c.encoder.dim},
          {"depth", c.encoder.depth},
          {"heads", c.encoder.heads},
          {"decoder_dim", c.decoder.dim},
          {"decoder_depth", c.decoder.depth},
          {"decoder_heads", c.decoder.heads},
          {"mlp_ratio", c.mlp_ratio},
          {"layer_norm_eps", c.layer_norm_eps},
          {"norm_pix_loss", c.norm_pix_loss}};
}

MaeConfig config_from_json(const json& j) {
  MaeConfig c;
  c.height = integer(j, "height");
  c.width = integer(j, "width");
  c.channels = integer(j, "channels");
  c.patch_size = integer(j, "patch_size");
  c.encoder = {integer(j, "dim"), integer(j, "depth"), integer(j, "heads")};
  c.decoder = {integer(j, "decoder_dim"), integer(j, "decoder_depth"), integer(j, "decoder_heads")};
  c.mlp_ratio = integer(j, "mlp_ratio");
  c.layer_norm_eps = j.value("layer_norm_eps", c.layer_norm_eps);
  c.norm_pix_loss = j.value("norm_pix_loss", c.norm_pix_loss);
  return c;
}

LoadedMae load_mae(const fs::path& path, bool need_decoder) {
  const fs::path file_path = find_model_file(path);
  check(fs::exists(file_path), ExitCode::checkpoint, file_path.string(),
        ": no such file; name a run folder or a .safetensors file");
  const TensorFile file = read_safetensors(file_path);
  ModelInfo info = read_info(file, file_path);
  Mae model(info.config, 0);
  copy_weights(file, file_path, need_decoder, model);
  return {std::move(model), std::move(info), file_path};
}

ModelInfo load_weights(const fs::path& path, Mae& model) {
  const TensorFile file = read_safetensors(path);
  ModelInfo info = read_info(file, path);
  const json stored = to_json(info.config), needed = to_json(model.config());
  for (const auto& [key, value] : needed.items())
    check(stored[key] == value, ExitCode::checkpoint, path.string(), ": its ", key, " is ",
          stored[key].dump(), ", this run's is ", value.dump(),
          "; use the options with which it was trained");
  copy_weights(file, path, true, model);
  return info;
}

void save_mae(const fs::path& path, const Mae& model, const ModelInfo& info) {
  NamedTensors tensors;
  for (const Parameter& parameter : model.parameters())
    tensors.emplace_back(parameter.name, parameter.value);
  if (info.position_mean.defined()) tensors.emplace_back(position_mean_name, info.position_mean);
  json metadata{{"version", version},  {"config", to_json(model.config())},
                {"mean", info.mean},   {"std", info.std},
                {"epoch", info.epoch}, {"step", info.step}};
  if (!info.guide.is_null()) metadata["guide"] = info.guide;
  write_safetensors(path, tensors, {{"format", "pt"}, {"sgmae", metadata.dump()}});
}

std::string CheckpointName::file() const {
  // A whole epoch is named by the last one finished, as MAE does; hence checkpoint--1 never occurs,
  // and weights before the first step are checkpoint-0-0.
  return step == 0 && epoch > 0 ? str("checkpoint-", epoch - 1, ".safetensors")
                                : str("checkpoint-", epoch, "-", step, ".safetensors");
}

std::string CheckpointName::state() const {
  const std::string name = file();
  return name.substr(0, name.size() - std::strlen("safetensors")) + "state.safetensors";
}

std::optional<CheckpointName> parse_checkpoint_name(const std::string& file) {
  const std::string prefix = "checkpoint-", suffix = ".safetensors";
  if (!file.starts_with(prefix) || !file.ends_with(suffix) ||
      file.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  const std::string middle =
      file.substr(prefix.size(), file.size() - prefix.size() - suffix.size());
  const std::size_t dash = middle.find('-');
  CheckpointName name;
  if (!parse_number(middle.substr(0, dash), name.epoch)) return std::nullopt;
  if (dash == std::string::npos)
    ++name.epoch;
  else if (!parse_number(middle.substr(dash + 1), name.step))
    return std::nullopt;
  return name;
}

std::vector<CheckpointName> list_checkpoints(const fs::path& folder, bool resumable) {
  std::vector<CheckpointName> names;
  std::error_code ignored;  // a folder that is not there has no checkpoints
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto name = parse_checkpoint_name(entry.path().filename().string());
    if (name && (!resumable || fs::exists(folder / name->state()))) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string model_hash(const Mae& model) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const Parameter& parameter : model.parameters()) {
    mix(hash, parameter.name.data(), parameter.name.size());
    const at::Tensor value = parameter.value.contiguous();
    mix(hash, value.const_data_ptr(), value.nbytes());
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace sgmae
