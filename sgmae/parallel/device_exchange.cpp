#include "sgmae/parallel/device_exchange.h"

#include "sgmae/base/plugin.h"

namespace sgmae {

const DeviceExchangeApi* open_device_exchange(at::Device device, std::string& why) {
  if (!device.is_cuda()) {
    why = "only GPUs of CUDA exchange with each other";
    return nullptr;
  }
  void* const get = open_plugin("cuda", device_exchange_symbol, why);
  return get ? reinterpret_cast<GetDeviceExchangeApi>(get)() : nullptr;
}

}  // namespace sgmae
