#!/usr/bin/env bash
# One seed, one machine, one PyTorch: the initial weights depend on the processor's instruction set, the masks do not.
#
# One would guess: random numbers come from a Mersenne twister on the CPU, an integer algorithm, so one seed gives the
#   same weights on every x86-64 processor; or, if vector code changes results, then for all floating-point draws
#   alike.
# What happens: with ATEN_CPU_CAPABILITY=default (any x86-64) and avx2 or above, fp32 `randn` differs in a third of
#   its elements from 16 elements on, and not below 16, not into strided memory, not in fp64 or bf16. Of the
#   initialisers, `xavier_uniform_` (MAE's) and `kaiming_normal_` differ and `trunc_normal_` (timm's) does not.
#   `rand`, `randperm`, `bernoulli_`, `multinomial` and dropout, and so MAE's masks, are equal. A golden file of a
#   freshly initialised model holds for the machine it was made on; weights have to be stored, masks need not.
# Also against the guess: the variable works when set after `import torch`, up to the first operation that asks.
# Seen with: torch 2.11.0 on x86-64 with AVX-512; avx2 and avx512 give the same draws. Output:
#   set after the import: DEFAULT
#   differ: kaiming_normal_ 378, randn 387, xavier_uniform_ 562 of 1000 elements, at most 1.3e-06
#   equal: bernoulli_, dropout, mask by argsort, multinomial, rand, randn bf16, randn fp64, randn of 15, randn strided,
#     randperm, trunc_normal_
#   (how many elements differ is not checked, only that none does by 1e-4: the C library may have a part in it)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6

cat > "$work/draw.py" <<'PYTHON'
import os
import sys

import torch

if sys.argv[1] != "native":
    os.environ["ATEN_CPU_CAPABILITY"] = sys.argv[1]  # after the import on purpose
capability = torch.backends.cpu.get_cpu_capability()
torch.set_num_threads(1)
init, new = torch.nn.init, torch.empty
DRAWS = {
    "rand": lambda: torch.rand(1000),
    "randn": lambda: torch.randn(1000),
    "randn of 15": lambda: torch.randn(15),
    "randn strided": lambda: new(100, 10).t().normal_(),
    "randn fp64": lambda: torch.randn(1000, dtype=torch.float64),
    "randn bf16": lambda: torch.randn(1000, dtype=torch.bfloat16),
    "randperm": lambda: torch.randperm(1000),
    "bernoulli_": lambda: new(1000).bernoulli_(0.75),
    "multinomial": lambda: torch.multinomial(torch.ones(196), 147),
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(1000), 0.5),
    "mask by argsort": lambda: torch.rand(64, 196).argsort(1)[:, :49],
    "xavier_uniform_": lambda: init.xavier_uniform_(new(10, 100)),
    "kaiming_normal_": lambda: init.kaiming_normal_(new(10, 100)),
    "trunc_normal_": lambda: init.trunc_normal_(new(1000), std=0.02),
}
drawn = {}
for name, draw in DRAWS.items():
    torch.manual_seed(0)
    drawn[name] = draw()
torch.save({"capability": capability, "drawn": drawn}, sys.argv[2])
PYTHON
"$work/venv/bin/python" "$work/draw.py" default "$work/default.pt"
"$work/venv/bin/python" "$work/draw.py" native "$work/native.pt"

"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys

import torch

default, native = (torch.load(f"{sys.argv[1]}/{name}.pt") for name in ("default", "native"))
if not native["capability"].startswith("AVX"):
    print("SKIPPED: this processor has no AVX2")
    sys.exit(77)
differ, equal, furthest = {}, [], 0.0
for name, a in default["drawn"].items():
    b = native["drawn"][name]
    if torch.equal(a, b):
        equal.append(name)
    else:
        differ[name] = (a != b).sum().item()
        furthest = max(furthest, (a.double() - b.double()).abs().max().item())
print("set after the import:", default["capability"])
print("differ:", ", ".join(f"{name} {count}" for name, count in sorted(differ.items())),
      f"of 1000 elements, at most {furthest:.1e}")
print("equal:", ", ".join(sorted(equal)))
ok = (default["capability"] == "DEFAULT" and set(differ) == {"randn", "xavier_uniform_", "kaiming_normal_"}
      and furthest < 1e-4)
if not ok:
    print("CHANGED: not what was seen with torch 2.11.0")
sys.exit(0 if ok else 1)
PYTHON
