#!/usr/bin/env bash
# transformers' ViTDet cannot be built without absolute positions, though its forward pass is written for that.
#
# One would guess: `use_absolute_position_embeddings=False`, an option of VitDetConfig, gives a model whose only
#   positions are the decomposed relative ones (or none).
# What happens: the weights' initialiser fills the table that is not there: VitDetModel and VitDetBackbone raise
#   AttributeError, with and without relative positions. `from_pretrained` of a folder that holds such a model raises
#   the same, though no weight is missing in it. On the meta device it is built, and with the table taken off
#   after construction it runs. So a peer without absolute positions is a default model with
#   `embeddings.position_embeddings = None`; a table of zeros, which is what one would otherwise take, adds the same.
# Seen with: transformers 5.23.0, torch 2.11.0. Output:
#   VitDetModel, VitDetBackbone: AttributeError: 'NoneType' object has no attribute 'uniform_'
#   from_pretrained, nothing missing: AttributeError: 'NoneType' object has no attribute 'uniform_'
#   on the meta device: built
#   table taken off: runs, equal to a table of zeros
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6 transformers==5.23.0

HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/model" 2>"$work/stderr" <<'PYTHON' || { tail -n 5 "$work/stderr"; exit 1; }
import sys

import torch
from transformers import VitDetBackbone, VitDetConfig, VitDetModel

SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=64)
ok = True


def expect(text, holds):
    global ok
    print(text if holds else f"CHANGED: {text}")
    ok = ok and holds


def outcome(action):
    try:
        action()
        return "no error"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def without(model, relative):
    return model(VitDetConfig(use_absolute_position_embeddings=False, use_relative_position_embeddings=relative,
                              **SMALL))


seen = {outcome(lambda: without(model, relative)) for relative in (False, True)
        for model in (VitDetModel, VitDetBackbone)}
expect(f"VitDetModel, VitDetBackbone: {'; '.join(sorted(seen))}",
       len(seen) == 1 and min(seen).startswith("AttributeError"))

torch.manual_seed(0)
model = VitDetModel(VitDetConfig(use_relative_position_embeddings=True, **SMALL)).eval()
image = torch.randn(1, 3, 64, 64)
with torch.no_grad():
    model.embeddings.position_embeddings.zero_()
    zeros = model(image).last_hidden_state
    model.embeddings.position_embeddings = None
    none = model(image).last_hidden_state
model.config.use_absolute_position_embeddings = False
model.save_pretrained(sys.argv[1])
seen = outcome(lambda: VitDetModel.from_pretrained(sys.argv[1]))
expect(f"from_pretrained, nothing missing: {seen}", seen.startswith("AttributeError"))


def on_meta():
    with torch.device("meta"):
        without(VitDetModel, True)


seen = outcome(on_meta)
expect(f"on the meta device: {seen.replace('no error', 'built')}", seen == "no error")
expect("table taken off: runs, equal to a table of zeros", torch.equal(zeros, none))
sys.exit(0 if ok else 1)
PYTHON
