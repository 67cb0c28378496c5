// Pre-training by MoCo v3 (contrast/moco.h), which the paper's analysis compares with.
#pragma once

#include "sgmae/contrast/moco.h"
#include "sgmae/tasks/pretrain.h"

namespace sgmae {

// The networks that a run with these options trains, on images of so many channels.
MocoConfig moco_config(const PretrainOptions& options, std::int64_t channels);

// pretrain() of options whose method is moco_v3. There is no autoencoder to be drawn: of the hooks
// after_save is not called.
PretrainResult pretrain_moco(const PretrainOptions& options, const PretrainHooks& hooks);

}  // namespace sgmae
