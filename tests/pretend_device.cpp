#include "tests/pretend_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace sgmae {
namespace {

constexpr auto device_type = c10::DeviceType::PrivateUse1;

Transfers transfers;

// What pretend_graphs() makes: calls in order, which keep the tensors that they read and write.
struct Recording {
  std::vector<std::function<void()>> calls;
};
Recording* recording = nullptr;  // what is being recorded
GraphCounts graph_counts;

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
  if (recording) {
    TORCH_CHECK(!from.is_cpu() && !to.is_cpu(), "a graph cannot record a copy of the CPU's memory");
    recording->calls.emplace_back([from, to] { near(to).copy_(near(from)); });
  } else {
    near(to).copy_(near(from));
  }
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
  // With `apart` on others of the same shapes, so that nothing changes.
  explicit Call(const c10::OperatorHandle& op, bool apart = false) : op_(op), apart_(apart) {}

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

  // Writes a result into the far tensors that stood for it before.
  void write(const c10::IValue& value, const c10::IValue& to) {
    if (value.isTensor()) return write(value.toTensor(), to.toTensor());
    if (!value.isTensorList()) return;
    const std::vector<at::Tensor> from = value.toTensorVector(), into = to.toTensorVector();
    for (std::size_t i = 0; i < from.size(); ++i) write(from[i], into[i]);
  }

 private:
  at::Tensor bring(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!tensor.is_privateuseone()) {  // numbers may come along, as they may on a GPU
      TORCH_CHECK(tensor.is_cpu() && tensor.dim() == 0, op_.operator_name(), ": a tensor of the ",
                  tensor.device(), " among those of the pretended device");
      return tensor;
    }
    at::Tensor here = apart_ ? nothing_like(near(tensor).clone()) : near(tensor);
    far_.emplace(here.unsafeGetTensorImpl(), std::pair{tensor, here});
    return here;
  }

  // An argument that was written to is the result itself.
  at::Tensor send(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    const auto found = far_.find(tensor.unsafeGetTensorImpl());
    if (found == far_.end()) return far_copy(apart_ ? nothing_like(tensor) : tensor);
    at::Tensor far = found->second.first;
    if (far.sizes() != tensor.sizes()) {
      const at::Tensor resized = far_copy(tensor);
      far.unsafeGetTensorImpl()->set_storage_keep_dtype(resized.storage());
      far.unsafeGetTensorImpl()->set_sizes_and_strides(resized.sizes(), resized.strides());
    }
    return far;
  }

  void write(const at::Tensor& tensor, const at::Tensor& to) {
    if (tensor.defined() && !far_.contains(tensor.unsafeGetTensorImpl())) near(to).copy_(tensor);
  }

  static at::Tensor nothing_like(const at::Tensor& tensor) {
    if (!tensor.is_floating_point()) return tensor.zero_();
    return tensor.fill_(std::numeric_limits<double>::quiet_NaN());
  }

  const c10::OperatorHandle& op_;
  bool apart_;
  std::map<const c10::TensorImpl*, std::pair<at::Tensor, at::Tensor>> far_;  // by the near tensor
};

// The stack's last values, as many as there are of `some` (arguments, returns).
template <class Some>
std::span<c10::IValue> top(torch::jit::Stack& stack, const Some& some) {
  return std::span(stack).last(some.size());
}

void run(const c10::OperatorHandle& op, torch::jit::Stack& stack, Call& call) {
  for (c10::IValue& value : top(stack, op.schema().arguments())) value = call.bring(value);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
}

void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const bool read = reads(op);
  transfers.to_host += read;
  transfers.waits += read;
  TORCH_CHECK(!read || !recording, "a graph cannot record ", op.schema().name());
  const auto given = top(*stack, op.schema().arguments());
  const torch::jit::Stack arguments(given.begin(), given.end());
  Call call(op, /*apart=*/recording != nullptr);
  run(op, *stack, call);
  for (c10::IValue& value : top(*stack, op.schema().returns())) value = call.send(value);
  if (!recording) return;
  const auto returned = top(*stack, op.schema().returns());
  const torch::jit::Stack results(returned.begin(), returned.end());
  recording->calls.emplace_back([op, arguments, results] {
    torch::jit::Stack again = arguments;
    Call once_more(op);
    run(op, again, once_more);
    for (std::size_t i = 0; i < results.size(); ++i) once_more.write(again[i], results[i]);
  });
}

// LibTorch asks other devices for this one, which the CPU has under another name.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, std::int64_t groups) {
  return far_copy(at::convolution(near(x), near(weight),
                                  bias && bias->defined() ? near(*bias) : at::Tensor(), stride,
                                  padding, dilation, transposed, output_padding, groups));
}

const char* begin_graph(int, void** graph) {
  *graph = recording = new Recording;
  ++graph_counts.begun;
  ++graph_counts.alive;
  return nullptr;
}

const char* end_graph(void*) {
  recording = nullptr;
  return nullptr;
}

const char* replay_graph(void* graph) {
  for (const auto& call : static_cast<Recording*>(graph)->calls) call();
  ++graph_counts.replayed;
  return nullptr;
}

void destroy_graph(void* graph) {
  recording = nullptr;
  delete static_cast<Recording*>(graph);
  --graph_counts.alive;
}

}  // namespace

Transfers pretend_transfers() {
  return transfers;
}

const GraphApi* pretend_graphs() {
  static constexpr GraphApi api{&begin_graph, &end_graph, &replay_graph, &destroy_graph};
  return &api;
}

GraphCounts pretend_graph_counts() {
  return graph_counts;
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
    aten.impl("convolution_overrideable", &convolution);
    aten.impl("view", &at::native::view);
    aten.impl("as_strided", &at::native::as_strided_tensorimpl);
    aten.impl("_reshape_alias", &at::native::_reshape_alias);
    return true;
  }();
  return {device_type, static_cast<at::DeviceIndex>(filled ? 0 : -1)};
}

}  // namespace sgmae
