"""Golden files for tests/segment and tests/eval/segmenter_file_test.cpp: BeitForSemanticSegmentation of transformers
at a tiny size, every parameter and running statistic drawn at random, in double precision and
rounded: logits by the running statistics; losses, every gradient and the running statistics after a
step in training mode; and its folder (config.json, model.safetensors).

Its out_indices i is the output of block i - 2, so that [2, 4, 5, 6] are blocks 0, 2, 3, 4 of six.

Needs: torch==2.11.0 transformers==5.23.0 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/segmenter.py
"""
import pathlib

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import BeitConfig, BeitForSemanticSegmentation

from vitdet_beit import rename_beit

FOLDER = pathlib.Path("tests/golden/data/segment")
# As transformers' files have them, and so our models.
HEAD_NAMES = [("fpn.fpn1.conv_transpose1", "fpn1.0"), ("fpn.fpn1.normalization", "fpn1.1"),
              ("fpn.fpn1.conv_transpose2", "fpn1.3"), ("fpn.fpn2", "fpn2.0"),
              ("psp_modules.blocks.", "psp_modules."), ("psp_bottleneck", "bottleneck"),
              (".conv.convolution", ".1.conv"), (".conv.normalization", ".1.bn"),
              (".convolution", ".conv"), (".normalization", ".bn")]


def rename(prefix, tensors):
    backbone = {k.removeprefix("beit."): v for k, v in tensors.items() if k.startswith("beit.")}
    native = {k.replace("position_embeddings", "pos_embed").replace("embeddings.", ""): v
              for k, v in rename_beit(prefix, backbone).items()}
    for name, value in tensors.items():
        if name.startswith("beit."):
            continue
        for theirs, ours in HEAD_NAMES:
            name = name.replace(theirs, ours)
        native[prefix + name] = value
    return native


def main():
    torch.manual_seed(1)
    FOLDER.mkdir(exist_ok=True)
    classes = ["wall", "sky", "tree", "road", "water"]
    model = BeitForSemanticSegmentation(BeitConfig(
        hidden_size=8, num_hidden_layers=6, num_attention_heads=2, intermediate_size=16,
        image_size=40, patch_size=8, layer_norm_eps=1e-6, use_absolute_position_embeddings=True,
        use_relative_position_bias=True, drop_path_rate=0.0, out_indices=[2, 4, 5, 6],
        auxiliary_channels=4, id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)}))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * 0.3)
            if "norm" in name and name.endswith("weight"):
                p.add_(1.0)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.normal_()
            elif name.endswith("running_var"):
                b.uniform_(0.5, 2.0)
            else:
                b.fill_(3)
    model.save_pretrained(FOLDER / "beit")
    (FOLDER / "beit/preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_rescale": true}\n')

    model.double()
    # Five patches by five: odd, so that pooled parts overlap and halves leave a row out.
    pixels = torch.randn(3, 3, 40, 40).double()
    labels = torch.randint(0, 5, (3, 40, 40))
    labels[0, :9] = 255
    tensors = {"pixels": pixels, "labels": labels.to(torch.uint8)}
    tensors |= rename("param.", {k: v.detach() for k, v in model.named_parameters()})
    tensors |= rename("statistic.", {k: b.clone() for k, b in model.named_buffers()})
    with torch.no_grad():
        tensors["logits"] = model.eval()(pixels).logits.clone()

    model.train()
    output = model(pixels, labels=labels)
    output.loss.backward()
    resized = F.interpolate(output.logits, size=(40, 40), mode="bilinear", align_corners=False)
    decode = F.cross_entropy(resized, labels, ignore_index=255)
    tensors["loss.decode"], tensors["loss.total"] = decode.detach(), output.loss.detach()
    tensors["accuracy"] = (resized.argmax(1) == labels)[labels != 255].double().mean()
    gradients = {k: torch.zeros_like(p) if p.grad is None else p.grad
                 for k, p in model.named_parameters()}
    tensors |= rename("grad.", gradients)
    tensors |= rename("after.", dict(model.named_buffers()))
    save_file({k: (v.float() if v.is_floating_point() else v).clone().contiguous()
               for k, v in tensors.items()}, FOLDER / "beit.safetensors",
              metadata={"transformers": transformers.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
