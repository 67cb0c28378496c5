"""Fine-tuning steps per second: ours beside timm's ViT-S/16 (224 px, batch 32) under PyTorch.

    python bench/finetune_peer.py --ours build/bench_finetune [--batch 32] [--rounds 5] [--threads 2]

One process per contender; they take turns, a step each, so that a busy machine disturbs all alike. A step is mixup or
cutmix, forward with drop path 0.1, soft cross-entropy, backward, AdamW with layer decay (fused in PyTorch). Ratios are
of images per second, ours over the peer's. "CPU s" is processor time of a step, all threads together: with one thread
it is what to compare on a busy machine. Peak memory is the process's largest resident set. PyTorch gets the allocator
settings that sgmae gives itself (freed memory is kept), or with --own_allocator those it has by default.

Requirements: torch==2.11.0 timm==1.0.31
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time

from machine import add_options, environment, held, processor

PEERS = ["eager fp32", "eager bf16"]
OURS = ["ours fp32", "ours bf16"]


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(contender, batch, threads):
    """The peer's process: a JSON line when ready, then one per line read (the number of steps to time)."""
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

    step()
    step()
    print(json.dumps({"peak_mib": peak_mib()}), flush=True)
    for line in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        seconds, cpu = (time.perf_counter() - start) / int(line), (time.process_time() - used) / int(line)
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}), flush=True)


class Contender:
    def __init__(self, name, options):
        kind, precision = name.split()
        if kind == "ours":
            command = [options.ours, precision, str(options.batch), str(options.threads)]
        else:
            command = [sys.executable, __file__, "--serve", name, "--batch", str(options.batch), "--threads", str(options.threads)]
        self.name, self.times, self.cpu = name, [], []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(options, kind != "ours"))
        json.loads(self.process.stdout.readline())  # ready

    def round(self):
        self.process.stdin.write("1\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.times.append(answer["seconds"])
        self.cpu.append(answer["cpu_seconds"])
        self.peak = answer["peak_mib"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(options):
    contenders = [Contender(name, options) for name in options.contenders]
    for _ in range(options.rounds):
        for contender in contenders:
            contender.round()
    for contender in contenders:
        contender.close()
    median = {c.name: statistics.median(c.times) for c in contenders}
    print(f"\nViT-S/16, 224 px, batch {options.batch}, {options.threads} threads, {options.rounds} rounds{held(options)}")
    print(f"{'':14}{'images/s':>10} {'(min - max)':>17}{'ours fp32':>11}{'ours bf16':>11}{'CPU s':>8}{'peak MiB':>10}")
    for c in contenders:
        rates = [options.batch / t for t in c.times]
        ratios = [f"{median[c.name] / median[ours]:.2f}x" if ours in median else "" for ours in OURS]
        spread = f"({min(rates):.1f} - {max(rates):.1f})"
        print(f"{c.name:14}{options.batch / median[c.name]:10.1f} {spread:>17}{ratios[0]:>11}{ratios[1]:>11}{statistics.median(c.cpu):8.2f}{c.peak:10.0f}")


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
