// Which internals a forward pass should hand out. Tensors are named as in the files of
// `sgmae forward`:
//   encoder.<i>.attention      [B, heads, n, n]  softmax weights
//   encoder.<i>.attention_out  [B, n, D]         heads concatenated, before `proj` (X' of Eq. 2)
//   encoder.<i>.attention_add  [B, n, D]         residual stream after block i's attention
//   encoder.<i>.block_out      [B, n, D]         residual stream after block i
//   encoder.<i>.key            [B, n, D]         keys, heads concatenated
// and the same under decoder.; encoder.embed [B, n, D] is the stream before block 0. i counts from
// 0 and n includes CLS (row 0) where there is one; attention is zero between windows. Nothing is
// computed that was not asked for. They are handed out on the CPU, or where the caller wants them,
// wherever the model computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sgmae {

class Taps {
 public:
  Taps() = default;
  explicit Taps(const std::vector<std::string>& names, at::Device device = at::kCPU)
      : wanted_(names.begin(), names.end()), device_(device) {}

  // Hands each tensor to `receive` as soon as it is there, in the pass's order, and keeps none.
  using Receive = std::function<void(const std::string& name, const at::Tensor& value)>;
  Taps(const std::vector<std::string>& names, Receive receive)
      : wanted_(names.begin(), names.end()), receive_(std::move(receive)) {}

  bool wants(const std::string& name) const { return wanted_.count(name) > 0; }
  const std::set<std::string>& wanted() const { return wanted_; }
  void put(const std::string& name, const at::Tensor& value) {
    if (receive_)
      receive_(name, value.to(device_));
    else
      values_[name] = value.to(device_);
  }
  // Throws std::out_of_range for a tensor that was not tapped.
  const at::Tensor& operator[](const std::string& name) const { return values_.at(name); }
  const std::map<std::string, at::Tensor>& values() const { return values_; }

 private:
  std::set<std::string> wanted_;
  at::Device device_ = at::kCPU;
  std::map<std::string, at::Tensor> values_;
  Receive receive_;
};

}  // namespace sgmae
