#include "sgmae/nn/device.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceType.h>
#include <dlfcn.h>

#include <algorithm>
#include <optional>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::optional<at::Device> parse(const std::string& name) {
  try {
    return at::Device(name);
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

at::Device open_cuda(const std::string& name, int index, int turn) {
  // Found beside libtorch_cpu.so by the program's own search path. Its operators register
  // themselves when it is opened; it is never closed.
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL))
    fail(ExitCode::usage, "device: '", name, "' needs LibTorch's CUDA libraries, which cannot be ",
         "opened (", dlerror(), "); ./dev build --cuda installs them, --device cpu needs none");
  const int count = at::detail::getCUDAHooks().getNumGPUs();
  check(count > 0, ExitCode::usage, "device: '", name,
        "' needs an NVIDIA GPU and its driver, and none was found; use --device cpu");
  if (index < 0) index = turn % count;
  check(index < count, ExitCode::usage, "device: '", name,
        "' does not exist; the last GPU is cuda:", count - 1);
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

}  // namespace

at::Device open_device(const std::string& name, int turn) {
  const std::optional<at::Device> device = parse(name);
  if (device && device->is_cpu()) return at::kCPU;
  if (device && device->is_cuda()) return open_cuda(name, device->index(), turn);
  check(device && device->is_privateuseone() && c10::is_privateuse1_backend_registered(),
        ExitCode::usage, "device: '", name,
        "' is unknown; use cpu, cuda, or cuda:N for a GPU other than the first");
  return {device->type(), std::max<at::DeviceIndex>(0, device->index())};
}

std::int64_t peak_device_memory(at::Device device) {
  if (!device.is_cuda()) return 0;
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (!allocator) return 0;
  constexpr auto all = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return allocator->getDeviceStats(device.index()).allocated_bytes[all].peak;
}

at::Tensor send(const at::Tensor& tensor, at::Device device) {
  if (device.is_cpu() || !tensor.is_cpu()) return tensor.to(device);
  return tensor.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace sgmae
