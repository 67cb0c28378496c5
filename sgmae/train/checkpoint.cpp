#include "sgmae/train/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

void mix(std::uint64_t& hash, const void* data, std::size_t bytes) {
  const auto* next = static_cast<const unsigned char*>(data);
  for (; bytes > 0; next += 8, bytes -= std::min<std::size_t>(8, bytes)) {
    std::uint64_t word = 0;
    std::memcpy(&word, next, std::min<std::size_t>(8, bytes));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
  }
}

std::string hex_digits(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

LoadedMae load_mae(const std::filesystem::path& path, const OpenOptions& options) {
  const ModelFile file = read_model_file(path, options);
  return {make_mae(file), file.info, file.path};
}

ModelInfo load_weights(const std::filesystem::path& path, Mae& model) {
  const ModelFile file = read_model_file(path);
  check(file.mae.has_value(), ExitCode::checkpoint, path.string(), ": contains no decoder");
  const nlohmann::json stored = to_json(*file.mae), needed = to_json(model.config());
  for (const auto& [key, value] : needed.items())
    check(stored[key] == value, ExitCode::checkpoint, path.string(), ": its ", key, " is ",
          stored[key].dump(), ", this run's is ", value.dump(),
          "; use the options with which it was trained");
  copy_weights(file, model.parameters());
  model.parameters_changed();
  return file.info;
}

void load_values(const TensorFile& state, std::vector<Parameter>& parameters) {
  for (Parameter& parameter : parameters) {
    const at::Tensor* stored = state.find(parameter.name);
    check(stored && stored->sizes() == parameter.value.sizes(), ExitCode::checkpoint,
          "the training state has no tensor '", parameter.name,
          "' of the model's shape; go on with the options with which it was trained, or choose "
          "another --output_dir to begin anew");
    parameter.value.copy_(*stored);
  }
}

std::string model_hash(const std::vector<Parameter>& parameters) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const Parameter& parameter : parameters) {
    mix(hash, parameter.name.data(), parameter.name.size());
    const at::Tensor value = parameter.value.cpu().contiguous();
    mix(hash, value.const_data_ptr(), value.nbytes());
  }
  return hex_digits(hash);
}

std::string data_hash(const Source& source) {
  return hex_digits(source.digest());
}

}  // namespace sgmae
