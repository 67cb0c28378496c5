// The files of tests/golden/detect.py.
#pragma once

#include "tests/support/tensors.h"

namespace sgmae {

class Golden {
 public:
  explicit Golden(const std::string& name)
      : file_(read_safetensors(SGMAE_TEST_DATA "/detect/" + name + ".safetensors")) {}

  const at::Tensor& operator[](const std::string& name) const { return golden_tensor(file_, name); }

 private:
  TensorFile file_;
};

inline const Golden& golden_operations() {
  static const Golden golden("operations");
  return golden;
}

}  // namespace sgmae
