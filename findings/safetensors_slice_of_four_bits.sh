#!/usr/bin/env bash
# safetensors writes and reads tensors of 4-bit floats, but no slice of them, and gives one tensor two shapes.
#
# One would guess: what `save_file` writes and `load_file` gives back bit for bit can also be read in parts:
#   `get_slice` is how one rank fetches its rows. And the shape in a file is the tensor's shape.
# What happens: PyTorch's `float4_e2m1fn_x2` holds two numbers in an element, so a tensor of shape [4, 8] has 64
#   numbers; the file says dtype F4, shape [4, 16] (numbers). `get_tensor` makes [4, 8] of it again. `get_slice` says
#   [4, 16] and every way to index it raises, whole rows and the whole tensor included, since it reshapes elements to
#   a shape of numbers; the one-byte types of 8 bits beside it (F8_E8M0, their scales) are sliced without fault. A
#   reader that takes the product of the shape times a number of bytes for the size of a tensor has no whole number to
#   multiply by.
# Seen with: safetensors 0.8.0, torch 2.11.0. Output:
#   in PyTorch (4, 8), in the file F4 [4, 16], 32 bytes
#   get_tensor: (4, 8), bit for bit
#   get_slice: [4, 16], 5 of 5 ways to index raise RuntimeError: shape '[4, 16]' is invalid for input of size 32
#   F8_E8M0: 5 of 5 ways give the right bits
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6 safetensors==0.8.0

"$work/venv/bin/python" - "$work/four.safetensors" <<'PYTHON'
import json
import struct
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

WAYS = [slice(None), slice(0, 1), slice(1, 3), (slice(None), slice(0, 4)), ...]
ok = True


def expect(text, holds):
    global ok
    print(text if holds else f"CHANGED: {text}")
    ok = ok and holds


bits = torch.arange(32, dtype=torch.uint8).reshape(4, 8)
four, eight = bits.view(torch.float4_e2m1fn_x2), bits.clone().view(torch.float8_e8m0fnu)
save_file({"four": four, "eight": eight}, sys.argv[1])
with open(sys.argv[1], "rb") as file:
    entry = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["four"]
begin, end = entry["data_offsets"]
expect(f"in PyTorch {tuple(four.shape)}, in the file {entry['dtype']} {entry['shape']}, {end - begin} bytes",
       (entry["dtype"], entry["shape"], end - begin) == ("F4", [4, 16], 32))

with safe_open(sys.argv[1], "pt") as file:
    whole = file.get_tensor("four")
    expect(f"get_tensor: {tuple(whole.shape)}, bit for bit",
           whole.dtype == four.dtype and torch.equal(whole.view(torch.uint8), bits))
    part, errors = file.get_slice("four"), []
    for way in WAYS:
        try:
            part[way]
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    raised = "; ".join(sorted(set(errors)))
    expect(f"get_slice: {part.get_shape()}, {len(errors)} of {len(WAYS)} ways to index raise {raised}",
           part.get_shape() == [4, 16] and len(errors) == len(WAYS) and raised.startswith("RuntimeError"))
    part = file.get_slice("eight")
    right = sum(torch.equal(part[way].view(torch.uint8), bits[way]) for way in WAYS)
    expect(f"{part.get_dtype()}: {right} of {len(WAYS)} ways give the right bits", right == len(WAYS))
sys.exit(0 if ok else 1)
PYTHON
