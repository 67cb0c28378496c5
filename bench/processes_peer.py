"""Several processes on one machine: ours beside PyTorch's DistributedDataParallel over Gloo.

    python bench/processes_peer.py --ours build/bench_pretrain [--shapes base small] [--rounds 5] [--processes 2]

The same effective batch, in bf16, in one process of N threads and in N processes of one thread. Contenders take turns:
each is started anew in every round, and times a few steps after some to warm up. "summed" has gradients summed for all and AdamW stepped by all; "sharded", the
default of sgmae on one machine, has them summed where they are stepped. "alone" does without exchange, so that what a
step costs more with it is what backward does not hide; "exchange" is what it takes with nothing to hide behind. Both
DistributedDataParallel and one process of PyTorch train transformers' ViTMAEForPreTraining with a fused AdamW.

Requirements: torch==2.11.0 transformers==5.23.0
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from machine import add_options, environment, held, processor
from pretrain_peer import BATCH, model_of, training_step

STEPS = {"small": 8, "base": 3}
OURS = ["summed", "sharded", "alone"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(shape, threads):
    """One of the peer's processes: process 0 reads numbers of steps, and prints a JSON line when ready and for each."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    size = int(os.environ.get("WORLD_SIZE", 1))
    leads = os.environ.get("RANK", "0") == "0"
    model = model_of(shape).train()
    pixels = torch.randn(BATCH[shape] // size, 3, model.config.image_size, model.config.image_size)
    if size > 1:
        dist.init_process_group("gloo")
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    step = training_step(model, model, pixels, half=True)
    step()
    step()
    if leads:
        print("{}", flush=True)
    while True:
        line = [sys.stdin.readline() if leads else ""]
        if size > 1:
            dist.broadcast_object_list(line)
        if not line[0]:
            break
        start = time.perf_counter()
        for _ in range(int(line[0])):
            step()
        if leads:
            print(json.dumps({"seconds": (time.perf_counter() - start) / int(line[0])}), flush=True)
    if size > 1:
        dist.destroy_process_group()


class Contender:
    def __init__(self, name):
        self.name, self.times, self.exchanges = name, [], []

    def round(self, shape, options):
        name = self.name
        together = 1 if name.endswith("one process") else options.processes
        threads = options.processes // together
        if name.startswith("ours"):
            how = "alone" if together == 1 else name.split(", ")[1]
            command = [options.ours, shape, "bf16", str(BATCH[shape] // together), str(threads), how]
        else:
            command = [sys.executable, __file__, "--serve", shape, "--processes", str(threads)]
        env = environment(options, not name.startswith("ours"))
        if together > 1:
            env = env | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(together)}
        processes = []
        for rank in range(together):
            own = env if together == 1 else env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            own = own | {"OMP_NUM_THREADS": str(threads)}
            processes.append(subprocess.Popen(
                command, env=own, stdin=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
                stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL, text=True))  # fmt: skip
        leader = processes[0]
        leader.stdout.readline()
        leader.stdin.write(f"{STEPS[shape]}\n")
        leader.stdin.flush()
        answer = json.loads(leader.stdout.readline())
        leader.stdin.close()
        for process in processes:
            process.wait()
        self.times.append(answer["seconds"])
        self.exchanges.append(answer.get("exchange_seconds", 0))


def compare(shape, options):
    names = ["ours, one process"] + [f"ours, {how}" for how in OURS] + ["DDP", "PyTorch, one process"]
    contenders = [Contender(name) for name in names]
    for _ in range(options.rounds):
        for contender in contenders:
            contender.round(shape, options)
    by_name = {c.name: c for c in contenders}
    print(f"\n{shape}, bf16, effective batch {BATCH[shape]}, {options.processes} processes of 1 thread or 1 of {options.processes}, "
          f"{options.rounds} rounds{held(options)}")  # fmt: skip
    print(f"{'':22}{'images/s':>10} {'(min - max)':>19}{'/ one process':>15}{'/ DDP':>8}  exchange")
    one, ddp = by_name["ours, one process"].times, by_name["DDP"].times
    for c in contenders:
        rates = [BATCH[shape] / t for t in c.times]
        spread = f"({min(rates):.1f} - {max(rates):.1f})"
        # Ratios of neighbours in time, and their median.
        to_one, to_ddp = (statistics.median(a / b for a, b in zip(other, c.times)) for other in (one, ddp))
        line = f"{c.name:22}{statistics.median(rates):10.1f} {spread:>19}{to_one:14.2f}x{to_ddp:7.2f}x"
        if c.name in ("ours, summed", "ours, sharded"):
            line += f"  {1000 * statistics.median(c.exchanges):.0f} ms"
        if c.name == "ours, summed":  # which steps AdamW as the one without exchange does
            alone = by_name["ours, alone"].times
            hidden = statistics.median(1 - (a - b) / e for a, b, e in zip(c.times, alone, c.exchanges))
            line += f", of which {hidden:.0%} hidden"
        print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--shapes", nargs="+", choices=["base", "small"], default=["base", "small"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    add_options(parser)
    parser.add_argument("--serve", metavar="SHAPE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.processes)
    else:
        print(processor())
        for shape in options.shapes:
            compare(shape, options)
