#include "sgmae/train/gradient_exchange.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "sgmae/nn/ops.h"
#include "sgmae/parallel/common_memory.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

GradientExchange::GradientExchange(std::vector<Parameter>& parameters, ExchangeOptions options)
    : parameters_(parameters), options_(options) {
  if (options.sharded) move_values_and_gradients();
  gradients_ = flat_gradients(parameters);
  own_ = options.sharded ? shard_of(gradients_.numel(), processes().rank(), processes().size())
                         : Shard{0, gradients_.numel()};
  make_buckets();
}

void GradientExchange::move_values_and_gradients() {
  const std::int64_t size = flat_size(parameters_);
  const at::Device device = parameters_.front().value.device();
  // Gradients are zero before training, as their new memory is: the old one goes first.
  for (Parameter& parameter : parameters_)
    if (parameter.trained())
      parameter.grad =
          at::empty(parameter.grad.sizes(), parameter.grad.options().device(at::kMeta));
  release_freed_memory();
  at::Tensor gradients;
  if (device.is_cpu() && options_.common_memory) {
    common_ = common_memory(size);
    // One copy of the values, whose memory is taken by who writes it first.
    if (const auto values = common_memory(size); !values.empty()) values_ = values.front();
    if (!values_.defined()) common_.clear();
  }
  if (common_.empty()) {
    gradients = at::zeros({size}, at::TensorOptions(at::kFloat).device(device));
    values_ = at::zeros_like(gradients);
  } else {
    gradients = common_[static_cast<std::size_t>(processes().rank())];
  }
  flatten_gradients(parameters_, gradients);
  flatten_values(parameters_, values_);
  release_freed_memory();
  processes().wait_for_all();
}

void GradientExchange::make_buckets() {
  // Cut backwards from the end, and at the borders of shards.
  const std::int64_t values =
      std::max<std::int64_t>(1, options_.bucket_bytes / std::int64_t{sizeof(float)});
  const int ranks = options_.sharded ? processes().size() : 1;
  for (int rank = ranks; rank-- > 0;) {
    const Shard shard = options_.sharded ? shard_of(gradients_.numel(), rank, ranks) : own_;
    for (std::int64_t end = shard.end; end > shard.begin;) {
      const std::int64_t begin = std::max(shard.begin, end - values);
      buckets_.push_back({{begin, end}, rank});
      end = begin;
    }
  }
  for (const Parameter& parameter : parameters_) {
    if (!parameter.trained()) {
      buckets_of_.push_back({});
      continue;
    }
    const std::int64_t begin = parameter.grad.storage_offset() - gradients_.storage_offset();
    const std::int64_t end = begin + parameter.grad.numel();
    const auto behind = std::find_if(buckets_.begin(), buckets_.end(), [&](const Bucket& bucket) {
      return bucket.place.begin < end;
    });
    const auto before = std::find_if(
        behind, buckets_.end(), [&](const Bucket& bucket) { return bucket.place.end <= begin; });
    buckets_of_.push_back({behind - buckets_.begin(), before - buckets_.begin()});
  }
}

void GradientExchange::begin() {
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  for (const Shard& buckets : buckets_of_)
    for (std::int64_t i = buckets.begin; i < buckets.end; ++i)
      ++buckets_[static_cast<std::size_t>(i)].missing;
  sent_ = 0;
  open_ = true;
}

GradientsReady GradientExchange::ready() {
  return [this](std::span<Parameter> final) {
    if (!open_ || !common_.empty()) return;
    for (const Parameter& parameter : final) {
      const Shard& buckets = buckets_of_[static_cast<std::size_t>(&parameter - parameters_.data())];
      for (std::int64_t i = buckets.begin; i < buckets.end; ++i)
        --buckets_[static_cast<std::size_t>(i)].missing;
    }
    send_final();
  };
}

void GradientExchange::send_final() {
  for (; sent_ < buckets_.size() && buckets_[sent_].missing == 0; ++sent_) send(buckets_[sent_]);
}

void GradientExchange::send(const Bucket& bucket) {
  const at::Tensor gradients = gradients_.narrow(0, bucket.place.begin, bucket.place.size());
  // In fp32 the same memory, unless devices exchange through the CPU's.
  const at::Tensor sent =
      gradients.to(processes().meeting_place(gradients.device()),
                   options_.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);
  const auto wait =
      options_.sharded ? processes().begin_sum_in(bucket.owner, sent) : processes().begin_sum(sent);
  const bool spoilt = options_.sharded && bucket.owner != processes().rank();
  waits_.push_back([gradients, sent, wait, spoilt] {
    wait();
    if (spoilt)
      gradients.zero_();
    else if (!sent.is_same(gradients))
      gradients.copy_(sent);
  });
}

void GradientExchange::finish() {
  if (!common_.empty()) {
    processes().wait_for_all();  // for gradients that are final
    add_up_own();
    return;
  }
  if (!open_) begin();
  for (Bucket& bucket : buckets_) bucket.missing = 0;
  send_final();
  for (const auto& wait : waits_) wait();
  waits_.clear();
  open_ = false;
}

// The others' gradients are used up where they lie, while they are at hand.
void GradientExchange::add_up_own() {
  constexpr std::int64_t chunk = 1 << 12;  // stays in the cache until all are added
  at::parallel_for(0, (own_.size() + chunk - 1) / chunk, 4,
                   [&](std::int64_t first, std::int64_t last) {
                     for (std::int64_t i = first; i < last; ++i) {
                       const std::int64_t begin = own_.begin + i * chunk,
                                          count = std::min(chunk, own_.end - begin);
                       float* const sum = gradients_.data_ptr<float>() + begin;
                       for (const at::Tensor& others : common_) {
                         float* const __restrict__ other = others.data_ptr<float>() + begin;
                         if (other == sum) continue;
                         for (std::int64_t k = 0; k < count; ++k) sum[k] += other[k];
                         std::fill_n(other, count, 0.0f);
                       }
                     }
                   });
}

void GradientExchange::spread_values() {
  if (!options_.sharded) return;
  // The optimizer has cleared its shard, and those of others were when they were summed.
  for (Parameter& parameter : parameters_) parameter.cleared = gradients_.is_cpu();
  if (!common_.empty()) {
    processes().wait_for_all();
    return;
  }
  std::vector<std::function<void()>> waits;
  for (const auto& [place, owner, missing] : buckets_) {
    const at::Tensor values = values_.narrow(0, place.begin, place.size());
    const at::Tensor sent = values.to(processes().meeting_place(values.device()));
    waits.push_back([=, wait = processes().begin_copy(owner, sent)] {
      wait();
      if (!sent.is_same(values)) values.copy_(sent);
    });
  }
  for (const auto& wait : waits) wait();
}

at::Tensor GradientExchange::own_gradients() const {
  return gradients_.narrow(0, own_.begin, own_.size());
}

}  // namespace sgmae
