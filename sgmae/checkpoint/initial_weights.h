// Pre-training that begins from the weights of another model instead of from drawn ones.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

// The autoencoder that a file's encoder becomes a part of: the file's own, where it holds a
// decoder, else with decoder_for() it. Throws Error(checkpoint) for encoders that no autoencoder
// has: windows, relative positions, no position embedding, no final norm.
MaeConfig autoencoder_of(const ModelFile& file);

// Writes the file's weights over those of `model`, whose encoder has the file's sizes; grid and
// channels may differ, and so may the decoder, which then stays as it is.
//  - Positions follow to another grid as the file's family brings them there.
//  - The patch projection of other channels is the mean over the file's, for each channel times
//    (file's channels / model's), so that grey pixels give what they gave.
//  - LayerScale is multiplied into the projection before it; registers, heads and the norm of a
//    pooled classifier are left out.
struct InitialWeights {
  bool decoder = false;  // the file's was taken
  std::string said;      // what was taken, what was not and why: a clause
};
InitialWeights copy_initial_weights(ModelFile file, Mae& model);

}  // namespace sgmae
