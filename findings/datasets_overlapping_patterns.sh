#!/usr/bin/env bash
# A file that two patterns of a split match is read twice by `datasets`: its rows come doubled, without a word.
#
# One would guess: `data_files` of a card (README.md) or of load_dataset are a set of files; a list of patterns is their union.
# What happens: the files of the patterns are put one behind the other. A split that names `data/*` and one file of it once more
#   has that file's rows twice, in training as in evaluation, with no warning.
# Seen with: datasets 5.2.0, pyarrow 26.0.1. Output:
#   one pattern: [0, 1, 2, 3]
#   two patterns: [0, 1, 2, 3, 0, 1]
#   from the card: [0, 1, 2, 3, 0, 1]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1

cat >"$work/show.py" <<'PYTHON'
import os
import sys

import datasets
import pyarrow
import pyarrow.parquet

datasets.disable_progress_bars()
os.makedirs("set/data")
for name, numbers in (("a", [0, 1]), ("b", [2, 3])):
    pyarrow.parquet.write_table(pyarrow.table({"number": numbers}), f"set/data/{name}.parquet")


def rows(path, **files):
    return list(datasets.load_dataset(path, split="train", cache_dir="cache", **files)["number"])


print("one pattern:", rows("set", data_files="data/*"))
print("two patterns:", rows("set", data_files=["data/*", "data/a.parquet"]))
with open("set/README.md", "w") as card:
    card.write("---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path:\n"
               "    - data/*\n    - data/a.parquet\n---\n")
print("from the card:", rows("set"))
PYTHON

(cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python show.py) | tee "$work/said"
sed -n 's/^#   \(one pattern\|two patterns\|from the card\):/\1:/p' "$0" | diff - "$work/said"
