#include "sgmae/nn/config.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

struct NamedSize {
  VitSize encoder;
  std::int64_t patch_size;  // where the name does not say
};

// MAE, table 8 of He et al. and ViT for small and tiny.
const std::map<std::string, NamedSize>& named_sizes() {
  static const std::map<std::string, NamedSize> sizes{{"tiny", {{192, 12, 3}, 16}},
                                                      {"small", {{384, 12, 6}, 16}},
                                                      {"base", {{768, 12, 12}, 16}},
                                                      {"large", {{1024, 24, 16}, 16}},
                                                      {"huge", {{1280, 32, 16}, 14}}};
  return sizes;
}

constexpr std::int64_t largest_size = 1 << 20;  // beyond any model, and products of two still fit

void check_positive(std::int64_t value, const std::string& what) {
  check(value > 0 && value <= largest_size, ExitCode::usage, what, " is ", value,
        "; it must be in 1 .. ", largest_size);
}

// Beyond what any model has: products of sizes stay within their type, and a slip of the keyboard
// does not ask for all memory.
constexpr std::int64_t largest_side = 1 << 15, most_patches = 1 << 18, largest_dim = 1 << 14,
                       most_blocks = 1 << 12;

void check_at_most(std::int64_t value, std::int64_t most, const std::string& what) {
  check(value <= most, ExitCode::usage, what, " is ", value, "; the largest supported is ", most);
}

void check_image(std::int64_t height, std::int64_t width, std::int64_t channels,
                 std::int64_t patch_size) {
  check_positive(height, "input height");
  check_positive(width, "input width");
  check_positive(channels, "channels");
  check_positive(patch_size, "patch_size");
  check_at_most(height, largest_side, "input height");
  check_at_most(width, largest_side, "input width");
  check(height % patch_size == 0 && width % patch_size == 0, ExitCode::usage, "patch_size ",
        patch_size, " does not divide the input of ", height, "x", width,
        " (height x width); choose an input_size that is a multiple");
  check_at_most(height / patch_size * (width / patch_size), most_patches,
                str("the number of patches in ", height, "x", width, " pixels"));
}

void check_size(const VitSize& size, const std::string& part) {
  check_positive(size.dim, part + "dim");
  check_positive(size.depth, part + "depth");
  check_positive(size.heads, part + "heads");
  check_at_most(size.dim, largest_dim, part + "dim");
  check_at_most(size.depth, most_blocks, part + "depth");
  check(size.dim % size.heads == 0, ExitCode::usage, part, "heads ", size.heads, " do not divide ",
        part, "dim ", size.dim);
  check(size.dim % 4 == 0, ExitCode::usage, part, "dim ", size.dim,
        " is not a multiple of 4, as the 2-D sine-cosine position embedding requires");
}

// Windows and offsets are those of a grid, in which class token and registers have no place. Only
// BEiT's table has entries for a class token.
void check_attention(const VitConfig& config) {
  const auto blocks = static_cast<std::int64_t>(config.attention.size());
  check(blocks == 0 || blocks == config.size.depth, ExitCode::usage, "attention is set for ",
        blocks, " blocks of ", config.size.depth, "; set it for all of them or for none");
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto [window, relative] = config.attention_of(i);
    check(window >= 0, ExitCode::usage, "block ", i, " has a window of ", window,
          "; give its side in patches, or 0 for none");
    const bool table = window == 0 && relative == RelativePosition::bias;
    const bool plain = window == 0 && relative == RelativePosition::none;
    check(plain || (config.registers == 0 && (table || !config.class_token)), ExitCode::usage,
          "block ", i, " has ", window > 0 ? "windows" : "relative positions",
          ", which do not work with ", config.registers > 0 ? "registers" : "a class token",
          "; use a model without");
  }
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
  config.decoder = decoder_for(config.encoder);
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

VitSize decoder_for(const VitSize& encoder) {
  const std::int64_t heads = std::clamp<std::int64_t>(encoder.dim * 2 / 3 / 32, 1, 16);
  return {.dim = 32 * heads, .depth = 8, .heads = heads};
}

VitConfig encoder_config(const MaeConfig& config) {
  VitConfig vit;
  vit.height = config.height;
  vit.width = config.width;
  vit.channels = config.channels;
  vit.patch_size = config.patch_size;
  vit.size = config.encoder;
  vit.mlp_hidden = config.encoder_mlp();
  vit.layer_norm_eps = config.layer_norm_eps;
  return vit;
}

void check_config(const VitConfig& config) {
  check_image(config.height, config.width, config.channels, config.patch_size);
  check_size(config.size, "");
  check_positive(config.mlp_hidden, "mlp_hidden");
  SGMAE_ASSERT(config.registers >= 0 && config.classes >= 0);
  check_attention(config);
  check(config.class_token || config.pooling != Pooling::cls || config.classes == 0,
        ExitCode::usage,
        "the head uses the class token, which this model does not have; use mean pooling");
}

void check_config(const MaeConfig& config) {
  check_image(config.height, config.width, config.channels, config.patch_size);
  check_positive(config.mlp_ratio, "mlp_ratio");
  check_size(config.encoder, "");
  check_size(config.decoder, "decoder_");
}

}  // namespace sgmae
