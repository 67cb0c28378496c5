#!/usr/bin/env bash
# TensorBoard's user interface passes over the first SessionLog START of a run; its Python reader does not.
#
# One would guess: a run that was killed and went on from an earlier step writes SessionLog START with that step, and
#   every reader then drops the points that were written twice. That is what START is for, and EventAccumulator of
#   event_accumulator.py, which scripts and converters use, does it.
# What happens: plugin_event_accumulator.py, behind the curves on screen, takes the first START of a run as that of the
#   run's beginning and purges nothing; only from the second on is it heeded. A writer that puts START at restarts alone
#   passes every check made with the Python reader, and the curve on screen goes back in time at the first restart. One
#   START at the very beginning of the run makes both agree.
# Seen with: tensorboard 2.21.0; steps 1 to 5, then START at step 3 and steps 3 to 6 in a second file:
#   START at the restart alone, event_accumulator: 1 2 3 4 5 6
#   START at the restart alone, plugin_event_accumulator: 1 2 3 4 5 3 4 5 6
#   START at the beginning too, event_accumulator: 1 2 3 4 5 6
#   START at the beginning too, plugin_event_accumulator: 1 2 3 4 5 6
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tensorboard==2.21.0 setuptools==80.9.0

"$work/venv/bin/python" - "$work" 2>/dev/null <<'PYTHON'
import sys
import time

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

ok = True


def point(step, second):
    value = summary_pb2.Summary.Value(tag="loss", simple_value=step)
    return event_pb2.Event(wall_time=second, step=step, summary=summary_pb2.Summary(value=[value]))


def start(step, second):
    log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    return event_pb2.Event(wall_time=second, step=step, session_log=log)


def write(folder, events):
    writer = EventFileWriter(folder)
    for event in events:
        writer.add_event(event)
    writer.close()
    time.sleep(1.1)  # files are told apart, and ordered, by the second in their names


def steps_seen(module, folder):
    accumulator = module.EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    points = accumulator.Scalars("loss") if module is event_accumulator else accumulator.Tensors("loss")
    return [p.step for p in points]


def expect(text, seen, steps):
    global ok
    line = f"{text}: {' '.join(map(str, seen))}"
    print(line if seen == steps else f"CHANGED: {line}")
    ok = ok and seen == steps


ordered, doubled = [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 3, 4, 5, 6]
for text, first, shown in (("START at the restart alone", [], doubled),
                           ("START at the beginning too", [start(0, 1)], ordered)):
    folder = f"{sys.argv[1]}/run{len(first)}"
    write(folder, first + [point(step, 10 + step) for step in range(1, 6)])
    write(folder, [start(3, 20)] + [point(step, 20 + step) for step in range(3, 7)])
    expect(f"{text}, event_accumulator", steps_seen(event_accumulator, folder), ordered)
    expect(f"{text}, plugin_event_accumulator", steps_seen(plugin_event_accumulator, folder), shown)
sys.exit(0 if ok else 1)
PYTHON
