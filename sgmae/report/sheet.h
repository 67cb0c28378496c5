// Picture sheets: one row per image, what the model sees in it and does with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/checkpoint/model_info.h"
#include "sgmae/image/image.h"
#include "sgmae/image/normalise.h"
#include "sgmae/mask/guide.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

// What a sheet says of what it shows.
struct SheetText {
  std::string title = {};               // over all, e.g. which model
  std::vector<std::string> names = {};  // of the images, over their rows; empty: none
};

// "NAME, after epoch 20 of 100", "NAME, in epoch 21 of 100", or "NAME, before training"; `epochs`
// 0: not known, and NAME alone where the file does not say how far the model is.
std::string model_title(const std::string& name, const ModelInfo& info, std::int64_t epochs = 0);

// Columns: input, object (tinted), relevance, informed mask (masked grey, hints outlined), and
// reconstruction where there is a decoder; over each what its colours mean.
Image mask_sheet(const Mae& model, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation,
                 const SheetText& text);

Image mask_sheet(const Encoder& encoder, const at::Tensor& pixels, const Guide& guide,
                 const MaskPlan& plan, std::int64_t n_hints, const Normalisation& normalisation,
                 const SheetText& text);

// Columns: input, mask, reconstruction.
Image reconstruction_sheet(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan,
                           const Normalisation& normalisation, const SheetText& text);

}  // namespace sgmae
