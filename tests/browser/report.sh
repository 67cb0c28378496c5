#!/usr/bin/env bash
# Opens a report in headless Chromium (Debian's package chromium) and fails when something overflows,
# is cut off, does not unfold, leads nowhere, comes from the network or is an error on the console:
#
#   tests/browser/report.sh PROGRAM SCREENSHOTS [RUN…]
#
# at 1440 and 390 pixels, light and dark. PROGRAM is the built sgmae; SCREENSHOTS a folder for one
# picture of each; without RUN a small run is trained on noise, tested and analysed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,9p' "$0" | cut -c3-; exit 2; }
program=$(realpath "$1")
mkdir -p "$2"
screenshots=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 64 images of noise as IDX files, and a run on them.
if [ $# -eq 0 ]; then
  mkdir "$work/data"
  for part in train t10k; do
    { printf '\0\0\10\3\0\0\0\100\0\0\0\34\0\0\0\34'; head -c $((64 * 28 * 28)) /dev/urandom; } >"$work/data/$part-images-idx3-ubyte"
    { printf '\0\0\10\1\0\0\0\100'; printf '\0\1%.0s' {1..32}; } >"$work/data/$part-labels-idx1-ubyte"
  done
  "$program" pretrain --data_path "$work/data" --output_dir "$work/noise" --model mae_vit_tiny_patch4 --input_size 28 \
    --dim 32 --depth 2 --heads 2 --decoder_dim 16 --decoder_depth 2 --decoder_heads 2 --batch_size 16 --epochs 6 \
    --warmup_epochs 1 --lr 1e-3 --mask_strategy self_guided --guide_start 2 --knn_every 2 --save_every 2 --probe_images 16 \
    --num_workers 1 --threads 1 --log_every 100 >/dev/null
  "$program" knn --checkpoint "$work/noise" --data_path "$work/data" --output_dir "$work/noise/knn" --threads 1 >/dev/null
  "$program" analyze --checkpoint "$work/noise" --data_path "$work/data" --output_dir "$work/noise/analysis" --images 8 --threads 1 >/dev/null
  set -- "$work/noise"
fi
"$program" report "$@" --output "$work/report.html"

browser() {
  timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --virtual-time-budget=10000 --enable-logging=stderr "$@" 2>"$work/browser.log"
}

# The page with the check in it, and a page around it that shows it at a given width and keeps the answer.
{ sed 's#</body></html>$##' "$work/report.html"; printf '<script>'; cat "$here/check.js"; printf '</script></body></html>'; } >"$work/checked.html"
failures=0
for width in 1440 390; do
  for scheme in light dark; do
    name=$scheme-$width
    frame='<!DOCTYPE html><title>report</title><style>body{margin:0}iframe{border:0;display:block}</style>'
    frame+="<iframe src='PAGE' width='$width' height='2400'></iframe><pre id='answer' hidden></pre>"
    frame+="<script>addEventListener('message',e=>{document.getElementById('answer').textContent=JSON.stringify(e.data)})</script>"
    echo "${frame/PAGE/checked.html}" >"$work/check.html"
    echo "${frame/PAGE/report.html}" >"$work/show.html"
    scheme_flag=--blink-settings=preferredColorScheme=$([ $scheme = dark ] && echo 0 || echo 1)
    browser "$scheme_flag" --window-size=1440,2400 --dump-dom "file://$work/check.html" >"$work/dom" || true
    answer=$(grep -o '<pre id="answer".*</pre>' "$work/dom" | sed 's/<[^>]*>//g')
    console=$(grep 'CONSOLE' "$work/browser.log" || true)
    browser "$scheme_flag" --window-size=$((width < 500 ? 500 : width)),2400 --screenshot="$screenshots/$name.png" "file://$work/show.html" || true
    case "$answer" in
      *'"wrong":[],'*"\"width\":$width,\"dark\":$([ $scheme = dark ] && echo true || echo false)"*) echo "$name: fine $answer" ;;
      *) echo "$name: FAILED ${answer:-the page gave no answer}"; failures=1 ;;
    esac
    [ -z "$console" ] || { echo "$name: FAILED, on the console: $console"; failures=1; }
    [ -s "$screenshots/$name.png" ] || { echo "$name: FAILED, no screenshot"; failures=1; }
  done
done
exit $failures
