#include "sgmae/tasks/fine_tuning.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sgmae/base/json.h"
#include "sgmae/tasks/classifier.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {

void EncoderOptions::declare(Options& o) {
  o.section("model");
  o.add("checkpoint", checkpoint,
        "run folder or model file to begin from, or to use with --eval and --predict; empty: from "
        "scratch")
      .alias("finetune")
      .may_change_on_resume();
  open.declare(o);
  o.add("model", model,
        "vit_{tiny,small,base,large,huge}_patchN; empty: the checkpoint's, from scratch "
        "vit_base_patch16");
  o.add("patch_size", patch_size,
        "from scratch: side of a patch in pixels; 0: by the model's name");
  o.add("dim", dim, "from scratch: width; 0: by the model's name");
  o.add("depth", depth, "from scratch: blocks; 0: by the model's name");
}

void EncoderOptions::check() const {
  for (const auto& [name, size] :
       {std::pair{"patch_size", patch_size}, {"dim", dim}, {"depth", depth}, {"heads", open.heads}})
    need(size >= 0, str(name, " must not be negative, but is ", size));
}

void check_fixed(const std::filesystem::path& file, const EncoderOptions& given,
                 const VitConfig& own) {
  if (given.dim == 0 && given.depth == 0 && given.patch_size == 0)  // which make another model
    check_model_name(given.model, own, file);
  const EncoderOptions untouched;
  check_fixed(file, "dim", given.dim, untouched.dim, own.size.dim);
  check_fixed(file, "depth", given.depth, untouched.depth, own.size.depth);
  check_fixed(file, "patch_size", given.patch_size, untouched.patch_size, own.patch_size);
}

std::string weights_hash(NamedTensors weights) {
  std::sort(weights.begin(), weights.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Parameter> parameters;
  for (const auto& [name, value] : weights)
    parameters.push_back({.name = name, .value = value.to(at::kFloat), .grad = {}});
  return model_hash(parameters);
}

void check_same_start(const nlohmann::json& state, const std::string& start,
                      const std::string& checkpoint) {
  const auto before = json_value<std::string>(state, "start");
  if (!before || *before == start) return;
  fail(ExitCode::usage, "the training that is to go on began from ",
       before->empty() ? "scratch" : "other weights", ", but --checkpoint is ",
       checkpoint.empty() ? "left out" : checkpoint,
       "; give what it began from, or choose another --output_dir to begin anew");
}

Learner fine_tuning_learner(std::vector<Parameter>& parameters,
                            const std::vector<ParameterRule>& rules, const OptimOptions& optim,
                            const MemoryOptions& memory, at::Device device,
                            std::function<void()> changed) {
  Learner learner;
  learner.parameters = &parameters;
  learner.optimizer =
      std::make_unique<AdamW>(parameters,
                              AdamWOptions{.beta1 = 0.9,
                                           .beta2 = 0.999,
                                           .weight_decay = optim.weight_decay,
                                           .sharded = memory.shards_optimizer(device)},
                              rules);
  learner.schedule = schedule(optim);
  learner.clip_grad = optim.clip_grad;
  learner.changed = std::move(changed);
  return learner;
}

}  // namespace sgmae
