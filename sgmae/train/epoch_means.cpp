#include "sgmae/train/epoch_means.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"
#include "sgmae/nn/device.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

using nlohmann::json;

void EpochMeans::add(std::int64_t epoch, const std::vector<at::Tensor>& parts) {
  SGMAE_ASSERT(parts.size() == names_.size());
  const at::Tensor batch = at::stack(parts);
  if (epoch_ != epoch) {
    epoch_ = epoch;
    batches_ = 0;
    sums_ = at::zeros_like(batch);
  }
  sums_.add_(batch);
  ++batches_;
}

EpochMeans::Sums EpochMeans::of_all() const {
  const auto count = static_cast<std::int64_t>(names_.size());
  const at::Tensor all =
      batches_ > 0 ? sums_.cpu().to(at::kDouble) : at::zeros({count}, at::kDouble);
  processes().sum(all);
  return {std::vector<double>(all.const_data_ptr<double>(), all.const_data_ptr<double>() + count),
          processes().sum(static_cast<double>(batches_))};
}

nlohmann::ordered_json EpochMeans::means() const {
  const Sums all = of_all();
  nlohmann::ordered_json entries;
  for (std::size_t i = 0; i < names_.size(); ++i) entries[names_[i]] = all.parts[i] / all.batches;
  return entries;
}

json EpochMeans::state() const {
  const Sums all = of_all();
  return {{"epoch", epoch_}, {"sums", all.parts}, {"batches", all.batches}};
}

void EpochMeans::restore(const json& state, at::Device device) {
  const auto sums = state.at("sums").get<std::vector<double>>();
  const bool here = processes().leads();
  epoch_ = state.at("epoch").get<std::int64_t>();
  batches_ = here ? static_cast<std::int64_t>(state.at("batches").get<double>()) : 0;
  std::vector<float> own(names_.size());
  for (std::size_t i = 0; here && i < own.size(); ++i) own[i] = static_cast<float>(sums.at(i));
  sums_ = send(at::tensor(own), device);
}

}  // namespace sgmae
