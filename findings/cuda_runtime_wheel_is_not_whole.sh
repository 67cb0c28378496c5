#!/usr/bin/env bash
# The headers in NVIDIA's wheel of the CUDA runtime cannot be included: a file is missing, and nothing asks for it.
#
# One would guess: PyPI's nvidia-cuda-runtime, which brings cuda_runtime.h beside the library, is what host code needs
#   that includes LibTorch's c10/cuda headers, as in a package of a distribution; and where a part lies in another
#   wheel, the wheel or torch would require it.
# What happens: cuda_runtime.h includes crt/host_config.h, which is in none of the wheels that come with it. It is in
#   nvidia-cuda-crt (134 kB), which nvidia-cuda-runtime does not name. On machines with a CUDA toolkit under
#   /usr/local the compiler finds that one's, so that nobody notices; on others no file compiles that includes it.
# Seen with: nvidia-cuda-runtime 13.0.96, nvidia-cuda-crt 13.0.88. Output:
#   cuda_runtime.h includes crt/host_config.h: yes; in the wheel: no; requirements of the wheel: none
#   preprocessed with the wheel alone: no such file; with nvidia-cuda-crt: done
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/pip" -q --disable-pip-version-check)
"${pip[@]}" install --target "$work/runtime" nvidia-cuda-runtime==13.0.96
"${pip[@]}" install --target "$work/both" nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88
include=nvidia/cu13/include

grep -q '#include "crt/host_config.h"' "$work/runtime/$include/cuda_runtime.h" && asks=yes || asks=no
[ -e "$work/runtime/$include/crt/host_config.h" ] && there=yes || there=no
requires=$(grep -h '^Requires-Dist' "$work"/runtime/nvidia_cuda_runtime-*.dist-info/METADATA || echo none)
echo "cuda_runtime.h includes crt/host_config.h: $asks; in the wheel: $there; requirements of the wheel: $requires"

# The compiler's own headers and the C library's, but not /usr/local's.
own=(-nostdinc)
while read -r folder; do own+=(-isystem "$folder"); done < <(
  g++ -E -v -x c++ /dev/null 2>&1 | sed -n '/#include <...>/,/End of search/s/^ //p' | grep -v '^/usr/local')
echo '#include <cuda_runtime.h>' >"$work/host.cpp"
preprocess() { g++ -E "${own[@]}" -isystem "$1/$include" "$work/host.cpp" -o /dev/null 2>"$work/said"; }
if preprocess "$work/runtime"; then alone=done; else
  alone=$(grep -o -i 'crt/host_config.h: no such file' "$work/said" | sed 's/.*: //' | tr 'N' 'n')
fi
preprocess "$work/both" && together=done || together=failed
echo "preprocessed with the wheel alone: $alone; with nvidia-cuda-crt: $together"
[ "$asks $there $requires $alone $together" = "yes no none no such file done" ]
