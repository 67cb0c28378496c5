// What the trainings of an encoder with something on top have in common.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/model_file.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/train/learner.h"
#include "sgmae/train/options.h"

namespace sgmae {

// What a model with a head of its own begins from: a checkpoint, or an encoder from scratch.
struct EncoderOptions {
  std::string checkpoint;       // to begin from, to test or to predict with; "": from scratch
  OpenOptions open;             // of the checkpoint
  std::string model;            // from scratch: its encoder; "": vit_base_patch16
  std::int64_t patch_size = 0;  // this and the next two from scratch; 0: by the name
  std::int64_t dim = 0, depth = 0;

 protected:
  void declare(Options& options);  // section [model]
  void check() const;              // throws Error(usage)
};

// What the file of a whole model has fixed may be left out, or said the same. Throws Error(usage).
template <class Value>
void check_fixed(const std::filesystem::path& file, const char* name, Value given, Value by_default,
                 Value own) {
  sgmae::check(given == by_default || given == own, ExitCode::usage, name, " is ", given, ", but ",
               file.string(), " has ", own, "; leave it out");
}
// The same of the encoder.
void check_fixed(const std::filesystem::path& file, const EncoderOptions& given,
                 const VitConfig& own);

// 16 hex digits over names and values, whatever their order and type: tells which weights a
// training began from.
std::string weights_hash(NamedTensors weights);

// Throws Error(usage) where a task's state is of a training that began from other weights than
// those of `checkpoint`, whose hash is `start`; both are "" from scratch. Older states do not say.
void check_same_start(const nlohmann::json& state, const std::string& start,
                      const std::string& checkpoint);

// What there is to begin from: a whole model, with its head, or an encoder; neither without a
// checkpoint.
template <class File>
struct Start {
  std::optional<File> whole;
  std::optional<Pretrained> encoder;

  // `must_be_whole`: to be tested or used as it is.
  Start(const EncoderOptions& o, bool must_be_whole, bool (*is_whole)(const std::filesystem::path&),
        File (*read)(const std::filesystem::path&)) {
    if (o.checkpoint.empty()) return;
    if (must_be_whole || is_whole(o.checkpoint))
      whole = read(o.checkpoint);
    else
      encoder = read_pretrained(o.checkpoint, o.open);
  }
  Normalisation normalisation(int channels) const {
    return whole     ? whole->normalisation
           : encoder ? encoder->normalisation
                     : default_normalisation(channels);
  }
  std::string hash() const {
    return whole     ? weights_hash(whole->tensors)
           : encoder ? weights_hash(encoder->tensors)
                     : std::string();
  }
};

// AdamW with beta 0.9 and 0.999, by the options' schedule and `rules` (layer_decay_rules).
// `changed` is told when values were written.
Learner fine_tuning_learner(std::vector<Parameter>& parameters,
                            const std::vector<ParameterRule>& rules, const OptimOptions& optim,
                            const MemoryOptions& memory, at::Device device,
                            std::function<void()> changed);

}  // namespace sgmae
