#!/usr/bin/env bash
# TensorBoard shows nothing more of an events file that is still written to, once its folder holds a newer one.
#
# One would guess: a folder of a run may hold several events files, since a resumed run leaves them, and a trainer that
#   logs scalars with one writer and pictures with another, opened later, has both shown as they grow.
# What happens: the reader goes through files in the order of their names, and leaves one for good when it has met its
#   end and a later one is there. Scalars that come to the first file afterwards are never shown, without a word; only
#   a reader that is started anew sees them.
# Seen with: tensorboard 2.21.0 (numpy 2.4.6), EventAccumulator, which the server uses for each folder. Output:
#   one file: steps [1], after more was written [1, 2]
#   with a second file: steps [1], after more was written [1]; by a new reader [1, 2]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check tensorboard==2.21.0 numpy==2.4.6 setuptools==81.0.0

cat >"$work/show.py" <<'PYTHON'
import pathlib
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def scalar(writer, tag, step):
    value = Summary(value=[Summary.Value(tag=tag, simple_value=float(step))])
    writer.add_event(Event(wall_time=time.time(), step=step, summary=value))
    writer.flush()


def steps(reader):
    return [point.step for point in reader.Reload().Scalars("loss")]


def seen(folder, second):
    losses = EventFileWriter(str(folder))
    scalar(losses, "loss", 1)
    if second:
        time.sleep(1.1)  # names hold the second in which a file was made
        scalar(EventFileWriter(str(folder)), "picture", 1)
    reader = EventAccumulator(str(folder))
    before = steps(reader)
    scalar(losses, "loss", 2)
    return before, steps(reader), steps(EventAccumulator(str(folder)))


root = pathlib.Path(sys.argv[1])
one, two = seen(root / "one", False), seen(root / "two", True)
print(f"one file: steps {one[0]}, after more was written {one[1]}")
print(f"with a second file: steps {two[0]}, after more was written {two[1]}; by a new reader {two[2]}")
sys.exit(not (one == ([1], [1, 2], [1, 2]) and two == ([1], [1], [1, 2])))
PYTHON
"$work/venv/bin/python" "$work/show.py" "$work" 2>/dev/null
