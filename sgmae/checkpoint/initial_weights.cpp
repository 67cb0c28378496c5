#include "sgmae/checkpoint/initial_weights.h"

#include <ATen/ops/mul.h>

#include <algorithm>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"

namespace sgmae {
namespace {

// [D, C, p, p] for `channels` channels.
at::Tensor projection_of(const at::Tensor& weight, std::int64_t channels) {
  if (weight.size(1) == channels) return weight;
  const double scale = static_cast<double>(weight.size(1)) / static_cast<double>(channels);
  return at::mul(weight.mean(1, /*keepdim=*/true), scale).repeat({1, channels, 1, 1});
}

// A branch of a block times its LayerScale is the branch with this in its last layer.
void multiply_into(const ModelFile& file, const std::string& scale, at::Tensor& value,
                   bool is_weight) {
  const at::Tensor* gamma = file.find(scale);
  if (!gamma) return;
  value = at::mul(value, is_weight ? gamma->view({-1, 1}) : *gamma);
}

void multiply_layer_scale(const ModelFile& file, const std::string& name, at::Tensor& value) {
  for (const auto& [layer, scale] :
       {std::pair<std::string, std::string>{".attn.proj.", ".ls1.gamma"},
        {".mlp.fc2.", ".ls2.gamma"}})
    if (const std::size_t at = name.find(layer); at != std::string::npos)
      multiply_into(file, name.substr(0, at) + scale, value, name.ends_with("weight"));
}

bool is_decoder_tensor(const std::string& name) {
  return name.starts_with("decoder_") || name == "mask_token";
}

}  // namespace

MaeConfig autoencoder_of(const ModelFile& file) {
  if (file.mae) return *file.mae;
  const VitConfig& vit = file.vit;
  const auto fits = [&](bool has, const char* what) {
    check(has, ExitCode::checkpoint, file.path.string(), ": the encoder ", what,
          ", as no masked autoencoder does; begin from another one");
  };
  for (const BlockAttention& attention : vit.attention)
    fits(attention == BlockAttention{}, "has windows or relative positions");
  fits(vit.position_embedding, "has no position embedding");
  MaeConfig config;
  config.height = vit.height, config.width = vit.width, config.channels = vit.channels;
  config.patch_size = vit.patch_size;
  config.encoder = vit.size;
  config.decoder = decoder_for(vit.size);
  if (vit.mlp_hidden != config.encoder_mlp()) config.encoder_mlp_hidden = vit.mlp_hidden;
  config.layer_norm_eps = vit.layer_norm_eps;
  return config;
}

InitialWeights copy_initial_weights(ModelFile file, Mae& model) {
  const MaeConfig& config = model.config();
  const std::int64_t channels_there = file.vit.channels;
  if (file.vit.height != config.height || file.vit.width != config.width)
    resize_input(file, config.height, config.width);
  std::vector<std::string> fresh;
  bool decoder = file.mae && file.mae->decoder.dim == config.decoder.dim &&
                 file.mae->decoder.depth == config.decoder.depth &&
                 file.mae->decoder.heads == config.decoder.heads &&
                 file.mae->decoder_mlp() == config.decoder_mlp();
  for (Parameter& parameter : model.parameters()) {
    const std::string& name = parameter.name;
    const at::Tensor* stored = file.find(name);
    if (is_decoder_tensor(name)) {
      // What gives the pixels of other channels is another layer.
      if (!decoder || !stored || stored->sizes() != parameter.value.sizes()) {
        if (decoder) fresh.push_back(name);
        continue;
      }
    } else if (!stored) {
      check(!name.starts_with("blocks.") && !name.starts_with("patch_embed."), ExitCode::checkpoint,
            file.path.string(), ": tensor '", name, "' is missing");
      fresh.push_back(name);  // a class token, a final norm
      continue;
    }
    check_finite(file.path, name, *stored);
    at::Tensor value = stored->to(at::kFloat);
    if (name == "patch_embed.proj.weight") value = projection_of(value, config.channels);
    multiply_layer_scale(file, name, value);
    check(value.sizes() == parameter.value.sizes(), ExitCode::checkpoint, file.path.string(),
          ": tensor '", name, "' is ", shape_text(value), ", the model needs ",
          shape_text(parameter.value));
    parameter.value.copy_(value);
  }
  model.parameters_changed();

  std::string said =
      str("begun from the encoder", decoder ? " and the decoder" : "", " of ", file.path.string());
  if (!decoder)
    said += file.mae ? "; its decoder has other sizes, and a fresh one is drawn"
                     : "; it has no decoder, and a fresh one is drawn";
  if (channels_there != config.channels)
    said +=
        str("; its projection of ", channels_there, " channels is spread over ", config.channels);
  if (file.vit.registers > 0) said += str("; its ", file.vit.registers, " registers are left out");
  if (!fresh.empty()) {
    said += "; drawn anew: ";
    for (const std::string& name : fresh) said += (name == fresh.front() ? "" : ", ") + name;
  }
  return {decoder, said};
}

}  // namespace sgmae
