#include "sgmae/eval/classifier_file.h"

#include <utility>

#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

bool of_pooling(const std::string& name) {
  return name.starts_with("norm.") || name.starts_with("fc_norm.");
}

}  // namespace

const at::Tensor* Pretrained::find(const std::string& name) const {
  return find_tensor(tensors, name);
}

Pretrained read_pretrained(const fs::path& path, const OpenOptions& options) {
  ModelFile file = read_model_file(path, options);
  check_use(Use::finetune, file.vit, file.mae.has_value(), file.info.stored.has_value(), file.path);
  Pretrained read{.path = std::move(file.path),
                  .config = file.vit,
                  .tensors = {},
                  .normalisation = file.info.normalisation(),
                  .class_names = file.info.class_names,
                  .position_resize = position_resize(file)};
  for (auto& [name, tensor] : file.tensors)
    if (is_encoder_tensor(name)) read.tensors.emplace_back(name, std::move(tensor));
  return read;
}

void load_pretrained(const Pretrained& file, Vit& model) {
  const std::string where = file.path.string();
  const VitConfig &from = file.config, &to = model.config();
  bool head_dropped = false;
  for (Parameter& parameter : model.parameters()) {
    const bool of_head = parameter.name.starts_with("head.");
    const at::Tensor* stored = file.find(parameter.name);
    if (!stored && (of_head || of_pooling(parameter.name)) &&
        (of_head || from.pooling != to.pooling))
      continue;
    check(stored, ExitCode::checkpoint, where, ": tensor '", parameter.name,
          "' is missing; the file is not a complete encoder, use another checkpoint");
    at::Tensor value = *stored;
    check_finite(file.path, parameter.name, value);
    value = fit_to_grid(parameter.name, value, from, {to.grid_height(), to.grid_width()},
                        file.position_resize);
    if (of_head && value.sizes() != parameter.value.sizes()) {
      head_dropped = true;
      continue;
    }
    check(value.sizes() == parameter.value.sizes(), ExitCode::checkpoint, where, ": tensor '",
          parameter.name, "' does not fit the model; leave out the options of its size");
    parameter.value.copy_(value);
  }
  if (head_dropped)
    info("the checkpoint's head has ", from.classes, " classes and the data set has ", to.classes,
         ": training begins with a new head");
  model.parameters_changed();
}

void save_classifier(const fs::path& path, const Vit& model, const Normalisation& normalisation,
                     std::int64_t epoch, const std::vector<std::string>& class_names) {
  ModelInfo info;
  info.use(normalisation);
  info.epoch = epoch;
  info.class_names = class_names;
  save_vit(path, model, info);
}

}  // namespace sgmae
