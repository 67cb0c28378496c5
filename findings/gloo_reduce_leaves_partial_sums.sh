#!/usr/bin/env bash
# reduce() to one member of a Gloo group overwrites the tensors of the others with sums over some of the members.
#
# One would guess: what only process dst receives ("Only the process with rank dst is going to receive the final
#   result") leaves the tensors of the others as they were, since they are inputs there; or it changes all of their
#   numbers alike.
# What happens: the ring works in place. Afterwards each other member's tensor holds, piece by piece, its own number, the
#   finished sum, and sums over the two or three members that the piece had passed by then; which piece holds what
#   depends on the rank, and for one number alone it is another partial sum again. A gradient that is accumulated on
#   after a reduce must be cleared first, and a test with equal inputs of zero does not show it.
# Seen with: torch 2.11.0 (CPU). Members hold rank + 1; numbers found afterwards. Output:
#   4 members, 1000 numbers, to rank 0: rank 0 holds 10; rank 1 holds 2 5 9 10; rank 2 holds 3 7 8 10; rank 3 holds 4 5 7 10
#   4 members, 1 number, to rank 0: rank 0 holds 10; rank 1 holds 9; rank 2 holds 7; rank 3 holds 4
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6

cat > "$work/show.py" <<'PYTHON'
import multiprocessing
import socket
import sys
from datetime import timedelta

import torch
import torch.distributed as dist

EXPECTED = {
    1000: {0: [10], 1: [2, 5, 9, 10], 2: [3, 7, 8, 10], 3: [4, 5, 7, 10]},
    1: {0: [10], 1: [9], 2: [7], 3: [4]},
}


def member(rank, size, port, found):
    store = dist.TCPStore("127.0.0.1", port, size, rank == 0, timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    for count in EXPECTED:
        values = torch.full((count,), rank + 1.0)
        dist.reduce(values, dst=0)
        found.put((count, rank, sorted(set(values.int().tolist()))))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = multiprocessing.Queue()
    members = [multiprocessing.Process(target=member, args=(rank, 4, port, found)) for rank in range(4)]
    for process in members:
        process.start()
    seen = {count: {} for count in EXPECTED}
    for _ in range(4 * len(EXPECTED)):
        count, rank, values = found.get(timeout=120)
        seen[count][rank] = values
    for process in members:
        process.join()
    for count, by_rank in seen.items():
        text = "; ".join(f"rank {rank} holds {' '.join(map(str, by_rank[rank]))}" for rank in sorted(by_rank))
        changed = "" if by_rank == EXPECTED[count] else "CHANGED: "
        print(f"{changed}4 members, {count} number{'s' if count > 1 else ''}, to rank 0: {text}")
    sys.exit(0 if seen == EXPECTED else 1)
PYTHON
"$work/venv/bin/python" "$work/show.py" 2>/dev/null
