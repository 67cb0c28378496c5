// sgmae pretrain: a folder of images in, a trained encoder in a run folder out.
#include "sgmae/train/pretrain.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/base/log.h"
