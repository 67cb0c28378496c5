// A DeviceExchange of the pretended device: it goes through the CPU after all, and counts.
#pragma once

#include <memory>
#include <string>

#include "sgmae/parallel/device_exchange.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

class PretendExchange : public DeviceExchange {
 public:
  static inline int begun = 0, aborted = 0;  // of this process, by all of them

  Done sum(const at::Tensor& tensor) override {
    return later(tensor, [](const at::Tensor& here) { return processes().begin_sum(here); });
  }
  Done sum_in(int owner, const at::Tensor& tensor) override {
    return later(tensor,
                 [=](const at::Tensor& here) { return processes().begin_sum_in(owner, here); });
  }
  Done copy(int from, const at::Tensor& tensor) override {
    return later(tensor,
                 [=](const at::Tensor& here) { return processes().begin_copy(from, here); });
  }
  void abort() override { ++aborted; }

 private:
  template <class Begin>
  static Done later(const at::Tensor& tensor, const Begin& begin) {
    ++begun;
    const at::Tensor here = tensor.cpu();
    return [tensor, here, wait = begin(here), asked = 0]() mutable {
      if (++asked < 3) return false;
      wait();
      tensor.copy_(here);
      return true;
    };
  }
};

inline constexpr DeviceExchangeApi pretend_exchange{
    [] { return std::string("a meeting"); },
    [](const std::string&, int, int, at::Device) -> std::unique_ptr<DeviceExchange> {
      return std::make_unique<PretendExchange>();
    }};

}  // namespace sgmae
