"""Whether transformers reads the backbone of a detector that sgmae wrote: VitDetBackbone with the
file's tensors gives the features that sgmae gives.

Needs: torch==2.11.0 transformers==5.23.0 safetensors==0.8.0, and a run of sgmae detect.
Run from the repository root: python tests/golden/read_detector.py build/sgmae RUN/checkpoint-best.safetensors
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import VitDetBackbone, VitDetConfig

from vitdet_beit import VITDET_NAMES


def theirs(name):
    for their_part, our_part in VITDET_NAMES:
        name = name.replace(our_part, their_part)
    return name


def main(program, checkpoint):
    with safe_open(checkpoint, "pt") as file:
        config = json.loads(file.metadata()["sgmae"])["config"]
    tensors = {k.removeprefix("backbone.net."): v for k, v in load_file(checkpoint).items()
               if k.startswith("backbone.net.")}
    # transformers keeps a place for a class token, which it does not read.
    positions = tensors["pos_embed"]
    tensors["pos_embed"] = torch.cat([torch.zeros_like(positions[:, :1]), positions], 1)
    depth, side = config["depth"], config["height"]
    windows = [i for i, block in enumerate(config["attention"]) if block["window"]]
    backbone = VitDetBackbone(VitDetConfig(
        hidden_size=config["dim"], num_hidden_layers=depth, num_attention_heads=config["heads"],
        mlp_ratio=config["mlp_hidden"] // config["dim"], layer_norm_eps=config["layer_norm_eps"],
        image_size=side, pretrain_image_size=side, patch_size=config["patch_size"],
        window_size=max(config["attention"][i]["window"] for i in windows) if windows else 0,
        window_block_indices=windows, use_relative_position_embeddings=True,
        out_features=[f"stage{depth}"])).eval()
    backbone.load_state_dict({theirs(k): v for k, v in tensors.items()})

    torch.manual_seed(0)
    pixels = torch.randn(1, 3, side, side)
    with tempfile.TemporaryDirectory() as folder:
        given, got = pathlib.Path(folder, "in.safetensors"), pathlib.Path(folder, "out.safetensors")
        save_file({"pixels": pixels}, given)
        tap = f"encoder.{depth - 1}.block_out"
        subprocess.run([program, "forward", "--checkpoint", checkpoint, "--input", given, "--output",
                        got, "--taps", tap, "--precision", "fp32"], check=True)
        ours = load_file(got)[tap]
    with torch.no_grad():
        expected = backbone(pixels).feature_maps[-1].flatten(2).transpose(1, 2)
    error = ((ours - expected).norm() / expected.norm()).item()
    print(f"relative difference {error:.1e}")
    assert error < 1e-5


if __name__ == "__main__":
    main(*sys.argv[1:])
