#include "sgmae/train/gradient_exchange.h"

#include "sgmae/parallel/process_group.h"

namespace sgmae {

GradientExchange::GradientExchange(std::vector<Parameter>& parameters, std::int64_t bucket_size)
    : parameters_(parameters), bucket_of_(parameters.size()) {
  std::size_t end = parameters.size();
  while (end > 0) {
    std::size_t begin = end;
    std::int64_t bytes = 0, trained = 0;
    while (begin > 0 && bytes < bucket_size) {
      const Parameter& parameter = parameters[--begin];
      if (!parameter.trained()) continue;
      bytes += static_cast<std::int64_t>(parameter.grad.nbytes());
      ++trained;
    }
    for (std::size_t i = begin; i < end; ++i) bucket_of_[i] = buckets_.size();
    if (trained > 0)
      buckets_.push_back(
          {flat_gradients({parameters.data() + begin, end - begin}), trained, trained});
    end = begin;
  }
}

void GradientExchange::begin() {
  for (Bucket& bucket : buckets_) bucket.missing = bucket.parameters;
  sent_ = 0;
  open_ = true;
}

GradientsReady GradientExchange::ready() {
  return [this](std::span<Parameter> final) {
    if (!open_) return;
    for (Parameter& parameter : final)
      if (parameter.trained())
        --buckets_[bucket_of_[static_cast<std::size_t>(&parameter - parameters_.data())]].missing;
    send_final();
  };
}

void GradientExchange::send_final() {
  for (; sent_ < buckets_.size() && buckets_[sent_].missing == 0; ++sent_) {
    const at::Tensor gradients = buckets_[sent_].gradients;
    if (gradients.is_cpu()) {
      waits_.push_back(processes().begin_sum(gradients));
      continue;
    }
    const at::Tensor here = gradients.cpu();
    waits_.push_back([here, gradients, wait = processes().begin_sum(here)] {
      wait();
      gradients.copy_(here);
    });
  }
}

void GradientExchange::finish() {
  if (!open_) begin();
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  send_final();
  for (const auto& wait : waits_) wait();
  waits_.clear();
  open_ = false;
}

}  // namespace sgmae
