#!/usr/bin/env bash
# `wandb sync` on a folder of TensorBoard's event files uploads nothing and reports success.
#
# One would guess: a trainer without a Python client writes event files, and `wandb sync FOLDER` brings its curves to
#   Weights & Biases, as its documentation had it for years, with --sync-tensorboard or by finding the files itself.
# What happens: the option is gone, with a message that names the last release that had it. Without it the folder is
#   searched for wandb's own runs alone; the event files are not mentioned, and the exit status is 0.
# Seen with: wandb 0.31.0 and an event file of tensorboard 2.21.0, offline. Output:
#   read back by tensorboard: [1, 2, 3]
#   wandb sync FOLDER: exit 0, "wandb: No runs to sync."
#   wandb sync --sync-tensorboard FOLDER: exit 1, "Error: The following options have been removed: --sync-tensorboard. Downgrade to wandb<=0.29.0 to use them."
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check wandb==0.31.0 tensorboard==2.21.0 numpy==2.4.6 setuptools==81.0.0

cat >"$work/write.py" <<'PYTHON'
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter(sys.argv[1])
for step in (1, 2, 3):
    value = Summary(value=[Summary.Value(tag="loss", simple_value=1 / step)])
    writer.add_event(Event(wall_time=time.time(), step=step, summary=value))
writer.close()
print("read back by tensorboard:", [point.step for point in EventAccumulator(sys.argv[1]).Reload().Scalars("loss")])
PYTHON

mkdir "$work/run"
"$work/venv/bin/python" "$work/write.py" "$work/run" | tee "$work/said"
cd "$work"
export WANDB_MODE=offline HOME="$work"
for option in "" "--sync-tensorboard "; do
  status=0
  text=$("$work/venv/bin/wandb" sync $option run 2>&1) || status=$?
  echo "wandb sync ${option}FOLDER: exit $status, \"$text\"" | tee -a "$work/said"
done
cd - >/dev/null
sed -n 's/^#   \(read back\|wandb sync\)/\1/p' "$0" | diff - "$work/said"
