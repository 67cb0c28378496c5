#!/usr/bin/env bash
# PyTorch: torch.set_num_threads(n) starts n - 1 threads at once, beside those that then compute, and keeps them.
#
# One would guess: the call stores a number; the process has at most n threads that compute, and a smaller n later
#   makes them fewer.
# What happens: the call fills a second pool (that of XNNPACK and QNNPACK) with n - 1 sleeping threads, although no
#   operator of this program will ever use it. OpenMP's n - 1 come with the first large operation. A smaller n takes
#   OpenMP's threads away and none of the second pool's. So under a limit on threads (ulimit -u, a container's pids)
#   half as many fit as one asked for, and where the limit is met by OpenMP, the second to ask, libgomp ends the process.
# Seen with: torch 2.11.0, PyPI's wheel, Linux, Python 3.11; more threads than at the start:
#   set_num_threads(8): 7
#   a sum of four million numbers: 14
#   set_num_threads(3) and a sum: 9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6

cat >"$work/count.py" <<'PYTHON'
import os
import sys

import torch

ok = True
start = len(os.listdir("/proc/self/task"))


def add():
    torch.ones(1 << 22).sum()


def expect(after, more):
    global ok
    seen = len(os.listdir("/proc/self/task")) - start
    print(f"{after}: {seen}" if seen == more else f"CHANGED: {after}: {seen}, not {more}")
    ok = ok and seen == more


torch.set_num_threads(8)
expect("set_num_threads(8)", 7)
add()
expect("a sum of four million numbers", 14)
torch.set_num_threads(3)
add()
expect("set_num_threads(3) and a sum", 9)
sys.exit(0 if ok else 1)
PYTHON
"$work/venv/bin/python" "$work/count.py"
