"""Golden files for tests/nn/vit_test.cpp: timm's VisionTransformer at tiny sizes with random
weights: parameters, pixels, tokens after the last norm, class scores, and every gradient for a given
gradient of the tokens.

  pool: mean pooling with fc_norm and a head (MAE's fine-tuning), an image that is not square, and a
        given drop path factor per image and branch
  dino: LayerScale and register tokens (DINOv2), a head on the class token

Needs: torch==2.11.0 timm==1.0.31 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/vit.py
"""
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

SIZES = dict(patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3)
MODELS = {
    "pool": dict(img_size=(8, 12), global_pool="avg", **SIZES),
    "dino": dict(img_size=(8, 8), init_values=0.5, reg_tokens=2, no_embed_class=False, **SIZES),
}


class Scaled(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor[:, None, None]


def main():
    torch.manual_seed(0)
    for name, sizes in MODELS.items():
        model = VisionTransformer(**sizes).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p) * 0.2)
        if name == "dino":  # DINOv2 gives registers no position, its class token one
            pos = model.pos_embed
            n = pos.shape[1] - 2
            model.pos_embed = torch.nn.Parameter(torch.cat([pos[:, :1], pos[:, 3:]], 1).detach())
            def embed(x, m=model):
                x = torch.cat([m.cls_token.expand(len(x), -1, -1), x.flatten(1, -2)], 1) + m.pos_embed
                return torch.cat([x[:, :1], m.reg_token.expand(len(x), -1, -1), x[:, 1:]], 1)
            model._pos_embed = embed
        pixels = torch.randn(3, 3, *sizes["img_size"])
        tensors = {"param." + k: v.detach().clone() for k, v in model.named_parameters()}
        tensors["pixels"] = pixels
        tensors["logits"] = model(pixels).detach()
        prefix = 1 + sizes.get("reg_tokens", 0)
        tokens = model.forward_features(pixels).detach()
        tensors["tokens"] = torch.cat([tokens[:, :1], tokens[:, prefix:]], 1).contiguous()
        if name == "pool":
            for i, block in enumerate(model.blocks):
                for branch in (1, 2):
                    factor = torch.tensor([[0.0, 2.0, 2.0], [2.0, 2.0, 0.0]][(i + branch) % 2])
                    setattr(block, f"drop_path{branch}", Scaled(factor))
                    tensors[f"drop_path.{i}.{branch}"] = factor
        dtokens = torch.randn_like(tokens)
        model.zero_grad()
        model.forward_features(pixels).backward(dtokens)
        tensors["dtokens"] = dtokens
        tensors |= {"grad." + k: p.grad for k, p in model.named_parameters() if p.grad is not None}
        save_file(tensors, f"tests/golden/data/nn/vit_{name}.safetensors",
                  metadata={"timm": timm.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
