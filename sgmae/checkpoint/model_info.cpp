#include "sgmae/checkpoint/model_info.h"

#include "sgmae/base/error.h"
#include "sgmae/base/version.h"
#include "sgmae/checkpoint/model_json.h"

namespace sgmae {
namespace {

using nlohmann::json;

constexpr const char* pooling_names[] = {"cls", "mean", "normed_mean"};  // as enum Pooling

std::int64_t integer(const json& object, const char* key) {
  check(object.is_object() && object.contains(key) && object[key].is_number_integer(),
        ExitCode::checkpoint, "the configuration in the file lacks the number '", key, "'");
  return object[key];
}

template <class T>
T optional(const json& object, const char* key, T otherwise) {
  try {
    return object.value(key, otherwise);
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, "the configuration in the file has a malformed '", key, "'");
  }
}

}  // namespace

json to_json(const MaeConfig& c) {
  json j{{"height", c.height},
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
  if (c.encoder_mlp_hidden > 0) j["encoder_mlp_hidden"] = c.encoder_mlp_hidden;
  if (c.decoder_mlp_hidden > 0) j["decoder_mlp_hidden"] = c.decoder_mlp_hidden;
  return j;
}

json to_json(const VitConfig& c) {
  json j{{"height", c.height},
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
         {"pooling", pooling_names[static_cast<std::size_t>(c.pooling)]},
         {"classes", c.classes},
         {"batch_norm_head", c.batch_norm_head}};
  if (!c.class_token) j["class_token"] = false;
  if (!c.position_embedding) j["position_embedding"] = false;
  if (!c.final_norm) j["final_norm"] = false;
  for (const auto& [window, relative] : c.attention)
    j["attention"].push_back(
        {{"window", window},
         {"relative_position", relative_position_names[static_cast<std::size_t>(relative)]}});
  return j;
}

json to_json(const ModelInfo& info) {
  json j{{"version", version},
         {"mean", info.mean},
         {"std", info.std},
         {"epoch", info.epoch},
         {"step", info.step}};
  if (!info.guide.is_null()) j["guide"] = info.guide;
  if (!info.class_names.empty()) j["classes"] = info.class_names;
  if (info.stored) j["stored_values"] = to_json(*info.stored);
  return j;
}

ModelInfo model_info_from_json(const json& j) {
  ModelInfo info;
  info.mean = optional(j, "mean", std::vector<float>());
  info.std = optional(j, "std", std::vector<float>());
  info.epoch = integer(j, "epoch");
  info.step = integer(j, "step");
  info.version = optional(j, "version", std::string());
  info.guide = optional(j, "guide", json());
  info.class_names = optional(j, "classes", std::vector<std::string>());
  if (j.contains("stored_values")) try {
      info.stored = stored_values_from_json(j["stored_values"]);
    } catch (const json::exception&) {
      fail(ExitCode::checkpoint, "the configuration in the file has malformed 'stored_values'");
    }
  return info;
}

}  // namespace sgmae
