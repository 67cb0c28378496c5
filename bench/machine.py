"""What the benches share: which processor this is, and what all contenders are held to."""

import os
import platform

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
