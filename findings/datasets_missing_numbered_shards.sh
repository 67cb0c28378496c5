#!/usr/bin/env bash
# Of a data set whose shards say how many there are, `datasets` reads those that are there, without a word.
#
# One would guess: `train-00000-of-00004.parquet` and `train-00002-of-00004.parquet` without their two sisters are an
#   incomplete download, which is refused or warned of, as a folder of `save_to_disk` with a missing file is.
# What happens: load_dataset() takes the number for a part of the name. Half of the rows are the data set, its split says
#   that it has so many, and no warning is given; streaming is alike. load_from_disk() does fail for a missing file.
# Seen with: datasets 5.2.0, pyarrow 26.0.1. Output:
#   load_dataset: [0, 2] of 4, 2 in the split's info, 0 warnings
#   streaming: [0, 2]
#   load_from_disk: FileNotFoundError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1

cat >"$work/show.py" <<'PYTHON'
import os
import warnings

import datasets
import pyarrow
import pyarrow.parquet

datasets.disable_progress_bars()
os.makedirs("set/data")
for shard in (0, 2):  # of four
    pyarrow.parquet.write_table(pyarrow.table({"number": [shard]}), f"set/data/train-{shard:05}-of-00004.parquet")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    read = datasets.load_dataset("set", split="train", cache_dir="cache")
mine = [w for w in caught if "shard" in str(w.message) or "missing" in str(w.message)]
print(f"load_dataset: {list(read['number'])} of 4, {read.info.splits['train'].num_examples} in the split's info, "
      f"{len(mine)} warnings")
print("streaming:", [row["number"] for row in datasets.load_dataset("set", split="train", streaming=True)])

datasets.Dataset.from_dict({"number": [0, 1, 2, 3]}).save_to_disk("saved", num_shards=4)
os.remove("saved/data-00002-of-00004.arrow")
try:
    print("load_from_disk:", list(datasets.load_from_disk("saved")["number"]))
except FileNotFoundError as error:
    print("load_from_disk:", type(error).__name__)
PYTHON

(cd "$work" && HF_HUB_OFFLINE=1 venv/bin/python show.py) | tee "$work/said"
sed -n 's/^#   \(load_dataset\|streaming\|load_from_disk\):/\1:/p' "$0" | diff - "$work/said"
