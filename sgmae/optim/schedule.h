// Learning rates over a training: MAE's (He et al. 2022, appendix A.1), that in steps of detection
// (ViTDet), and the polynomial one of segmentation (DeepLab; mmsegmentation's "poly").
#pragma once

#include <cstdint>
#include <vector>

namespace sgmae {

// lr where it is given (> 0), else MAE's blr * effective batch / 256.
double peak_lr(double lr, double blr, std::int64_t effective_batch);

struct Schedule {
  double peak_lr = 1e-3, min_lr = 0;
  double warmup_epochs = 40, epochs = 400;
  std::vector<double> steps = {};  // epochs at which it falls to a tenth
  double power = 0;                // of what is left of the run; 0 without steps: a cosine
};

// Linear from 0 to peak_lr over the warm-up; then half a cosine down to min_lr at `epochs`, or
// constant between `steps`, or as (1 - share of the rest that is done)^power.
// `epoch` is fractional: epochs finished plus the share of the present one.
double learning_rate(const Schedule& schedule, double epoch);

}  // namespace sgmae
