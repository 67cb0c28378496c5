#include "sgmae/train/epoch_means.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/nn/device.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

using nlohmann::json;

void EpochMeans::add(std::int64_t epoch, const std::vector<at::Tensor>& parts) {
  SGMAE_ASSERT(parts.size() == names_.size());
  const at::Tensor told = at::stack(parts);
  const at::Tensor batch = at::cat({told, at::ones({1}, told.options())});
  if (epoch_ != epoch || !sums_.defined()) {
    epoch_ = epoch;
    sums_ = at::zeros_like(batch);
  }
  sums_.add_(at::where(batch.isfinite().all(), batch, at::zeros_like(batch)));
}

EpochMeans::Sums EpochMeans::of_all() const {
  const auto count = static_cast<std::int64_t>(names_.size());
  const at::Tensor all =
      sums_.defined() ? sums_.cpu().to(at::kDouble) : at::zeros({count + 1}, at::kDouble);
  processes().sum(all);
  const auto* const values = all.const_data_ptr<double>();
  return {std::vector<double>(values, values + count), values[count]};
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
  // Older versions had sums that are no numbers in them.
  std::vector<double> sums = json_numbers(state.at("sums"));
  sums.resize(names_.size());
  sums.push_back(state.at("batches").get<double>());
  epoch_ = state.at("epoch").get<std::int64_t>();
  std::vector<float> own(sums.size());
  if (processes().leads()) own.assign(sums.begin(), sums.end());
  sums_ = send(at::tensor(own), device);
}

}  // namespace sgmae
