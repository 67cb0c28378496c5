#include "sgmae/nn/decoder.h"

#include <ATen/ops/zeros_like.h>

#include "sgmae/nn/patches.h"

namespace sgmae {
namespace {

StreamShape with_tokens(StreamShape shape, std::int64_t tokens) {
  shape.tokens = tokens;
  return shape;
}

// Has a forward pass over `rows` of attention and `mlp_rows` keep its largest tensors in `memory`.
void keep_in(LentGradients& memory, const Block& block, std::int64_t rows, std::int64_t mlp_rows,
             at::ScalarType type, BlockTrace& trace) {
  trace.attention.qkv = memory.take({rows, block.qkv.weight->value.size(0)}, type);
  trace.mlp.h = memory.take({mlp_rows, block.fc1.weight->value.size(0)}, type);
}

}  // namespace

at::Tensor Decoder::forward(const StreamShape& shape, const at::Tensor& x, std::int64_t n_last,
                            bool checkpointed, DecoderTrace* trace) const {
  const std::size_t last = blocks.size() - 1;
  if (trace) trace->blocks.resize(last + 1);
  const auto keeps = [&](std::size_t i) { return trace && (!checkpointed || i == last); };
  if (trace && trace->memory)
    for (std::size_t i = 0; i <= last; ++i)
      if (keeps(i))
        keep_in(*trace->memory, blocks[i], x.size(0), i < last ? x.size(0) : shape.batch * n_last,
                shape.type, trace->blocks[i]);
  Stream stream{x, {}};
  for (std::size_t i = 0; i < last; ++i) {
    if (trace && checkpointed) trace->blocks[i] = checkpoint(stream, {});
    block_forward(blocks[i], shape, stream, keeps(i) ? &trace->blocks[i] : nullptr, nullptr, {});
  }
  attention_forward(blocks[last], shape, stream, trace ? &trace->blocks[last].attention : nullptr,
                    nullptr, {});
  stream = {last_rows(stream.x, shape.batch, n_last), last_rows(stream.delta, shape.batch, n_last)};
  mlp_forward(blocks[last], with_tokens(shape, n_last), stream,
              trace ? &trace->blocks[last].mlp : nullptr, nullptr, {});
  const Normed normed = norm.forward(stream.x, stream.delta, shape.eps, shape.type);
  if (trace) trace->norm = normed;
  return normed.y;
}

at::Tensor Decoder::backward(const StreamShape& shape, const at::Tensor& dnormed,
                             DecoderTrace& trace, const GradientsReady& ready) {
  at::Tensor dwanted = at::zeros_like(trace.norm.sum);
  norm.backward(dnormed, trace.norm, dwanted);
  announce(ready, {norm.weight, norm.bias});

  const std::size_t last = blocks.size() - 1;
  mlp_backward(blocks[last], with_tokens(shape, dwanted.size(0) / shape.batch),
               trace.blocks[last].mlp, dwanted);
  at::Tensor dx = put_last_rows(dwanted, shape.batch, shape.tokens);
  attention_backward(blocks[last], shape, trace.blocks[last].attention, dx);
  for (std::size_t i = last + 1; i-- > 0;) {
    if (i < last) block_backward(blocks[i], shape, trace.blocks[i], dx);
    trace.blocks[i] = {};  // its memory serves the next block
    if (ready) ready(blocks[i].parameters);
  }
  trace.memory.reset();
  return dx;
}

}  // namespace sgmae
