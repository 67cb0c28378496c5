// Memory that the processes of one machine have in common, so that they need not send each other
// what they can read.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sgmae {

// A tensor of each process of processes(), by rank: [values] fp32 zeros, which all of them read and
// write, each whenever it likes. Empty where they run on several machines or the system refuses;
// then it is for all of them. Pages take up memory once they are written. Freed with the tensors,
// and by the system with the processes, however they end.
std::vector<at::Tensor> common_memory(std::int64_t values);

}  // namespace sgmae
