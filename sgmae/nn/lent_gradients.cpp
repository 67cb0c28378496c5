#include "sgmae/nn/lent_gradients.h"

#include <algorithm>
#include <cstdint>

#include "sgmae/nn/products.h"

namespace sgmae {

LentGradients::LentGradients(std::span<Block> blocks) {
  for (const Block& block : blocks)
    for (const Linear* layer : {&block.qkv, &block.proj, &block.fc1, &block.fc2})
      weights_.push_back(layer->weight);
  const bool free = std::all_of(weights_.begin(), weights_.end(), [](const Parameter* weight) {
    return weight->trained() && weight->cleared && has_products(weight->value.device());
  });
  if (!free) weights_.clear();
  if (weights_.empty()) return;
  for (Parameter* weight : weights_) weight->cleared = false;
  const std::span<Parameter> first = blocks.front().parameters, last = blocks.back().parameters;
  gradients_ = flat_gradients({first.data(), last.data() + last.size()});
  left_ = gradients_.view(at::kByte);
}

at::Tensor LentGradients::take(at::IntArrayRef sizes, at::ScalarType type) {
  constexpr std::int64_t line = 64;
  if (!left_.defined()) return {};
  const std::int64_t bytes =
      c10::multiply_integers(sizes) * static_cast<std::int64_t>(at::elementSize(type));
  const std::int64_t taken = (bytes + line - 1) / line * line;
  if (taken > left_.numel()) return {};
  const at::Tensor memory = left_.narrow(0, 0, bytes).view(type).view(sizes);
  left_ = left_.narrow(0, taken, left_.numel() - taken);
  return memory;
}

void LentGradients::give_back() {
  if (weights_.empty()) return;
  // Also the first row of each weight, which Linear looks at to see that nobody has added to it.
  std::int64_t begin = 0;
  for (Parameter* weight : weights_) {
    const std::int64_t place = weight->grad.storage_offset() - gradients_.storage_offset();
    const std::int64_t end = place + weight->grad[0].numel();
    gradients_.narrow(0, begin, end - begin).zero_();
    begin = place + weight->grad.numel();
    weight->cleared = true;
  }
  gradients_.narrow(0, begin, gradients_.numel() - begin).zero_();
  weights_.clear();
  left_.reset();
}

}  // namespace sgmae
