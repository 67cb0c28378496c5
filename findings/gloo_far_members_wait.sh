#!/usr/bin/env bash
# When one member of a Gloo group ends, only its two neighbours in the ring hear of it in an all_reduce.
#
# One would guess: a process that ends closes its connections to all others (Gloo's mesh is full), so that the
#   all_reduce that they are in, or begin next, fails in every one of them at once.
# What happens: with four processes and rank 1 gone, ranks 0 and 2 get "Connection closed by peer" within a second, and
#   rank 3, which neither sends to rank 1 nor receives from it, waits until the group's timeout (30 minutes if nobody
#   set it) and then blames a receive operation, as long as ranks 0 and 2 live on to save what they have. It is so
#   whether rank 1 ends before the call or inside it, and for one number as for a million. With three processes
#   everybody is a neighbour and all fail at once, so that a test with two or three does not show it.
# Seen with: torch 2.11.0 (CPU). Output:
#   3 processes, rank 1 ends before the call: rank 0 at once, rank 2 at once
#   3 processes, rank 1 ends inside the call: rank 0 at once, rank 2 at once
#   4 processes, rank 1 ends before the call: rank 0 at once, rank 2 at once, rank 3 after the timeout
#   4 processes, rank 1 ends inside the call: rank 0 at once, rank 2 at once, rank 3 after the timeout
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.11.0 numpy==2.4.6

cat > "$work/show.py" <<'PYTHON'
import multiprocessing
import os
import socket
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist

TIMEOUT = 8  # seconds


def member(rank, size, port, ends_inside, heard, over):
    store = dist.TCPStore("127.0.0.1", port, size, rank == 0, timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=TIMEOUT))
    values = torch.ones(1000)
    dist.all_reduce(values)
    if rank == 1:
        if ends_inside:
            time.sleep(2)  # the others have begun
        os._exit(0)
    if not ends_inside:
        time.sleep(2)
    begun = time.monotonic()
    try:
        dist.all_reduce(values)
        heard.put((rank, "never"))
    except RuntimeError:
        waited = time.monotonic() - begun
        heard.put((rank, "at once" if waited < TIMEOUT - 3 else "after the timeout"))
    over.wait()  # lives on
    os._exit(0)


def seen(size, ends_inside):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    heard, over = multiprocessing.Queue(), multiprocessing.Event()
    members = [multiprocessing.Process(target=member, args=(rank, size, port, ends_inside, heard, over))
               for rank in range(size)]
    for process in members:
        process.start()
    told = dict(heard.get(timeout=120) for _ in range(size - 1))
    over.set()
    for process in members:
        process.join()
    return ", ".join(f"rank {rank} {told[rank]}" for rank in sorted(told))


if __name__ == "__main__":
    ok = True
    for size, expected in ((3, "rank 0 at once, rank 2 at once"),
                           (4, "rank 0 at once, rank 2 at once, rank 3 after the timeout")):
        for ends_inside in (False, True):
            text = f"{size} processes, rank 1 ends {'inside' if ends_inside else 'before'} the call: "
            found = seen(size, ends_inside)
            print(text + found if found == expected else f"CHANGED: {text}{found}")
            ok = ok and found == expected
    sys.exit(0 if ok else 1)
PYTHON
"$work/venv/bin/python" "$work/show.py" 2>/dev/null
