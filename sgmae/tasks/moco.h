// Pre-training by MoCo v3 (contrast/moco.h), which the paper's analysis compares with.
#pragma once

#include "sgmae/tasks/pretrain.h"

namespace sgmae {

// pretrain() of options whose method is moco_v3. There is no autoencoder to be drawn: of the hooks
// after_save is not called.
PretrainResult pretrain_moco(const PretrainOptions& options, const PretrainHooks& hooks);

}  // namespace sgmae
