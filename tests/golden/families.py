"""Golden files for tests/checkpoint/open_model_test.cpp and tests/nn/position_embedding_test.cpp, and
the check in the other direction.

Tiny models built at random by transformers and timm, saved by their own means, with pixels and what
the models make of them; and position embeddings resized by torch.

Needs: torch==2.11.0 transformers==5.23.0 timm==1.0.31 safetensors==0.8.0 (CPU is enough).
Run from the repository root:
  python tests/golden/families.py                       makes the files
  python tests/golden/families.py --check build/sgmae   converts each with the program, opens the
                                                        result with the real package, compares outputs;
                                                        and runs what transformers saves again
The check passes with transformers==4.46.3 too, which lacks DINOv2 with registers.
"""
import functools
import pathlib
import subprocess
import sys
import tempfile

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch.nn.functional import interpolate

DATA = pathlib.Path("tests/golden/data")
OUT = DATA / "checkpoint"
HF = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, patch_size=4)
TIMM = dict(patch_size=4, embed_dim=8, depth=2, num_heads=2)


def disturb(model):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return model.eval()


def vit_mae(**sizes):
    return transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(
        **HF, decoder_hidden_size=8, decoder_num_hidden_layers=1, decoder_num_attention_heads=4,
        decoder_intermediate_size=32, mask_ratio=0.75, **sizes))


HF_MODELS = {
    "hf_vit_mae": lambda: vit_mae(image_size=16, layer_norm_eps=1e-3),
    "hf_vit": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(**HF, image_size=(8, 16), num_labels=3)),
    "hf_dinov2": lambda: transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(
            **{k: v for k, v in HF.items() if k != "intermediate_size"}, image_size=8,
            num_register_tokens=2)),
}
TIMM_MODELS = {
    # heads are given as an option: no timm file says them
    "timm_vit": lambda: VisionTransformer(**TIMM, img_size=8, num_classes=3, global_pool="avg"),
    "timm_reg": lambda: VisionTransformer(**TIMM, img_size=12, num_classes=0, init_values=0.3,
                                          reg_tokens=2, no_embed_class=True),
}


@torch.no_grad()
def outputs(name, model, pixels, noise=None):
    if name == "hf_vit_mae":
        out = model(pixels, noise=noise)
        return {"pred": out.logits, "loss": out.loss.reshape(1),
                "latent": model.vit(pixels, noise=noise).last_hidden_state}
    if name == "hf_vit":
        out = model(pixels, output_hidden_states=True)
        return {"latent": model.vit(pixels).last_hidden_state, "logits": out.logits}
    if name == "hf_dinov2":
        tokens = model(pixels).last_hidden_state
        return {"latent": torch.cat([tokens[:, :1], tokens[:, 3:]], 1)}
    tokens = model.forward_features(pixels)
    n = model.num_prefix_tokens
    out = {"latent": torch.cat([tokens[:, :1], tokens[:, n:]], 1)}
    return out | ({"logits": model(pixels)} if name == "timm_vit" else {})


