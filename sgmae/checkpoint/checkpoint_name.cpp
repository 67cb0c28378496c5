#include "sgmae/checkpoint/checkpoint_name.h"

#include <algorithm>
#include <cstring>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

bool parse_number(const std::string& text, std::int64_t& value) {
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos)
    return false;
  value = std::stoll(text);
  return true;
}

}  // namespace

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

fs::path find_model_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const fs::path& folder : {path / "checkpoints", path}) {
    const auto names = list_checkpoints(folder, false);
    if (!names.empty()) return folder / names.back().file();
  }
  return path;
}

}  // namespace sgmae
