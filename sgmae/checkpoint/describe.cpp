#include "sgmae/checkpoint/describe.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"

namespace sgmae {
namespace {

std::string millions(std::int64_t count) {
  return count < 100000 ? std::to_string(count) : fixed(static_cast<double>(count) / 1e6, 2) + " M";
}

std::string size_text(const VitSize& size) {
  return str(size.depth, size.depth == 1 ? " block" : " blocks", ", width ", size.dim, ", ",
             size.heads, " heads");
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
               file.vit.pooling == Pooling::mean ? "the mean of the patches (global pool)"
                                                 : "the class token");
  return "an encoder without decoder or head";
}

std::vector<std::string> uses_of(const ModelFile& file) {
  std::vector<std::string> uses{"sgmae knn, extract, forward: features of images",
                                "sgmae mask: clusters and relevance from the encoder",
                                "sgmae analyze: measures and pictures of what it has learned",
                                "sgmae finetune: a classifier trained from it",
                                "sgmae convert: files for other programs"};
  if (file.vit.pooling != Pooling::mean)  // without a final norm there is nothing to probe behind
    uses.push_back("sgmae linprobe: a linear classifier on its features");
  if (file.mae) uses.push_back("sgmae reconstruct: fill in hidden patches");
  return uses;
}

}  // namespace

ModelDescription describe(const ModelFile& file) {
  ModelDescription d;
  d.family = name_of(file.family);
  d.title = title_of(file.family);
  d.kind = kind_of(file);
  d.architecture =
      str(model_name(file.vit), ", images ", file.vit.height, "x", file.vit.width, " with ",
          file.vit.channels, file.vit.channels == 1 ? " channel" : " channels",
          file.vit.layer_scale ? ", LayerScale" : "");
  if (file.vit.registers > 0) d.architecture += str(", ", file.vit.registers, " registers");
  if (!file.vit.class_token) d.architecture += ", no class token";
  if (!file.vit.position_embedding) d.architecture += ", no position embedding";
  d.architecture += attention_text(file.vit);

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
  d.uses = uses_of(file);
  if (!d.not_finite.empty())
    d.warnings.push_back(str(d.not_finite.size(),
                             " tensors hold values that are not finite, first '", d.not_finite[0],
                             "': sgmae will not run this model"));
  return d;
}

std::string to_text(const ModelDescription& d, const ModelFile& file) {
  std::string text = str(file.path.string(), "\n  is        ", d.title, "\n  holds     ", d.kind,
                         "\n  model     ", d.architecture, "\n");
  for (const std::string& part : d.parts) text += "  part      " + part + "\n";
  text +=
      str("  epoch     ", file.epoch_known ? str(file.info.epoch, " finished") : "not known", "\n");
  if (file.mae)
    text += str("  target    ",
                !file.norm_pix_loss   ? "not known whether normalised patches (norm_pix_loss)"
                : *file.norm_pix_loss ? "normalised patches (norm_pix_loss)"
                                      : "plain pixels",
                "\n");
  if (!file.info.guide.is_null()) text += "  guidance  " + file.info.guide.dump() + "\n";
  for (const std::string& assumption : file.assumptions) text += "  assumed   " + assumption + "\n";
  if (!file.left_out.empty())
    text += str("  left out  ", file.left_out.size(),
                " tensors that are no part of the model, first '", file.left_out[0], "'\n");
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
                           {"head_parameters", d.head_parameters}};
  j["epoch"] = nullptr;
  if (file.epoch_known) j["epoch"] = file.info.epoch;
  j["norm_pix_loss"] = nullptr;
  if (file.norm_pix_loss) j["norm_pix_loss"] = *file.norm_pix_loss;
  j["mean"] = file.info.mean;
  j["std"] = file.info.std;
  j["assumed"] = file.assumptions;
  j["left_out"] = file.left_out;
  j["not_finite"] = d.not_finite;
  j["good_for"] = d.uses;
  return j;
}

}  // namespace sgmae
