#include "sgmae/nn/config.h"

#include <charconv>
#include <map>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

struct NamedSize {
  VitSize encoder;
  std::int64_t patch_size;  // where the name does not say
};

// MAE, table 8 of He et al. and ViT for small and tiny. Base, large and huge share one decoder.
const std::map<std::string, NamedSize>& named_sizes() {
  static const std::map<std::string, NamedSize> sizes{{"tiny", {{192, 12, 3}, 16}},
                                                      {"small", {{384, 12, 6}, 16}},
                                                      {"base", {{768, 12, 12}, 16}},
                                                      {"large", {{1024, 24, 16}, 16}},
                                                      {"huge", {{1280, 32, 16}, 14}}};
  return sizes;
}

}  // namespace

// [mae_]vit_<size>[_patch<P>][_<input>][.mae]
MaeConfig named_config(const std::string& name) {
  std::string rest = name;
  if (rest.ends_with(".mae")) rest.resize(rest.size() - 4);
  if (rest.starts_with("mae_")) rest.erase(0, 4);
  const auto unknown = [&]() -> MaeConfig {
    fail(ExitCode::usage, "unknown model '", name,
         "'; known are mae_vit_{tiny,small,base,large,huge}_patchN, e.g. mae_vit_base_patch16");
  };
  if (!rest.starts_with("vit_")) return unknown();
  rest.erase(0, 4);

  const std::string size = rest.substr(0, rest.find('_'));
  const auto found = named_sizes().find(size);
  if (found == named_sizes().end()) return unknown();
  MaeConfig config;
  config.encoder = found->second.encoder;
  config.patch_size = found->second.patch_size;
  rest.erase(0, size.size());

  const auto take_number = [&](const std::string& prefix, std::int64_t& value) {
    if (!rest.starts_with(prefix)) return;
    const char* begin = rest.data() + prefix.size();
    const auto [end, error] = std::from_chars(begin, rest.data() + rest.size(), value);
    if (error == std::errc()) rest.erase(0, static_cast<std::size_t>(end - rest.data()));
  };
  take_number("_patch", config.patch_size);
  std::int64_t input = 0;
  take_number("_", input);
  if (input > 0) config.height = config.width = input;
  if (!rest.empty()) return unknown();
  return config;
}

void check_config(const MaeConfig& config) {
  const auto positive = [](std::int64_t value, const char* what) {
    check(value > 0, ExitCode::usage, what, " is ", value, "; it must be positive");
  };
  positive(config.height, "input height");
  positive(config.width, "input width");
  positive(config.channels, "channels");
  positive(config.patch_size, "patch_size");
  positive(config.mlp_ratio, "mlp_ratio");
  check(config.height % config.patch_size == 0 && config.width % config.patch_size == 0,
        ExitCode::usage, "patch_size ", config.patch_size, " does not divide the input of ",
        config.height, "x", config.width,
        " (height x width); choose an input_size that is a multiple");
  const auto check_size = [&](const VitSize& size, const std::string& part) {
    positive(size.dim, (part + "dim").c_str());
    positive(size.depth, (part + "depth").c_str());
    positive(size.heads, (part + "heads").c_str());
    check(size.dim % size.heads == 0, ExitCode::usage, part, "heads ", size.heads,
          " do not divide ", part, "dim ", size.dim);
    check(size.dim % 4 == 0, ExitCode::usage, part, "dim ", size.dim,
          " is not a multiple of 4, which the 2-D sine-cosine position embedding needs");
  };
  check_size(config.encoder, "");
  check_size(config.decoder, "decoder_");
}

}  // namespace sgmae
