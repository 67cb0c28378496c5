// A tensor of the model under MAE's own name (blocks.0.attn.qkv.weight …), and the one piece of
// memory that holds the gradients of a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace sgmae {

struct Parameter {
  std::string name;
  at::Tensor value;  // fp32
  at::Tensor grad;   // fp32, same shape; undefined for what is not trained (position embeddings)
  // No linear layer has added its product to grad since that was new or cleared (on the CPU): the
  // next product is written over whatever lies there (nn/lent_gradients.h). Who adds to the grad of
  // such a layer's weight by other means sets it to false.
  bool cleared = false;
  bool trained() const { return grad.defined(); }
};

// How many numbers they hold together.
std::int64_t value_count(const std::vector<Parameter>& parameters);

// Makes the gradients views of one new tensor on `device`, in the order of the list, each from a
// multiple of 64 bytes on (the last bits of products depend on where operands lie within a cache
// line). They keep their values; those that are only shapes so far (meta tensors) become zero.
void flatten_gradients(std::vector<Parameter>& parameters, at::Device device = at::kCPU);

// The same in `memory`: [flat_size()] fp32 zeros. And the values of those that are trained, laid
// out like the gradients; what keeps tensors of them must be told.
void flatten_gradients(std::vector<Parameter>& parameters, const at::Tensor& memory);
void flatten_values(std::vector<Parameter>& parameters, const at::Tensor& memory);
std::int64_t flat_size(std::span<const Parameter> parameters);

// Where a backward pass adds the gradient of a parameter: to its own, or for one that is not
// trained to memory that nobody reads.
at::Tensor gradient_memory(const Parameter& parameter);

// The memory under the gradients of parameters that follow one another in a model: all of them, or
// what a GradientsReady hears of. [values] fp32 with zeros between them; sharing memory. At least
// one must be trained.
at::Tensor flat_gradients(std::span<const Parameter> parameters);

// Values and gradients to `device`, the gradients flat. What keeps other tensors of them (a model's
// Linear, an optimizer) must be told or made afterwards.
void move_parameters(std::vector<Parameter>& parameters, at::Device device);

// Hears from a backward pass, as soon as it is so, that it adds no more to the gradients of these
// parameters, which follow one another in the model's list (fixed ones may be among them). Each
// trained parameter is named once in a pass. On a device the sums may still be on their way there;
// what is queued from here comes after them.
using GradientsReady = std::function<void(std::span<Parameter>)>;

// Tells `ready`, where somebody listens, of those that there are and that are trained.
void announce(const GradientsReady& ready, std::initializer_list<Parameter*> parameters);

}  // namespace sgmae
