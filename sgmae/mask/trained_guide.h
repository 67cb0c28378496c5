// The guide options with which a model was trained, for whoever asks the finished model for masks.
#pragma once

#include <map>
#include <string>

#include "sgmae/checkpoint/open_model.h"
#include "sgmae/mask/options.h"

namespace sgmae {

// The options of the model's training, under those `given` as text by declare_guide's names (an
// empty text is none). Where the model lacks what they need (a decoder, position means of this tap)
// the nearest choice that it can serve, with a warning. Throws Error(usage) for other names and for
// values that do not fit.
GuideOptions trained_guide(const OpenedModel& model,
                           const std::map<std::string, std::string>& given = {});

}  // namespace sgmae
