"""Golden files for tests of fine-tuning: loss and every gradient of timm's ViT, drop path included, and AdamW's steps.

Writes data/nn/classifier_{mean,cls}.safetensors and data/layer_decay.safetensors.
Requirements: torch==2.11.0 timm==1.0.31 safetensors==0.8.0
"""

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

DIM, DEPTH, HEADS, CLASSES = 8, 3, 2, 5


def model(pool):
    torch.manual_seed(3)
    vit = VisionTransformer(
        img_size=(8, 12), patch_size=4, in_chans=3, num_classes=CLASSES, global_pool="avg" if pool == "mean" else "token",
        embed_dim=DIM, depth=DEPTH, num_heads=HEADS, mlp_ratio=2, drop_path_rate=0.0,
        norm_layer=lambda dim, **_: torch.nn.LayerNorm(dim, eps=1e-6))  # fmt: skip
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (parameter.mean() > 0.5))
    return vit


class Scale(torch.nn.Module):
    """timm's drop path with its draws given: a factor per image."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor.view(-1, 1, 1)


def classifier(pool):
    vit, batch = model(pool), 4
    pixels = torch.randn(batch, 3, 8, 12)
    target = torch.softmax(torch.randn(batch, CLASSES), -1)
    tensors = {"pixels": pixels, "target": target}
    tensors |= {"param." + n: p.detach() for n, p in vit.named_parameters()}
    factors = torch.tensor([0.0, 1.25])[torch.randint(0, 2, (DEPTH, 2, batch))]
    tensors["factors"] = factors
    tensors |= {"plain.logits": vit(pixels).detach()}
    for block, (attention, mlp) in zip(vit.blocks, factors):
        block.drop_path1, block.drop_path2 = Scale(attention), Scale(mlp)
    logits = vit(pixels)
    loss = -(target * torch.log_softmax(logits, -1)).sum(-1).mean()
    loss.backward()
    tensors |= {"logits": logits.detach(), "loss": loss.detach().reshape(1)}
    tensors |= {"grad." + n: p.grad for n, p in vit.named_parameters()}
    save_file({n: t.contiguous() for n, t in tensors.items()}, f"tests/golden/data/nn/classifier_{pool}.safetensors")


def layer_decay():
    """Five AdamW steps under the groups of MAE's fine-tuning: scale decay^(depth + 1 - layer), no weight decay on 1-D
    tensors, cls_token and pos_embed."""
    shapes = {"cls_token": (1, 1, 6), "pos_embed": (1, 5, 6), "patch_embed.proj.weight": (6, 3, 2, 2),
              "patch_embed.proj.bias": (6,), "blocks.0.attn.qkv.weight": (18, 6), "blocks.1.norm1.weight": (6,),
              "blocks.1.mlp.fc1.weight": (12, 6), "fc_norm.weight": (6,), "head.weight": (4, 6), "head.bias": (4,)}  # fmt: skip
    layers = {"cls_token": 0, "pos_embed": 0, "patch_embed": 0, "blocks.0": 1, "blocks.1": 2, "fc_norm": 3, "head": 3}
    torch.manual_seed(1)
    tensors, groups = {}, []
    for name, shape in shapes.items():
        parameter = torch.nn.Parameter(torch.randn(shape))
        tensors["start." + name] = parameter.detach().clone()
        layer = next(layer for prefix, layer in layers.items() if name.startswith(prefix))
        exempt = len(shape) == 1 or name in ("cls_token", "pos_embed")
        groups.append({"params": [parameter], "name": name, "scale": 0.65 ** (3 - layer), "weight_decay": 0 if exempt else 0.05})
    optimizer = torch.optim.AdamW(groups, lr=1, betas=(0.9, 0.999))
    for step in range(5):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (step + 1) * group["scale"]
            (parameter,) = group["params"]
            parameter.grad = torch.randn_like(parameter)
            tensors[f"grad.{step}.{group['name']}"] = parameter.grad
        optimizer.step()
        for group in optimizer.param_groups:
            tensors[f"value.{step}.{group['name']}"] = group["params"][0].detach().clone()
    save_file(tensors, "tests/golden/data/layer_decay.safetensors")


if __name__ == "__main__":
    classifier("mean")
    classifier("cls")
    layer_decay()
