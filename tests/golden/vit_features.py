"""Golden file for tests/nn/encoder_features_test.cpp: timm's VisionTransformer read at four depths, as dense
heads do: parameters and pixels in, the blocks' outputs out; then every gradient, that of the pixels
too, for given gradients of these outputs, summed by autograd.

Needs: torch==2.11.0 timm==1.0.31 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/vit_features.py
"""
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

BLOCKS = [1, 2, 4, 5]


def main():
    torch.manual_seed(0)
    model = VisionTransformer(img_size=(12, 20), patch_size=4, embed_dim=16, depth=7, num_heads=2,
                              mlp_ratio=2, num_classes=0, global_pool="token").eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    pixels = torch.randn(3, 3, 12, 20, requires_grad=True)
    features = model.forward_intermediates(pixels, indices=BLOCKS, return_prefix_tokens=True,
                                           output_fmt="NLC", intermediates_only=True)
    features = [torch.cat([prefix, patches], 1) for patches, prefix in features]
    dfeatures = [torch.randn_like(f) for f in features]
    torch.autograd.backward(features, dfeatures)

    tensors = {"pixels": pixels.detach(), "dpixels": pixels.grad}
    for block, feature, dfeature in zip(BLOCKS, features, dfeatures):
        tensors |= {f"feature.{block}": feature.detach(), f"dfeature.{block}": dfeature}
    for name, p in model.named_parameters():
        tensors["param." + name] = p.detach().clone()
        if p.grad is not None:  # none enters behind the last block that is read
            tensors["grad." + name] = p.grad
    save_file(tensors, "tests/golden/data/nn/vit_features.safetensors",
              metadata={"timm": timm.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
