"""Training steps per second: ours beside transformers' ViTMAEForPreTraining under PyTorch.

    python bench/pretrain_peer.py --ours build/bench_pretrain [--shapes base small] [--rounds 5] [--threads 2]
        [--isa avx2] [--own_allocator] [--memory] [--maps build/bench_gpu]

One process per contender; they take turns, a few steps each, so that a busy machine disturbs all alike. A step is
forward, backward, AdamW (fused in PyTorch) and whatever the next step needs. Ratios are of images per second, ours
over the peer's. "matmul share" is the time of the step's linear layers as bare matrix products of the same library,
over our step's time. Peak memory is the process's largest resident set.

PyTorch gets the allocator settings that sgmae gives itself (freed memory is kept), or with --own_allocator those it
has by default. --isa holds all to fewer instructions than the processor has. --maps compares the pass that makes
relevance maps instead, with the paper's cut, to PyTorch's forward pass through the same blocks, without any cut.
--memory measures peak memory alone, one contender after another, also of models that do not fit beside each other,
such as ViT-L (large) and ViT-H/14 (huge): after three steps of ours and two of the peer's.

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

from machine import add_options, environment, held, processor

BATCH = {"small": 256, "base": 16, "large": 8, "huge": 8}
STEPS = {"small": 2, "base": 1, "large": 1, "huge": 1}
SIZES = {
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "huge": {
        "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120,
        "patch_size": 14},
}  # fmt: skip
PEERS = ["eager fp32", "eager bf16", "compile bf16"]
OURS = ["ours fp32", "ours bf16"]


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def model_of(shape, **more):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    common = {"norm_pix_loss": True, "layer_norm_eps": 1e-6} | more
    if shape in SIZES:
        return ViTMAEForPreTraining(ViTMAEConfig(image_size=224, **SIZES[shape], **common))
    return ViTMAEForPreTraining(ViTMAEConfig(
        image_size=64, patch_size=8, hidden_size=192, num_hidden_layers=8, num_attention_heads=3,
        intermediate_size=768, decoder_hidden_size=128, decoder_num_hidden_layers=4,
        decoder_num_attention_heads=4, decoder_intermediate_size=512, **common))  # fmt: skip


def training_step(model, forward, pixels, half):
    """A function that takes one step of the peer: forward pass, backward pass, AdamW."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16) if half else contextlib.nullcontext():
            loss = forward(pixels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def serve(contender, shape, threads):
    """The peer's process: a JSON line when ready, then one per line read (the number of steps to time)."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = model_of(shape).train()
    forward = torch.compile(model) if contender.startswith("compile") else model
    size = model.config.image_size
    pixels = torch.randn(BATCH[shape], 3, size, size)
    step = training_step(model, forward, pixels, contender.endswith("bf16"))
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
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(options, kind != "ours"))
        self.peak = json.loads(self.process.stdout.readline())["peak_mib"]

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


def compare_memory(shape, options):
    peak = {}
    for name in options.contenders:
        contender = Contender(name, shape, options)
        contender.close()
        peak[name] = contender.peak
    print(f"\npeak memory, {shape}, batch {BATCH[shape]}, {options.threads} threads{held(options)}")
    print(f"{'':14}{'MiB':>8}{'ours fp32':>11}{'ours bf16':>11}")
    for name, mib in peak.items():
        ratios = [f"{peak[ours] / mib:.2f}x" if ours in peak else "" for ours in OURS]
        print(f"{name:14}{mib:8.0f}{ratios[0]:>11}{ratios[1]:>11}", flush=True)


def serve_forward(shape, threads, rounds):
    """Seconds of an eager forward pass in bf16 through all blocks of the encoder, of whole images."""
    import torch

    torch.set_num_threads(threads)
    encoder = model_of(shape, mask_ratio=0.0).vit.eval()
    pixels = torch.randn(BATCH[shape], 3, encoder.config.image_size, encoder.config.image_size)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(pixels)
        start = time.perf_counter()
        for _ in range(rounds):
            encoder(pixels)
        print(json.dumps({"seconds": (time.perf_counter() - start) / rounds / BATCH[shape]}))


def compare_maps(shape, options):
    """Both take turns, a process each time."""
    env = environment(options, peer=True)
    env["OMP_NUM_THREADS"] = str(options.threads)
    ours = [options.maps, "cpu", "maps", shape, str(BATCH[shape]), "1"]
    peer = [sys.executable, __file__, "--serve", "forward", "--shapes", shape, "--threads", str(options.threads), "--rounds", "3"]
    rates = {"ours, paper's cut": [], "ours, by default": [], "eager forward": []}
    for _ in range(options.rounds):
        answer = json.loads(subprocess.run(ours, env=env, stdout=subprocess.PIPE, check=True).stdout)
        rates["ours, paper's cut"].append(1 / answer["paper"])
        rates["ours, by default"].append(1 / answer["hardest"])
        answer = json.loads(subprocess.run(peer, env=env, stdout=subprocess.PIPE, check=True).stdout)
        rates["eager forward"].append(1 / answer["seconds"])
    print(f"\nrelevance maps, {shape}, batch {BATCH[shape]}, bf16, {options.threads} threads, {options.rounds} rounds{held(options)}")
    floor = statistics.median(rates["eager forward"])
    for name, found in rates.items():
        spread = f"({min(found):.1f} - {max(found):.1f})"
        print(f"{name:20}{statistics.median(found):10.1f} {spread:>17}{statistics.median(found) / floor:10.2f}x", flush=True)


def compare(shape, options):
    contenders = [Contender(name, shape, options) for name in options.contenders]
    for _ in range(options.rounds):
        for contender in contenders:
            contender.round(STEPS[shape])
    for contender in contenders:
        contender.close()
    batch = BATCH[shape]
    median = {c.name: statistics.median(c.times) for c in contenders}
    print(f"\n{shape}, batch {batch}, {options.threads} threads, {options.rounds} rounds{held(options)}")
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
    parser.add_argument("--shapes", nargs="+", choices=BATCH, default=["base", "small"])
    parser.add_argument("--contenders", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    add_options(parser)
    parser.add_argument("--memory", action="store_true", help="measure peak memory alone")
    parser.add_argument("--maps", metavar="BENCH_GPU")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve == "forward":
        serve_forward(options.shapes[0], options.threads, options.rounds)
    elif options.serve:
        serve(options.serve, options.shapes[0], options.threads)
    else:
        print(processor())
        for shape in options.shapes:
            if options.maps:
                compare_maps(shape, options)
            elif options.memory:
                compare_memory(shape, options)
            else:
                compare(shape, options)
