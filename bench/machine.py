"""What the benches share: which processor this is, and what all contenders are held to."""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

# What holds ours, LibTorch and the libraries inside it to an instruction set.
ISA = {
    "avx2": {"SGMAE_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {
        "SGMAE_ISA": "avx512", "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
}  # fmt: skip
KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 60)}


def processor():
    """Its name and those of its instruction sets that matter here."""
    try:
        with open("/proc/cpuinfo") as file:
            facts = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines())
    except OSError:
        return platform.processor()
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return f"{facts.get('model name', '?')}, family {facts.get('cpu family')} model {facts.get('model')}: {' '.join(known)}"


def environment(options, peer):
    added = ISA.get(options.isa, {})
    if peer and not options.own_allocator:
        added = added | KEEP_FREED_MEMORY
    return os.environ | added


def held(options):
    return (f", held to {options.isa}" if options.isa else "") + (", PyTorch's own allocator settings" if options.own_allocator else "")


def add_options(parser):
    parser.add_argument("--isa", choices=ISA, help="hold all to fewer instructions than the processor has")
    parser.add_argument("--own_allocator", action="store_true", help="PyTorch with the allocator settings that it has by default")


def start(command, env):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


class Contender:
    """A process that prints a JSON line when it is ready, then one for each line it reads: the number of steps to
    time. They take turns, a step each, so that a busy machine disturbs all alike."""

    def __init__(self, name, command, env):
        self.name, self.times, self.cpu, self.peak = name, [], [], 0
        self.process = start(command, env)
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


def serve_steps(step):
    """The other end, for a peer in Python."""
    step()
    step()
    print(json.dumps({"peak_mib": peak_mib()}), flush=True)
    for line in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        seconds, cpu = (time.perf_counter() - start) / int(line), (time.process_time() - used) / int(line)
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}), flush=True)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare_contenders(contenders, rounds, ours, images):
    """Lets them take turns, and prints a table: images per second and ratios of ours (names) to each."""
    for _ in range(rounds):
        for contender in contenders:
            contender.round()
    for contender in contenders:
        contender.close()
    median = {c.name: statistics.median(c.times) for c in contenders}
    print(f"{'':16}{'images/s':>10} {'(min - max)':>17}" + "".join(f"{name:>11}" for name in ours) +
          f"{'CPU s':>8}{'peak MiB':>10}")
    for c in contenders:
        rates = [images / t for t in c.times]
        ratios = "".join(f"{median[c.name] / median[name]:.2f}x".rjust(11) if name in median else " " * 11
                         for name in ours)
        spread = f"({min(rates):.2f} - {max(rates):.2f})"
        print(f"{c.name:16}{images / median[c.name]:10.2f} {spread:>17}{ratios}{statistics.median(c.cpu):8.2f}{c.peak:10.0f}")


OURS, PEERS = ["ours fp32", "ours bf16"], ["eager fp32", "eager bf16", "compiled fp32", "compiled bf16"]


def step_bench(script, model, works, serve, images):
    """Of a model at --batch images of --side pixels: `script --ours BINARY` compares, `script --serve NAME`, which that
    calls, is a peer's process, serve(kind, precision, options). images(options): of a step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--contenders", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--work", choices=works, default=works[0])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    add_options(parser)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        import torch

        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        return serve(*options.serve.split(), options)

    def contender(name):
        kind, precision = name.split()
        sizes = ["--work", options.work, "--batch", str(options.batch), "--side", str(options.side), "--threads",
                 str(options.threads)]
        command = ([options.ours, precision, *sizes[1::2]] if kind == "ours"
                   else [sys.executable, script, "--serve", name, *sizes])
        return Contender(name, command, environment(options, kind != "ours"))

    print(processor())
    contenders = [contender(name) for name in options.contenders]
    print(f"\n{options.work}: {model}, {options.side} px, batch {options.batch}, {options.threads} threads, "
          f"{options.rounds} rounds{held(options)}")
    compare_contenders(contenders, options.rounds, OURS, images(options))


def autocast(precision):
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
