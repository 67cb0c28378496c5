#include "sgmae/checkpoint/checkpoint_name.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view suffix = ".safetensors";

bool parse_number(const std::string& text, std::int64_t& value) {
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos)
    return false;
  value = std::stoll(text);
  return true;
}

}  // namespace

std::string CheckpointName::file() const {
  if (older)
    return step == 0 && epoch > 0 ? str("checkpoint-", epoch - 1, suffix)
                                  : str("checkpoint-", epoch, "-", step, suffix);
  std::string number = std::to_string(epoch);
  if (number.size() < 4) number.insert(0, 4 - number.size(), '0');  // names sort as epochs do
  return str("epoch-", number, step > 0 ? str("-step-", step) : std::string(), suffix);
}

std::string CheckpointName::state() const {
  const std::string name = file();
  return name.substr(0, name.size() - suffix.size()) + ".state" + std::string(suffix);
}

std::optional<CheckpointName> parse_checkpoint_name(const std::string& file) {
  for (const auto& [prefix, between, older] :
       {std::tuple("epoch-", "-step-", false), {"checkpoint-", "-", true}}) {
    if (!file.starts_with(prefix) || !file.ends_with(suffix)) continue;
    const std::size_t begin = std::strlen(prefix), end = file.size() - suffix.size();
    if (end <= begin) continue;
    const std::string middle = file.substr(begin, end - begin);
    const std::size_t step = middle.find(between);
    CheckpointName name{.older = older};
    if (!parse_number(middle.substr(0, step), name.epoch)) continue;
    if (step != std::string::npos) {
      if (!parse_number(middle.substr(step + std::strlen(between)), name.step)) continue;
    } else if (older) {
      ++name.epoch;
    }
    return name;
  }
  return std::nullopt;
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

fs::path checkpoint_at(const fs::path& folder, CheckpointName place) {
  const fs::path path = folder / place.file();
  place.older = !place.older;
  const fs::path other = folder / place.file();
  return !fs::exists(path) && fs::exists(other) ? other : path;
}

fs::path find_model_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {best_model, last_model})
    if (fs::exists(path / name)) return path / name;
  for (const fs::path& folder : {path / "checkpoints", path}) {
    const auto names = list_checkpoints(folder, false);
    if (!names.empty()) return folder / names.back().file();
  }
  return path;
}

}  // namespace sgmae
