// What a model is good for. Commands ask before they begin, and `sgmae inspect` promises what the
// same function allows.
#pragma once

#include <filesystem>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

// The commands that run a model.
enum class Use { embed, knn, forward, mask, analyze, linprobe, finetune, reconstruct };

struct UseInfo {
  Use use;
  const char* command;  // "embed"
  const char* does;     // "features of images"
};

// All of them.
const std::vector<UseInfo>& uses();

// Throws Error where a model of `config`, with a decoder or without, trained on values as stored or
// on 8-bit pixels, read from `file`, is no good for the use: checkpoint for a part that it lacks,
// usage for images that cannot be read.
void check_use(Use use, const VitConfig& config, bool decoder, bool stored_values,
               const std::filesystem::path& file);

// The part of it about the decoder, for who needs one whatever the use.
void check_decoder(bool decoder, const std::filesystem::path& file);

}  // namespace sgmae
