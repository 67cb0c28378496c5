// Where a model computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace sgmae {

// "cpu", "cuda" (the first GPU; of processes that share a machine each takes that of its `turn`) or
// "cuda:N", made ready. LibTorch's CUDA libraries are opened here
// and not linked, so that one program serves machines with and without a GPU. To be called before
// anything asks LibTorch about CUDA: an answer without the libraries is remembered for good. Also
// takes the name of a back end that the process has put into LibTorch's slot for one, as tests do.
// Throws Error(usage), saying what is missing and how to get it.
at::Device open_device(const std::string& name, int turn = 0);

// The most bytes that tensors on `device` held together at any time; 0 where that is not counted
// (CPU).
std::int64_t peak_device_memory(at::Device device);

// `tensor` on `device`. Nobody waits for a copy to one that is not the CPU: it goes by way of
// page-locked memory, from which alone a GPU copies while the host goes on.
at::Tensor send(const at::Tensor& tensor, at::Device device);

}  // namespace sgmae
