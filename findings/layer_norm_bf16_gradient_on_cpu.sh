#!/usr/bin/env bash
# PyTorch on a CPU adds up the gradients of LayerNorm's weight and bias in bf16.
#
# One would guess: sums over the rows of a batch are kept in fp32, as PyTorch's matrix products, sums, RMSNorm and
#   GroupNorm in bf16 do it, all the more so when the parameters themselves are fp32.
# What happens: each thread adds its rows one after another in the type of the *input*. With gradients of 1 a bias
#   gradient stops at 256 times the number of threads (2048 times in fp16), since 256 + 1 is 256 in bf16. fp32
#   parameters do not help: they are given the sum after it was rounded. Autocast does not help either, it hands
#   LayerNorm the bf16 output of the Linear before it. It is no matter of large means alone: with gradients drawn
#   around 0, one thread and a ViT's 64 x 197 tokens both gradients are wrong by 12 to 13 % (4 to 5 % with 8 images,
#   22 to 23 % with 256). More threads give a *more* exact gradient, so that one process with one thread each (what
#   torchrun sets from two processes on) is the worst case.
# Seen with: torch 2.11.0, x86-64, the same with ATEN_CPU_CAPABILITY default, avx2 and avx512. Output:
#   rows 256: bf16 parameters 256, fp32 parameters 256
#   rows 65536: bf16 parameters 256, fp32 parameters 256
#   rows 65536, fp16: 2048
#   rows 65536, 2 threads: 512
#   rows 65536, autocast: 256
#   rows 65536, the same sum by others: sum 65536, RMSNorm 65536, GroupNorm 65536, matrix product 65536
#   64 x 197 tokens, gradients around 0: relative error weight 0.118, bias 0.132; rounding of the result alone 0.002
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6

"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
import torch.nn.functional as F

BF16, FP16, FP32, FP64 = torch.bfloat16, torch.float16, torch.float32, torch.float64
ROWS, WIDTH = 65536, 64
ok = True


def expect(text, holds):
    global ok
    print(text if holds else f"CHANGED: {text}")
    ok = ok and holds


def bias_gradient(rows, dtype, parameters):
    """The gradient of LayerNorm's bias where every output has the gradient 1: exactly the number of rows."""
    x = torch.randn(rows, WIDTH, dtype=dtype)
    weight = torch.ones(WIDTH, dtype=parameters, requires_grad=True)
    bias = torch.zeros(WIDTH, dtype=parameters, requires_grad=True)
    F.layer_norm(x, (WIDTH,), weight, bias).backward(torch.ones_like(x))
    assert (bias.grad == bias.grad[0]).all()
    return bias.grad[0].item()


torch.manual_seed(0)
torch.set_num_threads(1)
for rows in (256, ROWS):
    seen = [bias_gradient(rows, BF16, parameters) for parameters in (BF16, FP32)]
    expect(f"rows {rows}: bf16 parameters {seen[0]:.0f}, fp32 parameters {seen[1]:.0f}", seen == [256, 256])
seen = bias_gradient(ROWS, FP16, FP32)
expect(f"rows {ROWS}, fp16: {seen:.0f}", seen == 2048)

torch.set_num_threads(2)
seen = bias_gradient(ROWS, BF16, FP32)
expect(f"rows {ROWS}, 2 threads: {seen:.0f}", seen == 512)
torch.set_num_threads(1)

linear, norm = torch.nn.Linear(WIDTH, WIDTH), torch.nn.LayerNorm(WIDTH)
with torch.autocast("cpu", dtype=BF16):
    out = norm(linear(torch.randn(ROWS, WIDTH)))
out.backward(torch.ones_like(out))
seen = norm.bias.grad[0].item()
expect(f"rows {ROWS}, autocast: {seen:.0f}", out.dtype == BF16 and norm.bias.dtype == FP32 and seen == 256)

ones = torch.ones(ROWS, 2, dtype=BF16)
scale = torch.ones(2, dtype=BF16, requires_grad=True)
F.rms_norm(ones, (2,), scale, eps=0.0).backward(ones)
shift = torch.zeros(2, dtype=BF16, requires_grad=True)
F.group_norm(torch.randn(1, 2, ROWS).to(BF16), 1, torch.ones_like(shift), shift).backward(ones.t()[None])
seen = [ones.sum(0)[0].item(), scale.grad[0].item(), shift.grad[0].item(), (ones.t() @ ones)[0, 0].item()]
expect(f"rows {ROWS}, the same sum by others: sum {seen[0]:.0f}, RMSNorm {seen[1]:.0f}, GroupNorm {seen[2]:.0f}, "
       f"matrix product {seen[3]:.0f}", seen == [ROWS] * 4)

# As in training: tokens of 64 images, gradients without a mean, the result held against double precision.
tokens, width = 64 * 197, 384
x, grad = torch.randn(tokens, width).to(BF16), torch.randn(tokens, width).to(BF16)
sums = {}
for dtype in (BF16, FP64):
    parameters = FP32 if dtype == BF16 else FP64
    weight = torch.ones(width, dtype=parameters, requires_grad=True)
    bias = torch.zeros(width, dtype=parameters, requires_grad=True)
    F.layer_norm(x.to(dtype), (width,), weight, bias).backward(grad.to(dtype))
    sums[dtype] = (weight.grad.double(), bias.grad.double())
relative = lambda a, b: ((a - b).norm() / b.norm()).item()
error = [relative(a, b) for a, b in zip(sums[BF16], sums[FP64])]
rounding = relative(sums[FP64][1].to(BF16).double(), sums[FP64][1])
expect(f"64 x 197 tokens, gradients around 0: relative error weight {error[0]:.3f}, bias {error[1]:.3f}; rounding of "
       f"the result alone {rounding:.3f}", min(error) > 0.06 and rounding < 0.004)
sys.exit(0 if ok else 1)
PYTHON
