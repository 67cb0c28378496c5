#!/usr/bin/env bash
# NCCL hands out the id by which GPUs meet on a machine that has no GPU and no driver.
#
# One would guess: ncclGetUniqueId, which must be the first call of process 0 and starts NCCL, fails where NCCL cannot
#   work, so that process 0 can tell the others before it sends them anything.
# What happens: it succeeds, and listens on the network. The first call to fail is ncclCommInitRank, in which all
#   processes wait for each other: whether each has a GPU must be asked before, in another way.
# Seen with: nvidia-nccl-cu13 2.28.9 (that of torch 2.11). Output:
#   NCCL 22809 without a driver: id: no error, 128 bytes, not all zero
#   meeting of one: unhandled cuda error (run with NCCL_DEBUG=INFO for details)
set -euo pipefail
if [ -e /proc/driver/nvidia/version ] || ldconfig -p | grep -q 'libcuda\.so\.1'; then
  echo "this machine has NVIDIA's driver"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install --no-deps --target "$work/nccl" nvidia-nccl-cu13==2.28.9
python3 - "$work/nccl/nvidia/nccl/lib/libnccl.so.2" <<'END'
import ctypes
import sys


class UniqueId(ctypes.Structure):
    _fields_ = [("internal", ctypes.c_byte * 128)]


nccl = ctypes.CDLL(sys.argv[1])
nccl.ncclGetErrorString.restype = ctypes.c_char_p
nccl.ncclCommInitRank.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, UniqueId, ctypes.c_int]
version, unique, group = ctypes.c_int(), UniqueId(), ctypes.c_void_p()
nccl.ncclGetVersion(ctypes.byref(version))
given = nccl.ncclGetUniqueId(ctypes.byref(unique))
content = bytes(unique.internal)
print(f"NCCL {version.value} without a driver: id: {nccl.ncclGetErrorString(given).decode()}, {len(content)} bytes, "
      f"{'not ' * any(content)}all zero")
met = nccl.ncclCommInitRank(ctypes.byref(group), 1, unique, 0)
print("meeting of one:", nccl.ncclGetErrorString(met).decode())
sys.exit(not (version.value == 22809 and given == 0 and any(content) and met != 0))
END
