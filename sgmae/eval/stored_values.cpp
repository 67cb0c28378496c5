#include "sgmae/eval/stored_values.h"

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"

namespace sgmae {

namespace fs = std::filesystem;

const at::Tensor& find_or_fail(const NamedTensors& tensors, const std::string& name,
                               const fs::path& path) {
  const at::Tensor* stored = find_tensor(tensors, name);
  check(stored, ExitCode::checkpoint, path.string(), ": tensor '", name,
        "' is missing; the file is not complete, use another checkpoint");
  return *stored;
}

void copy_value(const fs::path& path, const std::string& name, const at::Tensor& value,
                const at::Tensor& to) {
  check_finite(path, name, value);
  check(value.sizes() == to.sizes(), ExitCode::checkpoint, path.string(), ": tensor '", name,
        "' is ", shape_text(value), ", but the model's is ", shape_text(to),
        "; leave out the options of its size");
  to.copy_(value);
}

void copy_backbone_value(const fs::path& path, const at::Tensor& stored, const VitConfig& from,
                         PositionResize how, const VitConfig& to, Parameter& parameter) {
  const std::string& name = parameter.name;
  at::Tensor value = fit_to_grid(name, stored, from, {to.grid_height(), to.grid_width()}, how);
  if (name == "pos_embed" && value.dim() == 3 && value.size(1) == 1 + to.n_patches() &&
      !to.class_token)
    value = value.narrow(1, 1, to.n_patches());
  // Relative positions of another window.
  if (name.find(".rel_pos_") != std::string::npos && value.dim() == 2 &&
      value.sizes() != parameter.value.sizes())
    value = resize_relative_axis(value, (parameter.value.size(0) + 1) / 2);
  copy_value(path, name, value, parameter.value);
}

}  // namespace sgmae
