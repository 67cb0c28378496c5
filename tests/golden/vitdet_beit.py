"""Golden files for tests/nn/attention_test.cpp and tests/checkpoint/open_model_test.cpp: VitDetBackbone and BeitModel of transformers at tiny
sizes, every parameter drawn at random: parameters under our names, pixels, tokens after the last
block (ViTDet) or the last norm (BEiT), and every gradient, the pixels' too, for a given gradient of
these tokens; and the tokens of images of another size, to which the models stretch their positions.

  vitdet_square: windows of 3 in blocks 0 and 2 on a grid of 5x5, absolute positions
  vitdet_wide:   windows of 4 in blocks 0 and 1 on a grid of 3x9, no absolute positions
  beit:          a table of relative positions in each block, LayerScale, no absolute positions

Needs: torch==2.11.0 transformers==5.23.0 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/vitdet_beit.py
"""
import torch
import transformers
from safetensors.torch import save_file
from transformers import BeitConfig, BeitModel, VitDetBackbone, VitDetConfig

SIZES = dict(hidden_size=16, num_attention_heads=2, patch_size=4, num_channels=3,
             layer_norm_eps=1e-6)
VITDETS = {
    "vitdet_square": dict(image_size=(20, 20), pretrain_image_size=20, window_size=3,
                          window_block_indices=[0, 2]),
    "vitdet_wide": dict(image_size=(12, 36), pretrain_image_size=20, window_size=4,
                        window_block_indices=[0, 1]),
}
VITDET_NAMES = [("embeddings.projection.", "patch_embed.proj."),
                ("embeddings.position_embeddings", "pos_embed"), ("encoder.layer.", "blocks."),
                (".attention.", ".attn.")]
BEIT_NAMES = [("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
              ("embeddings.cls_token", "cls_token"), ("layernorm_before", "norm1"),
              ("layernorm_after", "norm2"), ("layernorm.", "norm."), ("layers.", "blocks."),
              ("lambda_1", "ls1.gamma"), ("lambda_2", "ls2.gamma"), (".attention.", ".attn."),
              ("relative_position_bias.relative", "attn.relative"), ("o_proj", "proj")]


def draw(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
        for name, p in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                p.add_(1.0)


def renamed(name, pairs):
    for theirs, ours in pairs:
        name = name.replace(theirs, ours)
    return name


def save(name, model, rename, tokens_of, size, other_size):
    pixels, others = torch.randn(2, 3, *size), torch.randn(1, 3, *other_size)
    tokens = tokens_of(pixels.requires_grad_())
    dtokens = torch.randn_like(tokens)
    tokens.backward(dtokens)
    tensors = {"pixels": pixels.detach(), "dpixels": pixels.grad, "tokens": tokens.detach().clone().contiguous(),
               "dtokens": dtokens, "resized.pixels": others,
               "resized.tokens": tokens_of(others).detach()}
    tensors |= rename("param.", {k: p.detach() for k, p in model.named_parameters()})
    tensors |= rename("grad.", {k: p.grad for k, p in model.named_parameters()})
    save_file({k: v.clone().contiguous() for k, v in tensors.items()},
              f"tests/golden/data/nn/{name}.safetensors",
              metadata={"transformers": transformers.__version__, "torch": torch.__version__})


def rename_vitdet(prefix, tensors):
    # A row for a class token that ViTDet does not have is left out of the positions.
    return {prefix + renamed(k, VITDET_NAMES): v[:, 1:] if "position_embeddings" in k else v
            for k, v in tensors.items()}


def rename_beit(prefix, tensors):
    # Queries, keys and values together; BEiT has no bias of keys.
    native = {}
    for key, value in tensors.items():
        name = renamed(key, BEIT_NAMES)
        if "q_proj" not in name and "k_proj" not in name and "v_proj" not in name:
            native[prefix + name] = value
        elif "q_proj.weight" in name:
            native[prefix + name.replace("q_proj", "qkv")] = torch.cat(
                [tensors[key.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")])
        elif "q_proj.bias" in name:
            native[prefix + name.replace("q_proj", "qkv")] = torch.cat(
                [value, torch.zeros_like(value), tensors[key.replace("q_proj", "v_proj")]])
    return native


def main():
    torch.manual_seed(0)
    for name, sizes in VITDETS.items():
        model = VitDetBackbone(VitDetConfig(
            num_hidden_layers=3, mlp_ratio=2, use_relative_position_embeddings=True,
            out_features=["stage3"], **sizes, **SIZES)).eval()
        if name == "vitdet_wide":  # which 5.23.0 cannot build without them
            model.embeddings.position_embeddings = None
        draw(model)
        save(name, model, rename_vitdet,  # feature maps are [B, D, rows, columns]
             lambda x: model(x).feature_maps[-1].flatten(2).transpose(1, 2),
             sizes["image_size"], (28, 24))
    model = BeitModel(BeitConfig(
        num_hidden_layers=2, intermediate_size=24, image_size=16, use_relative_position_bias=True,
        use_absolute_position_embeddings=False, layer_scale_init_value=0.1,
        use_mean_pooling=False, **SIZES), add_pooling_layer=False).eval()
    draw(model)
    save("beit", model, rename_beit, lambda x: model(x).last_hidden_state, (16, 16), (24, 24))


if __name__ == "__main__":
    main()
