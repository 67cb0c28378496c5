// The model looks at images and says which patches belong together: features of one layer, their
// similarity graph, its cut, and the relevance of every patch to the object (paper, section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/checkpoint/model_info.h"
#include "sgmae/mask/options.h"
#include "sgmae/ncut/ncut.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

struct Guide {  // on the CPU
  // [B, N, D] fp32, centred, where the model computes; their cosine is the graph.
  at::Tensor features;
  at::Tensor eigenvector;  // [B, N] fp32; undefined for ObjectRule::hardest, which does not cut
  // A side of the cut or, without one, the patches of at least the mean relevance.
  at::Tensor object_side;                // [B, N] uint8
  at::Tensor relevance;                  // [B, N] fp32; NaN rows for degenerate images
  std::vector<std::uint8_t> degenerate;  // [B]
  std::int64_t exact_solves = 0;         // images that the fast solver left to the exact one
};

// The tap of a block's ("encoder.3") features, e.g. encoder.3.attention_out.
std::string feature_tap(const std::string& block, GuideFeatures features);

// The tap that the options mean, e.g. "encoder.10.attention_out". Throws Error(usage) for a layer
// that the model does not have.
std::string guide_tap(const MaeConfig& config, const GuideOptions& options);
std::string guide_tap(const VitConfig& config, const GuideOptions& options);  // an encoder alone

// The tap of which a model file holds position means (ModelInfo::position_mean), from what the file
// says of its guidance: the entry position_mean_tap_key or, in files of older versions, the options
// of the run. "" where nothing is said.
inline constexpr const char* position_mean_tap_key = "position_mean_tap";
std::string position_mean_tap(const ModelInfo& info, const MaeConfig& config);
std::string position_mean_tap(const ModelInfo& info, const VitConfig& config);

// Features [B, N, D] fp32 (CLS dropped, not centred) of pixels [B, C, H, W], where these lie.
// `index` [B], the images' positions in the data set, keys the random masks under which a decoder
// layer is looked at; it is not read for encoder layers.
at::Tensor guide_features(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                          const std::vector<std::int64_t>& index = {});

// The same of an encoder alone. Throws Error(usage) for options that ask for a decoder layer.
at::Tensor guide_features(const Encoder& encoder, const at::Tensor& pixels,
                          const GuideOptions& options);

// What the rule for the object asks of every patch, [B, N] fp32: the model's error or the variance
// of its pixels; undefined for rules that look at features alone. `index` as above, for the masks.
// Throws Error(usage) where an encoder alone is asked for an error.
at::Tensor object_evidence(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                           const std::vector<std::int64_t>& index = {});
at::Tensor object_evidence(const Encoder& encoder, const at::Tensor& pixels,
                           const GuideOptions& options);

// Object and relevance of features [B, N, D], the patches in rows of `columns`. `position_mean`
// [N, D] for GuideCenter::position, `evidence` as object_evidence() gives it.
Guide guide_from_features(const at::Tensor& features, std::int64_t columns,
                          const GuideOptions& options, const at::Tensor& position_mean = {},
                          const at::Tensor& evidence = {});

// The rule for a model: what was asked for or, where that asks for a decoder and there is none,
// the paper's, which is said once of each `model`.
ObjectRule usable_rule(ObjectRule asked, bool decoder, const std::string& model);

// Its two ways. Of a cut of similarity [B, N, N], takes the side that the rule calls the object:
void take_object_side(Bipartition& cut, const at::Tensor& similarity, std::int64_t columns,
                      const GuideOptions& options, const at::Tensor& evidence = {});
// ObjectRule::hardest: relevance (Eq. 8) of features [B, N, D] to the quarter of the patches with
// the highest of errors [B, N]; without a cut. Images whose errors or features do not tell their
// patches apart are degenerate.
Guide guide_to_hardest(const at::Tensor& features, const at::Tensor& errors);

// All of the above.
Guide make_guide(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                 const at::Tensor& position_mean = {}, const std::vector<std::int64_t>& index = {});
Guide make_guide(const Encoder& encoder, const at::Tensor& pixels, const GuideOptions& options,
                 const at::Tensor& position_mean = {});

}  // namespace sgmae
