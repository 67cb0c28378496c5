"""./dev gpu: what one machine with an NVIDIA GPU makes of sgmae, as a Markdown page (docs/gpu.md says what for).

    python bench/gpu.py --ours build/bench_gpu --sgmae build/sgmae --tests build/gpu-tests.txt --report FILE
                        [--device cuda:0] [--minutes 8] [--shapes base small large huge] [--batches 64 256]

Steps are forward, backward, AdamW and a read of the loss, in bf16: ours with and without CUDA graphs beside
transformers' ViTMAE under PyTorch, eager and compiled, with fused AdamW. One process each, one after the other, each
with the GPU to itself. Where memory is short the batch is halved for all. What the minutes do not suffice for is
left out, last things first, and the page says so.

Requirements: torch==2.11.0 transformers==5.23.0
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEERS = ["eager", "compiled"]
OURS = ["ours", "ours, graphs"]
CONTENDERS = OURS + PEERS
SHORT_OF_MEMORY = "out of memory"


def serve(contender, shape, batch, steps, device):
    """The peer's process: prints one JSON line."""
    import torch
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    common = {"norm_pix_loss": True, "layer_norm_eps": 1e-6}

    def sizes(dim, depth, heads, decoder_dim=512, decoder_depth=8, decoder_heads=16):
        return {
            "hidden_size": dim, "num_hidden_layers": depth, "num_attention_heads": heads, "intermediate_size": 4 * dim,
            "decoder_hidden_size": decoder_dim, "decoder_num_hidden_layers": decoder_depth,
            "decoder_num_attention_heads": decoder_heads, "decoder_intermediate_size": 4 * decoder_dim,
        }  # fmt: skip

    config = ViTMAEConfig(**common, **{
        "base": {"image_size": 224, **sizes(768, 12, 12)},
        "large": {"image_size": 224, **sizes(1024, 24, 16)},
        "huge": {"image_size": 224, "patch_size": 14, **sizes(1280, 32, 16)},
        "small": {"image_size": 64, "patch_size": 8, **sizes(192, 8, 3, 128, 4, 4)},
        "tiny": {"image_size": 32, "patch_size": 8, **sizes(32, 2, 4, 16, 1, 2)},
    }[shape])  # fmt: skip
    cuda = device.startswith("cuda")
    model = ViTMAEForPreTraining(config).train().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    forward = torch.compile(model) if contender == "compiled" else model
    pixels = torch.randn(batch, 3, config.image_size, config.image_size)
    pixels = pixels.pin_memory() if cuda else pixels

    def step():
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            loss = forward(pixels.to(device, non_blocking=True)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    try:
        for _ in range(5):
            step()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            for _ in range(steps):
                step()
            times.append((time.perf_counter() - start) / steps)
    except torch.OutOfMemoryError:
        sys.exit(SHORT_OF_MEMORY)
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else 0
    print(json.dumps({"seconds": statistics.median(times), "peak_mib": peak}))


class Shortage(Exception):
    """Of memory."""


def ask(command):
    """The last line that a program prints, which is JSON; None where it fails, which is said."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    if SHORT_OF_MEMORY in result.stderr.lower():
        raise Shortage
    print(f"{' '.join(map(str, command))} failed:\n{result.stderr[-2000:]}", file=sys.stderr)
    return None


class Bench:
    def __init__(self, options):
        self.options = options
        self.deadline = time.monotonic() + 60 * options.minutes
        self.rows = []  # (shape, batch, {contender: result or None})
        self.left_out = []

    def late(self, what):
        if time.monotonic() < self.deadline:
            return False
        self.left_out.append(what)
        return True

    def ours(self, *words):
        return ask([self.options.ours, self.options.device, *words])

    def time_contender(self, contender, shape, batch):
        steps = self.options.steps
        if contender in OURS:
            return self.ours("graph" if "graphs" in contender else "step", shape, batch, steps)
        here = [sys.executable, __file__, "--serve", contender, "--shapes", shape, "--batches", batch]
        return ask([*here, "--steps", steps, "--device", self.options.device])

    def compare(self, shape, batch, contenders):
        """One row; with half the batch where memory is short."""
        print(f"{shape}, batch {batch}", file=sys.stderr, flush=True)
        found = {}
        try:
            for contender in contenders:
                if not self.late(f"{shape}, batch {batch}, {contender}"):
                    found[contender] = self.time_contender(contender, shape, batch)
        except Shortage:
            if batch > 1:
                return self.compare(shape, batch // 2, contenders)
            found[contender] = None
        if found:
            self.rows.append((shape, batch, found))

    def rate(self, shape, contender):
        """The most images per second that the contender trains of the shape; 0 where it was not timed."""
        rows = [(batch, found.get(contender)) for of, batch, found in self.rows if of == shape]
        return max((batch / result["seconds"] for batch, result in rows if result), default=0)


def describe(device):
    if not device.startswith("cuda"):
        return "no GPU: a trial of this script"
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version,power.limit", "--format=csv,noheader"]
    index = device.partition(":")[2] or "0"
    return subprocess.run([*query, f"--id={index}"], capture_output=True, text=True).stdout.strip()


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def step_rows(bench, matrix_rate):
    for shape, batch, found in bench.rows:
        flop = next((r["flop_per_image"] for c, r in found.items() if c in OURS and r), 0)
        for contender, result in found.items():
            if not result:
                yield [shape, str(batch), contender, "failed", "", "", "", ""]
                continue
            images = batch / result["seconds"]
            best = max((batch / found[c]["seconds"] for c in OURS if found.get(c)), default=0)
            share = f"{images * flop * 1e-12 / matrix_rate:.0%}" if flop and matrix_rate else ""
            yield [shape, str(batch), contender, f"{1e3 * result['seconds']:.2f}", f"{images:.1f}",
                   f"{best / images:.2f}x", share, f"{result['peak_mib']:.0f}"]  # fmt: skip


def goal_rows(bench, matrix_rate, maps):
    base, small = (max(bench.rate(shape, ours) for ours in OURS) for shape in ["base", "small"])
    flop = next((r["flop_per_image"] for s, _, f in bench.rows if s == "base" for r in [f.get("ours")] if r), 0)
    goals = [
        ("ViT-B over compiled PyTorch", base, bench.rate("base", "compiled"), 1.3, True),
        ("ViT-B, share of the matrix rate", base * flop * 1e-12, matrix_rate, 0.5, True),
        ("small model over eager PyTorch", small, bench.rate("small", "eager"), 3.0, True),
        ("map pass over a training epoch", (maps or {}).get("hardest", 0), 1 / base if base else 0, 0.6, False),
    ]
    for name, value, of, goal, least in goals:
        if not value or not of:
            yield [name, f"{'at least' if least else 'at most'} {goal}", "not measured", ""]
            continue
        met = value / of >= goal if least else value / of <= goal
        yield [name, f"{'at least' if least else 'at most'} {goal}", f"{value / of:.2f}", "yes" if met else "NO"]


def guided_run(options):
    """A short self-guided run on Fashion-MNIST, as ./dev demo makes it."""
    with tempfile.TemporaryDirectory() as folder:
        return ask([options.sgmae, "pretrain", "--config", "fashion_mnist_sgmae", "--device", options.device,
                    "--output_dir", Path(folder) / "run", "--json", *options.run_options])  # fmt: skip


def main(options):
    bench = Bench(options)
    matrix = bench.ours("rate", options.matrix)
    matrix_rate = matrix["tflop_per_s"] if matrix else 0
    print(f"matrix products: {matrix_rate} TFLOP/s", file=sys.stderr)
    guided = guided_run(options)
    maps = None
    for shape in options.shapes:
        for batch in options.batches:
            bench.compare(shape, batch, CONTENDERS)
        if shape == options.shapes[0] and not bench.late("map pass"):
            with contextlib.suppress(Shortage):
                maps = bench.ours("maps", shape, options.batches[0], options.steps)

    revision = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    page = [f"# On a GPU: {describe(options.device)}\n",
            f"Made by `./dev gpu` ({time.strftime('%Y-%m-%d')}, revision {revision}); docs/gpu.md says what it "
            "proves.\n",
            "## Tests\n", "```", Path(options.tests).read_text().strip() if options.tests else "not run", "```\n",
            "## Goals\n", table(["goal", "", "found", "met"], goal_rows(bench, matrix_rate, maps)),
            "## Steps\n",
            f"bf16 products of {options.matrix} x {options.matrix} matrices: {matrix_rate:.1f} TFLOP/s. \"ours over\" "
            "is our images/s over the row's, \"of the matrix rate\" the model's arithmetic over what those products "
            "could do in that time.\n",
            table(["model", "batch", "", "ms a step", "images/s", "ours over", "of the matrix rate", "peak MiB"],
                  step_rows(bench, matrix_rate))]  # fmt: skip
    if bench.left_out:
        page.append("Left out for want of time: " + "; ".join(bench.left_out) + ".\n")
    page.append("## Guidance\n")
    if maps:
        page.append(f"Relevance maps, {options.shapes[0]}: {1 / maps['hardest']:.0f} images/s as by default, "
                    f"{1 / maps['paper']:.0f} with the paper's cut.\n")  # fmt: skip
    if guided:
        page.append(f"A short self-guided run on Fashion-MNIST: loss {guided['train_loss']:.4f}, 20 nearest "
                    f"neighbours right {100 * guided['knn_acc1']:.1f} % ({100 * guided['knn_acc1_before']:.1f} % "
                    f"untrained), {guided['img_per_s']:.0f} images/s, {guided['skipped_steps']} steps skipped.\n")  # fmt: skip
    else:
        page.append("The self-guided run FAILED.\n")
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text("\n".join(page))
    print(f"report: {options.report}")
    steps_ran = all(result for _, _, found in bench.rows for result in found.values())
    return 0 if guided and matrix and maps and steps_ran else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--sgmae")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--tests", help="a file that holds what the tests said")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=8, help="after which nothing more is begun")
    parser.add_argument("--shapes", nargs="+", default=["base", "small", "large", "huge"])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--steps", type=int, default=10, help="of which a time is the mean; three such, the median")
    parser.add_argument("--matrix", type=int, default=8192)
    parser.add_argument("--run_options", nargs=argparse.REMAINDER, default=[], help="of the guided run; last")
    parser.add_argument("--serve", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.shapes[0], options.batches[0], options.steps, options.device)
    else:
        sys.exit(main(options))
