#include "sgmae/checkpoint/describe.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"

namespace sgmae {
namespace {

std::string size_text(const VitSize& size) {
  return str(counted(size.depth, "block"), ", width ", size.dim, ", ", size.heads, " heads");
}

// "ViT-B/16" where the sizes are a published one's.
std::string model_name(const VitConfig& config) {
  struct Named {
    const char* letter;
    VitSize size;
  };
  for (const auto& [letter, size] :
       {Named{"Ti", {192, 12, 3}}, Named{"S", {384, 12, 6}}, Named{"B", {768, 12, 12}},
        Named{"L", {1024, 24, 16}}, Named{"H", {1280, 32, 16}}})
    if (config.size.dim == size.dim && config.size.depth == size.depth &&
        config.size.heads == size.heads)
      return str("ViT-", letter, "/", config.patch_size);
  return str("ViT (width ", config.size.dim, ", ", config.size.depth, " blocks) with patches of ",
             config.patch_size);
}

std::string attention_text(const VitConfig& config) {
  std::int64_t windowed = 0;
  bool relative = false;
  for (const auto& [window, relative_position] : config.attention) {
    windowed += window > 0;
    relative |= relative_position != RelativePosition::none;
  }
  return str(
      windowed > 0 ? str(", windows in ", windowed, " of ", config.size.depth, " blocks") : "",
      relative ? ", relative positions" : "");
}

std::string kind_of(const ModelFile& file) {
  if (file.mae) return "a pre-trained autoencoder, encoder and decoder";
  if (file.vit.batch_norm_head)
    return str("an encoder with a linear probe for ", file.vit.classes, " classes");
  if (file.vit.classes > 0)
    return str("a classifier of ", file.vit.classes, " classes on ",
               file.vit.pooling == Pooling::cls ? "the class token"
                                                : "the mean of the patches (global pool)");
  return "an encoder without decoder or head";
}

// Why the model cannot run, or nothing: by making it.
std::optional<std::string> defect_of(const ModelFile& file) {
  try {
    if (file.mae)
      make_mae(file);
    else
      make_vit(file);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

std::vector<std::string> uses_of(const ModelFile& file) {
  std::vector<std::string> lines;
  for (const UseInfo& info : uses()) {
    try {
      check_use(info.use, file.vit, file.mae.has_value(), file.info.stored.has_value(), file.path);
      lines.push_back(str("sgmae ", info.command, ": ", info.does));
    } catch (const Error&) {  // no promise of it
    }
  }
  lines.push_back("sgmae convert: files for other programs");
  lines.push_back("sgmae export: an ONNX file");
  return lines;
}

// "guide hardest, hint_ratio 0.05, …" of an object.
std::string values_text(const nlohmann::json& object) {
  std::string text;
  for (const auto& [name, value] : object.items())
    text += str(text.empty() ? "" : ", ", name, " ",
                value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

}  // namespace

std::string millions(std::int64_t count) {
  return count < 100000 ? std::to_string(count) : fixed(static_cast<double>(count) / 1e6, 2) + " M";
}

std::string architecture_of(const VitConfig& config) {
  return str(model_name(config), ", images ", config.height, "x", config.width, " with ",
             counted(config.channels, "channel"), config.layer_scale ? ", LayerScale" : "",
             config.registers > 0 ? str(", ", config.registers, " registers") : "",
             config.class_token ? "" : ", no class token",
             config.position_embedding ? "" : ", no position embedding", attention_text(config));
}

ModelDescription describe(const ModelFile& file) {
  ModelDescription d;
  d.family = name_of(file.family);
  d.title = title_of(file.family);
  d.kind = kind_of(file);
  d.architecture = architecture_of(file.vit);
  for (const auto& [name, tensor] : file.tensors) {
    const bool decoder = !is_encoder_tensor(name);
    const bool head = name.starts_with("head.") || name.starts_with("fc_norm.");
    (decoder ? d.decoder_parameters
     : head  ? d.head_parameters
             : d.encoder_parameters) += tensor.numel();
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>())
      d.not_finite.push_back(name);
  }
  d.optimizer = std::any_of(file.left_out.begin(), file.left_out.end(),
                            [](const std::string& name) { return name.starts_with("optimizer"); });

  d.parts.push_back(str("encoder: ", size_text(file.vit.size), ", ", millions(d.encoder_parameters),
                        " parameters"));
  if (file.mae)
    d.parts.push_back(str("decoder: ", size_text(file.mae->decoder), ", ",
                          millions(d.decoder_parameters), " parameters"));
  if (d.head_parameters > 0)
    d.parts.push_back(
        str("head: ", file.vit.classes, " classes, ", millions(d.head_parameters), " parameters"));
  if (d.optimizer) d.parts.push_back("optimizer state (not used by sgmae)");
  if (const auto defect = defect_of(file))
    d.warnings.push_back("sgmae cannot run this model: " + *defect);
  else
    d.uses = uses_of(file);
  return d;
}

std::string to_text(const ModelDescription& d, const ModelFile& file) {
  std::string text = str(file.path.string(), "\n  is        ", d.title, "\n  holds     ", d.kind,
                         "\n  model     ", d.architecture, "\n");
  for (const std::string& part : d.parts) text += "  part      " + part + "\n";
  text +=
      str("  epoch     ", file.epoch_known ? str(file.info.epoch, " finished") : "unknown", "\n");
  if (file.mae)
    text += str("  target    ",
                !file.norm_pix_loss   ? "unknown whether normalised patches (norm_pix_loss)"
                : *file.norm_pix_loss ? "normalised patches (norm_pix_loss)"
                                      : "plain pixels",
                "\n");
  if (!file.info.guide.is_null()) text += "  masks     " + values_text(file.info.guide) + "\n";
  for (const std::string& assumption : file.assumptions) text += "  assumed   " + assumption + "\n";
  for (const std::string& remark : file.remarks) text += "  note      " + remark + "\n";
  if (!file.left_out.empty())
    text += str("  left out  ", counted(file.left_out.size(), "tensor"),
                " that are not part of the model, first '", file.left_out[0], "'\n");
  if (!file.unknown.empty())
    text += str("  left out  Python objects of ", counted(file.unknown.size(), "class", "classes"),
                " not known here, first '", file.unknown[0], "'; nothing of them was run\n");
  for (const std::string& warning : d.warnings) text += "  warning   " + warning + "\n";
  for (const std::string& use : d.uses) text += "  good for  " + use + "\n";
  return text;
}

nlohmann::ordered_json to_json(const ModelDescription& d, const ModelFile& file) {
  nlohmann::ordered_json j{{"file", file.path.string()},
                           {"family", d.family},
                           {"kind", d.kind},
                           {"architecture", d.architecture},
                           {"config", file.mae ? to_json(*file.mae) : to_json(file.vit)},
                           {"has_decoder", file.mae.has_value()},
                           {"classes", file.vit.classes},
                           {"has_optimizer", d.optimizer},
                           {"encoder_parameters", d.encoder_parameters},
                           {"decoder_parameters", d.decoder_parameters},
                           {"head_parameters", d.head_parameters},
                           {"heads", d.heads}};
  j["epoch"] = nullptr;
  if (file.epoch_known) j["epoch"] = file.info.epoch;
  j["norm_pix_loss"] = nullptr;
  if (file.norm_pix_loss) j["norm_pix_loss"] = *file.norm_pix_loss;
  j["mean"] = file.info.mean;
  j["std"] = file.info.std;
  j["stored_values"] = nullptr;
  if (file.info.stored) j["stored_values"] = to_json(*file.info.stored);
  j["assumed"] = file.assumptions;
  j["notes"] = file.remarks;
  j["left_out"] = file.left_out;
  j["unknown_objects"] = file.unknown;
  j["not_finite"] = d.not_finite;
  j["good_for"] = d.uses;
  return j;
}

}  // namespace sgmae
