// What a model is put together of, by the names of its parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/nn/parameter.h"

namespace sgmae {

struct ModelPart {
  std::string name;  // "encoder", "pyramid", "mask head" …
  std::int64_t parameters = 0;
};

// In the order of the list.
std::vector<ModelPart> parts_of(const std::vector<Parameter>& parameters);

}  // namespace sgmae