def make():
    torch.manual_seed(0)
    for name, build in (HF_MODELS | TIMM_MODELS).items():
        model = disturb(build())
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        if name in HF_MODELS:
            model.save_pretrained(folder)
            size = model.config.image_size
        else:
            save_file(model.state_dict(), folder / "model.safetensors")
            size = model.patch_embed.img_size
        h, w = (size, size) if isinstance(size, int) else size
        given = {"pixels": torch.randn(2, 3, h, w)}
        if name == "hf_vit_mae":
            given["noise"] = torch.rand(2, h * w // 16)
            # The same weights as transformers 5 holds them in memory.
            (OUT / "hf_vit_mae_memory").mkdir(exist_ok=True)
            save_file({k: v.clone() for k, v in model.state_dict().items()},
                      OUT / "hf_vit_mae_memory" / "model.safetensors")
        save_file({k: v.contiguous() for k, v in (given | outputs(name, model, **given)).items()},
                  folder / "expected.safetensors")

    table = torch.randn(1, 1 + 4 * 6, 8)
    grid = table[:, 1:].reshape(1, 4, 6, 8).permute(0, 3, 1, 2)
    resized = {
        "plain": interpolate(grid, size=(7, 5), mode="bicubic", align_corners=False),
        "offset": interpolate(grid, scale_factor=(7.1 / 4, 5.1 / 6), mode="bicubic"),
        "antialias": interpolate(grid, size=(7, 5), mode="bicubic", antialias=True),
    }
    save_file({"table": table} | {k: torch.cat([table[:, :1], v.permute(0, 2, 3, 1).reshape(1, 35, 8)], 1)
                                  .contiguous() for k, v in resized.items()},
              DATA / "nn" / "position_resize.safetensors")
    make_resized()
    make_spellings()


@torch.no_grad()
def make_resized():
    """DINOv2 models of transformers at grids other than their own."""
    torch.manual_seed(1)
    plain = disturb(transformers.Dinov2Model(transformers.Dinov2Config(
        **{k: v for k, v in HF.items() if k != "intermediate_size"}, image_size=16)))
    plain.save_pretrained(OUT / "hf_dinov2_plain")
    registers = transformers.Dinov2WithRegistersModel.from_pretrained(OUT / "hf_dinov2").eval()
    for model, folder, first in (plain, "hf_dinov2_plain", 1), (registers, "hf_dinov2", 3):
        expected = {}
        for size in "12x20", "20x8", "4x4":
            pixels = torch.randn(2, 3, *map(int, size.split("x")))
            tokens = model(pixels).last_hidden_state
            expected[f"{size}.pixels"] = pixels
            expected[f"{size}.latent"] = torch.cat([tokens[:, :1], tokens[:, first:]], 1).contiguous()
        save_file(expected, OUT / folder / "resized.safetensors")


@torch.no_grad()
def make_spellings():
    """Models as few make them: other position tables, no bias of query, key and value, an encoder that
    transformers' SimMIM script trained, MLPs of two ratios."""
    torch.manual_seed(2)
    hf = {**HF, "image_size": 8}
    models = {
        "timm_no_embed": VisionTransformer(**TIMM, img_size=8, num_classes=0, init_values=0.3, no_embed_class=True),
        "timm_reg_pos": VisionTransformer(**TIMM, img_size=12, num_classes=0, reg_tokens=2),
        "timm_no_bias": VisionTransformer(**TIMM, img_size=8, num_classes=0, qkv_bias=False),
        "hf_simmim": transformers.ViTForMaskedImageModeling(transformers.ViTConfig(**hf, encoder_stride=4)),
        "hf_vit_mae_mlp": transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(
            **{**hf, "intermediate_size": 20, "image_size": 16}, decoder_hidden_size=8, decoder_num_hidden_layers=1,
            decoder_num_attention_heads=4, decoder_intermediate_size=12, qkv_bias=False)),
    }
    for name, model in models.items():
        disturb(model)
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        side = {"timm_reg_pos": 12, "hf_vit_mae_mlp": 16}.get(name, 8)
        given = {"pixels": torch.randn(2, 3, side, side)}
        if name == "hf_simmim":
            model.save_pretrained(folder)
            out = {"latent": model.vit(given["pixels"]).last_hidden_state}
        elif name == "hf_vit_mae_mlp":
            model.save_pretrained(folder)
            given["noise"] = torch.rand(2, 16)
            out = outputs("hf_vit_mae", model, **given)
        else:
            save_file(model.state_dict(), folder / "model.safetensors")
            out = outputs(name, model, **given)
        save_file({k: v.contiguous() for k, v in (given | out).items()}, folder / "expected.safetensors")


def compare(name, what, found, expected):
    for key, tensor in expected.items():
        error = ((found[key] - tensor).norm() / tensor.norm()).item()
        print(f"{name:12} {what:24} {key:8} relative error {error:.1e}")
        assert error < 1e-5, (name, what, key)


def check(program):
    heads = ["--heads", "2", "--decoder_heads", "4"]
    print("transformers", transformers.__version__)
    with tempfile.TemporaryDirectory() as scratch:
        for name, build in (HF_MODELS | TIMM_MODELS).items():
            if name == "hf_dinov2" and not hasattr(transformers, "Dinov2WithRegistersModel"):
                print(f"{name:12} not in this version")
                continue
            expected = load_file(OUT / name / "expected.safetensors")
            given = {k: expected.pop(k) for k in ("pixels", "noise") if k in expected}

            def convert(to, file, source=OUT / name):
                target = f"{scratch}/{name}_{to}{file}"
                subprocess.run([program, "convert", source, target, "--to", to, *heads], check=True)
                return target

            if name in HF_MODELS:
                # Through MAE's or timm's names and back: the real package opens what we write.
                between = convert("timm" if name == "hf_dinov2" else "mae", ".file")
                cls = type(build())
                again, told = cls.from_pretrained(convert(name, "", between),
                                                  output_loading_info=True)
                # The mask token serves DINOv2's own training alone, and is not kept.
                assert set(told["missing_keys"]) <= {"embeddings.mask_token"}, told
                assert not told["unexpected_keys"], told
                again.eval()
                compare(name, f"{cls.__name__}", outputs(name, again, **given), expected)
                # What this version saves, the program runs.
                again.save_pretrained(f"{scratch}/{name}_saved")
                save_file(given, f"{scratch}/in.safetensors")
                subprocess.run([program, "forward", "--checkpoint", f"{scratch}/{name}_saved",
                                "--input", f"{scratch}/in.safetensors",
                                "--output", f"{scratch}/out.safetensors"], check=True)
                compare(name, "forward of saved", load_file(f"{scratch}/out.safetensors"), expected)
            else:
                again = build().eval()
                again.load_state_dict(load_file(convert("timm", ".safetensors")))
                compare(name, "timm", outputs(name, again, **given), expected)
            if name == "hf_vit":  # timm opens an encoder that came from elsewhere
                config = build().config
                norm = functools.partial(torch.nn.LayerNorm, eps=config.layer_norm_eps)
                model = VisionTransformer(**TIMM, img_size=config.image_size, num_classes=3,
                                          norm_layer=norm).eval()
                model.load_state_dict(load_file(convert("timm", ".safetensors")))
                compare(name, "timm", outputs("timm_vit", model, **given), expected)
            if name == "hf_vit_mae":
                state = torch.load(convert("mae", ".pth"), weights_only=True)["model"]
                print(f"{name:12} torch.load: {len(state)} tensors, first {next(iter(state))}")


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["--check"] else make()
