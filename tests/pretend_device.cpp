#include "tests/pretend_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace sgmae {
namespace {

constexpr auto device_type = c10::DeviceType::PrivateUse1;

Transfers transfers;

// Far addresses differ from the true ones in a bit that no address of the process has.
void* flip(const void* address) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) ^ (1ull << 62));
}

class FarMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* memory = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    return {flip(memory), memory, &std::free, c10::Device(device_type, 0)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(flip(to), flip(from), bytes);
  }
};

c10::Allocator* far_memory() {
  static FarMemory memory;
  return &memory;
}

// Memory of the CPU that counts as pinned.
class PinnedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* memory = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    const std::lock_guard lock(mutex);
    ends[memory] = static_cast<char*>(memory) + bytes;
    return {memory, memory, &release, c10::kCPU};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  static bool holds(const void* address) {
    const std::lock_guard lock(mutex);
    const auto after = ends.upper_bound(address);
    return after != ends.begin() && address < std::prev(after)->second;
  }

 private:
  static void release(void* memory) {
    {
      const std::lock_guard lock(mutex);
      ends.erase(memory);
    }
    std::free(memory);
  }
  static inline std::mutex mutex;
  static inline std::map<const void*, const void*> ends;  // by beginning
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    static PinnedMemory memory;
    return &memory;
  }
};

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, far_memory(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   type.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> type, std::optional<at::Layout>,
                         std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, far_memory(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

// The same memory as a CPU tensor.
at::Tensor near(const at::Tensor& tensor) {
  if (!tensor.is_privateuseone()) return tensor;
  const auto options = at::TensorOptions(tensor.scalar_type());
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), options);  // an operator may resize it
  return at::from_blob(flip(tensor.data_ptr()), tensor.sizes(), tensor.strides(), options);
}

at::Tensor far_copy(const at::Tensor& result) {
  at::Tensor copy =
      empty_strided(result.sizes(), result.strides(), result.scalar_type(), {}, {}, {});
  near(copy).copy_(result);
  return copy;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  transfers.to_device += from.is_cpu();
  transfers.to_host += to.is_cpu();
  if (from.is_cpu() || to.is_cpu())
    transfers.waits += !non_blocking || !(from.is_cpu() ? from : to).is_pinned();
  near(to).copy_(near(from));
  return to;
}

// Whether the host must know the result of an operator: a value, or the size of a tensor.
bool reads(const c10::OperatorHandle& op) {
  static const std::set<std::string> readers{"aten::_local_scalar_dense", "aten::equal",
                                             "aten::nonzero", "aten::masked_select"};
  return readers.contains(op.schema().name());
}

// Runs an operator of the CPU on far tensors.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : op_(op) {}

  c10::IValue bring(const c10::IValue& value) {
    if (value.isTensor()) return bring(value.toTensor());
    if (value.isDevice()) return c10::Device(c10::kCPU);
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(bring(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector())
        list.push_back(tensor ? std::optional(bring(*tensor)) : std::nullopt);
      return list;
    }
    return value;
  }

  c10::IValue send(const c10::IValue& value) {
    if (value.isTensor()) return send(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(send(tensor));
    return list;
  }

 private:
  at::Tensor bring(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!tensor.is_privateuseone()) {  // numbers may come along, as they may on a GPU
      TORCH_CHECK(tensor.is_cpu() && tensor.dim() == 0, op_.operator_name(), ": a tensor of the ",
                  tensor.device(), " among those of the pretended device");
      return tensor;
    }
    at::Tensor here = near(tensor);
    far_.emplace(here.unsafeGetTensorImpl(), std::pair{tensor, here});
    return here;
  }

  // An argument that was written to is the result itself.
  at::Tensor send(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    const auto found = far_.find(tensor.unsafeGetTensorImpl());
    if (found == far_.end()) return far_copy(tensor);
    at::Tensor far = found->second.first;
    if (far.sizes() != tensor.sizes()) {
      const at::Tensor resized = far_copy(tensor);
      far.unsafeGetTensorImpl()->set_storage_keep_dtype(resized.storage());
      far.unsafeGetTensorImpl()->set_sizes_and_strides(resized.sizes(), resized.strides());
    }
    return far;
  }

  const c10::OperatorHandle& op_;
  std::map<const c10::TensorImpl*, std::pair<at::Tensor, at::Tensor>> far_;  // by the near tensor
};

void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call call(op);
  transfers.to_host += reads(op);
  transfers.waits += reads(op);
  const std::size_t first = stack->size() - op.schema().arguments().size();
  for (std::size_t i = first; i < stack->size(); ++i) (*stack)[i] = call.bring((*stack)[i]);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  const std::size_t results = stack->size() - op.schema().returns().size();
  for (std::size_t i = results; i < stack->size(); ++i) (*stack)[i] = call.send((*stack)[i]);
}

}  // namespace

Transfers pretend_transfers() {
  return transfers;
}

at::Device pretend_device() {
  static const bool filled = [] {
    c10::register_privateuse1_backend("pretend");
    c10::SetAllocator(device_type, far_memory());
    static Hooks hooks;
    at::RegisterPrivateUse1HooksInterface(&hooks);
    static const c10::impl::NoOpDeviceGuardImpl<device_type> guard;
    c10::impl::device_guard_impl_registry[static_cast<std::size_t>(device_type)].store(&guard);
    static torch::Library all(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__,
                              __LINE__);
    all.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
    static torch::Library aten(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1,
                               __FILE__, __LINE__);
    aten.impl("empty.memory_format", &empty);
    aten.impl("empty_strided", &empty_strided);
    aten.impl("_copy_from", &copy_from);
    aten.impl("view", &at::native::view);
    aten.impl("as_strided", &at::native::as_strided_tensorimpl);
    aten.impl("_reshape_alias", &at::native::_reshape_alias);
    return true;
  }();
  return {device_type, static_cast<at::DeviceIndex>(filled ? 0 : -1)};
}

}  // namespace sgmae
