"""Training steps per second: ours beside transformers' ViTMAEForPreTraining under PyTorch.

    python bench/pretrain_peer.py --ours build/bench_pretrain [--shapes base small] [--rounds 5] [--threads 2]

One process per contender; they take turns, a few steps each, so that a busy machine disturbs all alike. A step is
forward, backward, AdamW (fused in PyTorch) and whatever the next step needs. Ratios are of images per second, ours
over the peer's. "matmul share" is the time of the step's linear layers as bare matrix products of the same library,
over our step's time. Peak memory is the process's largest resident set.

Requirements: torch==2.11.0 transformers==5.23.0
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time

BATCH = {"base": 16, "small": 256}
STEPS = {"base": 1, "small": 2}
PEERS = ["eager fp32", "eager bf16", "compile bf16"]
OURS = ["ours fp32", "ours bf16"]


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(contender, shape, threads):
    """The peer's process: a JSON line when ready, then one per line read (the number of steps to time)."""
    import torch
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    common = {"norm_pix_loss": True, "layer_norm_eps": 1e-6}
    if shape == "base":
        config = ViTMAEConfig(image_size=224, **common)
    else:
        config = ViTMAEConfig(
            image_size=64, patch_size=8, hidden_size=192, num_hidden_layers=8, num_attention_heads=3,
            intermediate_size=768, decoder_hidden_size=128, decoder_num_hidden_layers=4,
            decoder_num_attention_heads=4, decoder_intermediate_size=512, **common)  # fmt: skip
    model = ViTMAEForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    forward = torch.compile(model) if contender.startswith("compile") else model
    half = contender.endswith("bf16")
    pixels = torch.randn(BATCH[shape], 3, config.image_size, config.image_size)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16) if half else contextlib.nullcontext():
            loss = forward(pixels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    step()
    step()
    print(json.dumps({"peak_mib": peak_mib()}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(json.dumps({"seconds": (time.perf_counter() - start) / int(line), "peak_mib": peak_mib()}), flush=True)


class Contender:
    def __init__(self, name, shape, options):
        kind, precision = name.split()
        if kind == "ours":
            command = [options.ours, shape, precision, str(BATCH[shape]), str(options.threads)]
        else:
            command = [sys.executable, __file__, "--serve", name, "--shapes", shape, "--threads", str(options.threads)]
        self.name, self.times, self.products = name, [], []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        json.loads(self.process.stdout.readline())  # ready

    def round(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.times.append(answer["seconds"])
        self.products.append(answer.get("product_seconds", 0))
        self.peak = answer["peak_mib"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(shape, options):
    contenders = [Contender(name, shape, options) for name in options.contenders]
    for _ in range(options.rounds):
        for contender in contenders:
            contender.round(STEPS[shape])
    for contender in contenders:
        contender.close()
    batch = BATCH[shape]
    median = {c.name: statistics.median(c.times) for c in contenders}
    print(f"\n{shape}, batch {batch}, {options.threads} threads, {options.rounds} rounds")
    print(f"{'':14}{'images/s':>10} {'(min - max)':>17}{'ours fp32':>11}{'ours bf16':>11}{'peak MiB':>10}  matmul share")
    for c in contenders:
        rates = [batch / t for t in c.times]
        ratios = [f"{median[c.name] / median[ours]:.2f}x" if ours in median else "" for ours in OURS]
        share = f"{statistics.median(c.products) / median[c.name]:.0%}" if c.name in OURS else ""
        spread = f"({min(rates):.1f} - {max(rates):.1f})"
        print(f"{c.name:14}{batch / median[c.name]:10.1f} {spread:>17}{ratios[0]:>11}{ratios[1]:>11}{c.peak:10.0f}  {share}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--shapes", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--contenders", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.shapes[0], options.threads)
    else:
        for shape in options.shapes:
            compare(shape, options)
