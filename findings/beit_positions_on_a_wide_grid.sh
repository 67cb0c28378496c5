#!/usr/bin/env bash
# transformers' BEiT, built for an image that is not square, mixes up its positions, mostly without a word.
#
# One would guess: `image_size=(H, W)` is taken everywhere in the configuration, so at the very size the model was
#   built for, the bias between two patches is the table's entry of their offset (dy, dx), as in timm; and a table of
#   absolute positions is added as it is.
# What happens, at the size of construction:
#   - relative: the table, stored with (2H-1) rows of 2W-1 offsets, is read as 2W-1 rows of 2H-1 and then stretched
#     back. For a 2 x 3 grid two patches side by side get a mixture of entries that also belong to other rows, and the
#     15 entries reach 9 degrees of freedom, so that training from the start does not mend it. Data2VecVision does the
#     same. A model built square is spared, whatever the size it then runs at.
#   - absolute: the table is re-sampled as if it were square. A 2 x 3 grid raises; a grid whose count happens to be a
#     square number, 2 x 8, is scrambled in silence (every patch gets a mixture of the left and the right half of its
#     row).
# Seen with: transformers 5.23.0 (torch 2.11.0), held against timm 1.0.31. Output (table entry = 10 dy + dx):
#   BEiT, 3 x 3 grid: exact
#   timm, 2 x 3 grid: exact
#   BEiT, 2 x 3 grid: patch (0, 0) to (0, 1): -0.6 for -1; to (0, 2): -1.0 for -2; to (1, 0): -10.0 for -10; to (1, 2): -11.0 for -12
#   BEiT, 2 x 3 grid: rank 9 of 15
#   Data2VecVision, 2 x 3 grid: equal to BEiT's
#   BEiT, absolute, 2 x 3 grid: RuntimeError: shape '[1, 2, 2, 8]' is invalid for input of size 48
#   BEiT, absolute, 2 x 8 grid (table entry = 10 y + x), row 0: 1.3 1.6 2.1 2.7 3.1 3.8 4.2 4.5 for 0 to 7
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 torchvision==0.26.0 numpy==2.4.6 transformers==5.23.0 timm==1.0.31

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
import sys

import timm
import torch
from transformers import BeitConfig, BeitModel, Data2VecVisionConfig, Data2VecVisionModel

PATCH, WIDTH = 16, 8
ok = True


def expect(text, holds):
    global ok
    print(text if holds else f"CHANGED: {text}")
    ok = ok and holds


def build(model, config, rows, columns, **options):
    return model(config(image_size=(rows * PATCH, columns * PATCH), patch_size=PATCH, hidden_size=WIDTH,
                        num_hidden_layers=1, num_attention_heads=1, intermediate_size=WIDTH, **options)).eval()


def table_of_offsets(rows, columns):
    """An entry 10 dy + dx for every offset, dy outermost, then three for the class token: shape [n, 1]."""
    dy, dx = torch.arange(1.0 - rows, rows), torch.arange(1.0 - columns, columns)
    return torch.cat([(10 * dy[:, None] + dx).reshape(-1, 1), torch.zeros(3, 1)])


def expected_bias(rows, columns):
    """What the bias from patch i to patch j has to be: 10 dy + dx of i - j."""
    place = torch.cartesian_prod(torch.arange(float(rows)), torch.arange(float(columns))) @ torch.tensor([10.0, 1.0])
    return place[:, None] - place[None, :]


@torch.no_grad()
def bias_of(module, table, *grid):
    module.relative_position_bias_table.copy_(table)
    return module(*grid).squeeze()[1:, 1:]


def relative(model, config, rows, columns):
    built = build(model, config, rows, columns, use_relative_position_bias=True)
    return next(m for m in built.modules() if type(m).__name__.endswith("RelativePositionBias"))


square = bias_of(relative(BeitModel, BeitConfig, 3, 3), table_of_offsets(3, 3), (3, 3))
expect("BEiT, 3 x 3 grid: exact", torch.allclose(square, expected_bias(3, 3), atol=1e-5))

peer = timm.models.beit.Beit(img_size=(2 * PATCH, 3 * PATCH), patch_size=PATCH, embed_dim=WIDTH, depth=1, num_heads=1,
                             use_shared_rel_pos_bias=True).rel_pos_bias
expect("timm, 2 x 3 grid: exact", torch.equal(bias_of(peer, table_of_offsets(2, 3)), expected_bias(2, 3)))

module, table, right = relative(BeitModel, BeitConfig, 2, 3), table_of_offsets(2, 3), expected_bias(2, 3)
wide = bias_of(module, table, (2, 3))
pairs = "; ".join(f"to ({j // 3}, {j % 3}): {wide[0, j]:.1f} for {right[0, j]:.0f}" for j in (1, 2, 3, 5))
expect(f"BEiT, 2 x 3 grid: patch (0, 0) {pairs}",
       torch.allclose(wide[0, [1, 2, 3, 5]], torch.tensor([-0.6, -1.0, -10.0, -11.0]), atol=1e-4))
entries = len(table) - 3
reached = torch.stack([bias_of(module, torch.eye(len(table))[:, [k]], (2, 3)).flatten() for k in range(entries)])
rank = torch.linalg.matrix_rank(reached).item()
expect(f"BEiT, 2 x 3 grid: rank {rank} of {entries}", (rank, entries) == (9, 15))
other = bias_of(relative(Data2VecVisionModel, Data2VecVisionConfig, 2, 3), table, (2, 3))
expect("Data2VecVision, 2 x 3 grid: equal to BEiT's", torch.equal(other, wide))

try:
    with torch.no_grad():
        model = build(BeitModel, BeitConfig, 2, 3, use_absolute_position_embeddings=True)
        model(torch.zeros(1, 3, 2 * PATCH, 3 * PATCH))
    expect("BEiT, absolute, 2 x 3 grid: runs", False)
except RuntimeError as error:
    expect(f"BEiT, absolute, 2 x 3 grid: RuntimeError: {error}", True)

# With every weight of the embedding at 0 only the positions are left.
model = build(BeitModel, BeitConfig, 2, 8, use_absolute_position_embeddings=True)
with torch.no_grad():
    for parameter in model.embeddings.parameters():
        parameter.zero_()
    place = (10 * torch.arange(2.0)[:, None] + torch.arange(8.0)).reshape(-1)
    model.embeddings.position_embeddings[0, 1:] = place[:, None]
    out = model.embeddings(torch.zeros(1, 3, 2 * PATCH, 8 * PATCH))
    out = out[0] if isinstance(out, tuple) else out
    seen = out[0, 1:, 0].reshape(2, 8)
row = " ".join(f"{value:.1f}" for value in seen[0])
expect(f"BEiT, absolute, 2 x 8 grid (table entry = 10 y + x), row 0: {row} for 0 to 7",
       row == "1.3 1.6 2.1 2.7 3.1 3.8 4.2 4.5")
sys.exit(0 if ok else 1)
PYTHON
