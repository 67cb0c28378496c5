// What sgmae inspect says of the heads of a detector or of a segmentation model.
#pragma once

#include <filesystem>

#include "sgmae/checkpoint/describe.h"

namespace sgmae {

// Completes `description`, which describe() made of the encoder at `path`, and clears file.left_out
// of the heads' tensors; files that hold no such model stay as they are. Makes the model, as
// describe() does.
void describe_heads(const std::filesystem::path& path, ModelFile& file,
                    ModelDescription& description);

}  // namespace sgmae
