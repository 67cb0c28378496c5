"""Fine-tuning steps per second: ours beside timm's ViT-S/16 (224 px, batch 32) under PyTorch.

    python bench/finetune_peer.py --ours build/bench_finetune [--batch 32] [--rounds 5] [--threads 2]

One process per contender; they take turns, a step each. A step is mixup or
cutmix, forward with drop path 0.1, soft cross-entropy, backward, AdamW with layer decay (fused in PyTorch). Ratios are
of images per second, ours over the peer's. "CPU s" is processor time of a step, all threads together: with one thread
it is what to compare on a busy machine. Peak memory is the process's largest resident set. PyTorch gets the allocator
settings that sgmae gives itself (freed memory is kept), or with --own_allocator those it has by default.

Requirements: torch==2.11.0 timm==1.0.31
"""

import argparse
import contextlib
import sys

from machine import Contender, add_options, compare_contenders, environment, held, processor, serve_steps

PEERS = ["eager fp32", "eager bf16"]
OURS = ["ours fp32", "ours bf16"]


def serve(contender, batch, threads):
    """The peer's process."""
    import timm
    import torch
    from timm.data import Mixup
    from timm.loss import SoftTargetCrossEntropy
    from timm.optim import param_groups_layer_decay

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch16_224", global_pool="avg", drop_path_rate=0.1, num_classes=1000).train()
    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.65)
    for group in groups:
        group["lr"] = 1e-4 * group.pop("lr_scale")
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), fused=True)
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=1000)
    criterion = SoftTargetCrossEntropy()
    half = contender.endswith("bf16")
    images, label = torch.randn(batch, 3, 224, 224), torch.arange(batch)

    def step():
        pixels, target = mixup(images.clone(), label)
        with torch.autocast("cpu", dtype=torch.bfloat16) if half else contextlib.nullcontext():
            loss = criterion(model(pixels), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    serve_steps(step)


def contender(name, options):
    kind, precision = name.split()
    if kind == "ours":
        command = [options.ours, precision, str(options.batch), str(options.threads)]
    else:
        command = [sys.executable, __file__, "--serve", name, "--batch", str(options.batch), "--threads", str(options.threads)]
    return Contender(name, command, environment(options, kind != "ours"))


def compare(options):
    contenders = [contender(name, options) for name in options.contenders]
    print(f"\nViT-S/16, 224 px, batch {options.batch}, {options.threads} threads, {options.rounds} rounds{held(options)}")
    compare_contenders(contenders, options.rounds, OURS, options.batch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--contenders", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    add_options(parser)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.batch, options.threads)
    else:
        print(processor())
        compare(options)
