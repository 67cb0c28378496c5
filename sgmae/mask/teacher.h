// A network that follows a trained one as the moving average of its weights, and only looks: the
// teacher of AttMask and HPM.
#pragma once

#include <cstddef>
#include <optional>

#include "sgmae/optim/ema.h"

namespace sgmae {

// Of a Model that is made by Model(student.config(), nullopt).
template <class Model>
class Teacher {
 public:
  // Begins as `student`, on its device and in its precision.
  explicit Teacher(const Model& student)
      : average_(student.parameters()), model_(student.config(), std::nullopt) {
    for (std::size_t i = 0; i < model_.parameters().size(); ++i) {
      Parameter& parameter = model_.parameters()[i];
      parameter.value = average_.values()[i].second;
      parameter.grad = at::Tensor();
    }
    model_.set_precision(student.precision());  // takes notice of the values too
  }

  const Model& model() const { return model_; }  // without gradients

  // weights <- momentum * weights + (1 - momentum) * the student's.
  void update(const Model& student, double momentum) {
    average_.update(student.parameters(), momentum);
    model_.parameters_changed();
  }

  // "ema.<name>"
  NamedTensors state() const { return average_.state(); }
  // Throws Error(checkpoint) when one is missing or of another shape.
  void load(const TensorFile& file) {
    average_.load(file);
    model_.parameters_changed();
  }

 private:
  Ema average_;
  Model model_;  // its values are those of the average
};

}  // namespace sgmae
