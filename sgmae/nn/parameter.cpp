#include "sgmae/nn/parameter.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <sys/mman.h>

#include <new>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Values that `count` of them take up in whole cache lines.
std::int64_t in_lines(std::int64_t count) {
  constexpr std::int64_t line = 64 / sizeof(float);
  return (count + line - 1) / line * line;
}

// fp32 zeros, of which the system gives out a page when it is first written.
at::Tensor untouched_zeros(std::int64_t count) {
  if (count == 0) return at::zeros({0}, at::kFloat);
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return at::from_blob(
      memory, {count}, [bytes](void* begin) { munmap(begin, bytes); }, at::kFloat);
}

// Makes that tensor of each trained parameter a view of `memory`.
void flatten(std::vector<Parameter>& parameters, at::Tensor Parameter::*which,
             const at::Tensor& memory) {
  SGMAE_ASSERT(memory.numel() == flat_size(parameters));
  std::int64_t begin = 0;
  for (Parameter& parameter : parameters) {
    if (!parameter.trained()) continue;
    at::Tensor& tensor = parameter.*which;
    const at::Tensor view = memory.narrow(0, begin, tensor.numel()).view(tensor.sizes());
    if (!tensor.is_meta()) view.copy_(tensor);
    begin += in_lines(tensor.numel());
    tensor = view;
  }
}

}  // namespace

std::int64_t value_count(const std::vector<Parameter>& parameters) {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters) count += parameter.value.numel();
  return count;
}

std::int64_t flat_size(std::span<const Parameter> parameters) {
  std::int64_t size = 0;
  for (const Parameter& parameter : parameters)
    if (parameter.trained()) size += in_lines(parameter.value.numel());
  return size;
}

void flatten_gradients(std::vector<Parameter>& parameters, const at::Tensor& memory) {
  for (Parameter& parameter : parameters)
    if (parameter.trained())
      parameter.cleared = memory.is_cpu() && (parameter.cleared || parameter.grad.is_meta());
  flatten(parameters, &Parameter::grad, memory);
}

void flatten_gradients(std::vector<Parameter>& parameters, at::Device device) {
  const std::int64_t size = flat_size(parameters);
  flatten_gradients(parameters,
                    device.is_cpu()
                        ? untouched_zeros(size)
                        : at::zeros({size}, at::TensorOptions(at::kFloat).device(device)));
}

void flatten_values(std::vector<Parameter>& parameters, const at::Tensor& memory) {
  flatten(parameters, &Parameter::value, memory);
}

at::Tensor gradient_memory(const Parameter& parameter) {
  return parameter.trained() ? parameter.grad : at::zeros_like(parameter.value);
}

at::Tensor flat_gradients(std::span<const Parameter> parameters) {
  const at::Tensor *first = nullptr, *last = nullptr;
  for (const Parameter& parameter : parameters) {
    if (!parameter.trained()) continue;
    if (!first) first = &parameter.grad;
    last = &parameter.grad;
  }
  SGMAE_ASSERT(first && last->is_alias_of(*first));
  const std::int64_t begin = first->storage_offset();
  return first->as_strided({last->storage_offset() + last->numel() - begin}, {1}, begin);
}

void move_parameters(std::vector<Parameter>& parameters, at::Device device) {
  for (Parameter& parameter : parameters) parameter.value = parameter.value.to(device);
  flatten_gradients(parameters, device);
}

void announce(const GradientsReady& ready, std::initializer_list<Parameter*> parameters) {
  if (!ready) return;
  for (Parameter* parameter : parameters)
    if (parameter && parameter->trained()) ready({parameter, 1});
}

}  // namespace sgmae
