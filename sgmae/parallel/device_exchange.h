// Collectives among the GPUs of a group, without a way through the memory of their hosts: what the
// plug-in sgmae/cuda/nccl.cpp gives for CUDA, and tests for the pretended device.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

namespace sgmae {

// Whatever goes wrong here is a std::runtime_error.
class DeviceExchange {
 public:
  // Whether what was queued has come to its end.
  using Done = std::function<bool()>;

  virtual ~DeviceExchange() = default;
  // ProcessGroup's, of contiguous tensors on the device, behind what this thread has queued there.
  virtual Done sum(const at::Tensor& tensor) = 0;
  virtual Done sum_in(int owner, const at::Tensor& tensor) = 0;
  virtual Done copy(int from, const at::Tensor& tensor) = 0;
  // Ends what is under way, whatever the others do. Nothing else may be called any more.
  virtual void abort() = 0;
};

struct DeviceExchangeApi {
  // By which those meet who are told of it. Any bytes.
  std::string (*new_meeting)();
  // Back when all of `size` have come.
  std::unique_ptr<DeviceExchange> (*join)(const std::string& meeting, int rank, int size,
                                          at::Device device);
};

// The one function that the plug-in exports for this, by this name.
inline constexpr const char* device_exchange_symbol = "sgmae_device_exchange_api";
using GetDeviceExchangeApi = const DeviceExchangeApi* (*)();

// That of `device`, which is open already. Null where there is none, and then `why` says so.
const DeviceExchangeApi* open_device_exchange(at::Device device, std::string& why);

}  // namespace sgmae
