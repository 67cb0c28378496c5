#include "sgmae/checkpoint/open_model.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"

namespace sgmae {

PositionResize position_resize(const ModelFile& file) {
  const bool dinov2 = file.family == Family::dinov2 || file.family == Family::hf_dinov2;
  if (dinov2 && file.vit.registers > 0) return PositionResize::antialias;
  return file.family == Family::dinov2 ? PositionResize::offset : PositionResize::plain;
}

at::Tensor fit_to_grid(const std::string& name, const at::Tensor& value, const VitConfig& from,
                       GridSize to, PositionResize how) {
  const GridSize grid{from.grid_height(), from.grid_width()};
  if (grid == to) return value;
  if (name == "pos_embed" || name == "decoder_pos_embed") {
    const bool fits =
        value.dim() == 3 && value.size(1) == from.class_tokens() + grid.rows * grid.cols;
    return fits ? resize_position_embedding(value, grid, to, how) : value;
  }
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(from.attention.size()); ++i) {
    const auto [window, relative] = from.attention_of(i);
    const std::string attention = str("blocks.", i, ".attn.");
    if (window > 0 || !name.starts_with(attention)) continue;
    const std::string table = name.substr(attention.size());
    if (relative == RelativePosition::decomposed && table == "rel_pos_h")
      return resize_relative_axis(value, to.rows);
    if (relative == RelativePosition::decomposed && table == "rel_pos_w")
      return resize_relative_axis(value, to.cols);
    if (relative == RelativePosition::bias && table == "relative_position_bias_table")
      return resize_relative_bias(value, grid, to);
  }
  return value;
}

void resize_input(ModelFile& file, std::int64_t height, std::int64_t width) {
  const VitConfig before = file.vit;
  const GridSize from{before.grid_height(), before.grid_width()};
  file.vit.height = height;
  file.vit.width = width;
  if (file.mae) {
    file.mae->height = height;
    file.mae->width = width;
  }
  check_config(file.vit);
  const GridSize to{file.vit.grid_height(), file.vit.grid_width()};
  if (from == to) return;
  file.info.position_mean = at::Tensor();  // measured at the old positions
  for (auto& [name, tensor] : file.tensors) {
    const at::Tensor resized = fit_to_grid(name, tensor, before, to, position_resize(file));
    const bool position = name == "pos_embed" || name == "decoder_pos_embed";
    check(!position || !resized.is_same(tensor), ExitCode::checkpoint, file.path.string(),
          ": tensor '", name, "' is ", shape_text(tensor), ", which does not fit ", from.rows, "x",
          from.cols, " patches");
    tensor = resized;
  }
}

void copy_weights(const ModelFile& file, std::vector<Parameter>& parameters) {
  const std::string where = file.path.string();
  std::set<std::string> known;
  for (Parameter& parameter : parameters) {
    known.insert(parameter.name);
    const at::Tensor* stored = file.find(parameter.name);
    check(stored, ExitCode::checkpoint, where, ": tensor '", parameter.name,
          "' is missing: not a plain ViT, or an incomplete file");
    check(stored->sizes() == parameter.value.sizes(), ExitCode::checkpoint, where, ": tensor '",
          parameter.name, "' is ", shape_text(*stored), ", the model needs ",
          shape_text(parameter.value), " for the sizes of its other tensors");
    check_finite(file.path, parameter.name, *stored);
    parameter.value.copy_(*stored);
  }
  const bool decoder = known.count("mask_token") > 0;
  for (const auto& [name, tensor] : file.tensors)
    check(known.count(name) > 0 || (!decoder && !is_encoder_tensor(name)), ExitCode::checkpoint,
          where, ": tensor '", name, "' has no place in the model that its other tensors make");
}

void check_finite(const std::filesystem::path& file, const std::string& name,
                  const at::Tensor& tensor) {
  check(at::isfinite(tensor).all().item<bool>(), ExitCode::checkpoint, file.string(), ": tensor '",
        name,
        "' holds values that are not finite; the training diverged, use an earlier checkpoint");
}

Mae make_mae(const ModelFile& file) {
  check_decoder(file.mae.has_value(), file.path);
  Mae model(*file.mae, std::nullopt);
  copy_weights(file, model.parameters());
  model.parameters_changed();
  return model;
}

Vit make_vit(const ModelFile& file) {
  Vit model(file.vit, std::nullopt);
  copy_weights(file, model.parameters());
  model.parameters_changed();
  return model;
}

void check_use(Use use, const OpenedModel& opened) {
  check_use(use, opened.encoder().config(), opened.mae() != nullptr, opened.info.stored.has_value(),
            opened.path);
}

OpenedModel open_model(const std::filesystem::path& path, const OpenOptions& options) {
  ModelFile file = read_model_file(path, options);
  if (options.height > 0) resize_input(file, options.height, options.width);
  OpenedModel opened{file.mae ? std::variant<Mae, Vit>(make_mae(file)) : make_vit(file),
                     std::move(file.info), file.family, file.path};
  return opened;
}

const Encoder& OpenedModel::encoder() const {
  return mae() ? mae()->encoder() : vit()->encoder();
}

const std::vector<Parameter>& OpenedModel::parameters() const {
  return mae() ? mae()->parameters() : vit()->parameters();
}

void OpenedModel::set_precision(Precision precision) {
  std::visit([&](auto& m) { m.set_precision(precision); }, model);
}

void OpenedModel::move_to(at::Device device) {
  std::visit([&](auto& m) { m.move_to(device); }, model);
}

}  // namespace sgmae
