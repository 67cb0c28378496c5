"""Golden files for tests/nn/mae_test.cpp: transformers' ViTMAEForPreTraining at two sizes, with and
without norm_pix_loss: weights, pixels, noise in; latent, prediction, loss and every gradient out, all
under MAE's own names, and the gradient of the pixels.

Needs: torch==2.11.0 transformers==5.23.0 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/mae.py
"""
import torch
import transformers
from safetensors.torch import save_file
from transformers import ViTMAEConfig, ViTMAEForPreTraining

SIZES = {
    # square image, three channels; and a grey one with small patches
    "square": dict(image_size=(32, 32), num_channels=3, patch_size=8, hidden_size=32,
                   num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                   decoder_hidden_size=16, decoder_num_hidden_layers=2,
                   decoder_num_attention_heads=2, decoder_intermediate_size=64),
    "small_patch": dict(image_size=(28, 28), num_channels=1, patch_size=4, hidden_size=24,
                        num_hidden_layers=3, num_attention_heads=3, intermediate_size=96,
                        decoder_hidden_size=16, decoder_num_hidden_layers=1,
                        decoder_num_attention_heads=4, decoder_intermediate_size=64),
}


def mae_names(model, get):
    """{MAE name: get(parameter)} of transformers 5's in-memory layout; q, k, v joined."""
    out = {}
    p = dict(model.named_parameters())

    def block(source, target):
        a = source + "attention."
        for kind in ("weight", "bias"):
            out[f"{target}attn.qkv.{kind}"] = torch.cat([get(p[f"{a}{n}_proj.{kind}"]) for n in "qkv"])
            out[f"{target}attn.proj.{kind}"] = get(p[f"{a}o_proj.{kind}"])
            for ours, theirs in (("norm1", "layernorm_before"), ("norm2", "layernorm_after"),
                                 ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
                out[f"{target}{ours}.{kind}"] = get(p[f"{source}{theirs}.{kind}"])

    out["cls_token"] = get(p["vit.embeddings.cls_token"])
    out["mask_token"] = get(p["decoder.mask_token"])
    for kind in ("weight", "bias"):
        out[f"patch_embed.proj.{kind}"] = get(p[f"vit.embeddings.patch_embeddings.projection.{kind}"])
        out[f"norm.{kind}"] = get(p[f"vit.layernorm.{kind}"])
        for name in ("decoder_embed", "decoder_norm", "decoder_pred"):
            out[f"{name}.{kind}"] = get(p[f"decoder.{name}.{kind}"])
    for i in range(model.config.num_hidden_layers):
        block(f"vit.layers.{i}.", f"blocks.{i}.")
    for i in range(model.config.decoder_num_hidden_layers):
        block(next(n for n in p if n.startswith("decoder.") and f".{i}.layernorm_before.weight" in n)
              .removesuffix("layernorm_before.weight"), f"decoder_blocks.{i}.")
    return out


def main():
    torch.manual_seed(0)
    for name, sizes in SIZES.items():
        config = ViTMAEConfig(**sizes, layer_norm_eps=1e-6, mask_ratio=0.75, qkv_bias=True)
        model = ViTMAEForPreTraining(config)
        with torch.no_grad():  # larger than at the start of training, so that nothing is near zero
            for p in model.parameters():
                if p.requires_grad:
                    p.copy_(torch.randn_like(p) * 0.15 + (1.0 if p.ndim == 1 and p.mean() == 1 else 0.0))
        h, w = sizes["image_size"]
        pixels = torch.randn(3, sizes["num_channels"], h, w)
        noise = torch.rand(3, (h // sizes["patch_size"]) * (w // sizes["patch_size"]))
        tensors = {"param." + k: v.contiguous() for k, v in mae_names(model, lambda t: t.detach().clone()).items()}
        tensors |= {"pixels": pixels, "noise": noise,
                    "param.pos_embed": model.vit.embeddings.position_embeddings.detach().clone(),
                    "param.decoder_pos_embed": model.decoder.decoder_pos_embed.detach().clone()}
        for norm_pix in (False, True):
            model.config.norm_pix_loss = norm_pix
            model.zero_grad()
            given = pixels.clone().requires_grad_()
            out = model(given, noise=noise)
            out.loss.backward()
            tag = "norm_pix." if norm_pix else "plain."
            tensors[tag + "loss"] = out.loss.detach().reshape(1)
            tensors[tag + "dpixels"] = given.grad
            tensors |= {tag + "grad." + k: v.contiguous() for k, v in mae_names(model, lambda t: t.grad).items()}
        tensors["pred"] = out.logits.detach().contiguous()
        tensors["mask"] = out.mask.detach().contiguous()
        tensors["latent"] = model.vit(pixels, noise=noise).last_hidden_state.detach().contiguous()
        save_file(tensors, f"tests/golden/data/nn/mae_{name}.safetensors",
                  metadata={"transformers": transformers.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
