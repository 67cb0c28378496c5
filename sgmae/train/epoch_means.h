// Means over an epoch of what its batches told, for log.txt: parts of a loss, figures of masks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgmae {

// Sums over the epoch's batches, of all processes together.
class EpochMeans {
 public:
  explicit EpochMeans(std::vector<std::string> names) : names_(std::move(names)) {}

  // Of one batch: 0-dim tensors of one device, which is not waited for, in the order of the names.
  // One with a part that is not finite, whose step will be skipped, does not count. Another epoch
  // begins anew.
  void add(std::int64_t epoch, const std::vector<at::Tensor>& parts);

  // {name: mean over the batches; NaN of none}. Collective.
  nlohmann::ordered_json means() const;

  // For a training state, and back from it. Collective; process 0 goes on with the sums of all.
  // restore() throws nlohmann::json::exception for what is damaged.
  nlohmann::json state() const;
  void restore(const nlohmann::json& state, at::Device device);

 private:
  struct Sums {
    std::vector<double> parts;
    double batches = 0;
  };
  Sums of_all() const;

  std::vector<std::string> names_;
  std::int64_t epoch_ = -1;
  at::Tensor sums_;  // of each part, and how many batches
};

}  // namespace sgmae
