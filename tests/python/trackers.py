"""docs/install.md on Weights & Biases and MLflow, as it stands, with the real packages, and every value read back.

    python tests/python/trackers.py RUN_FOLDER     # of wandb==0.31.0 mlflow-skinny==3.17.2; offline
"""
import json
import os
import pathlib
import re
import shutil
import struct
import sys
import tempfile

page = (pathlib.Path(__file__).parent.parent.parent / "docs/install.md").read_text()
snippets = {name: next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if name in block)
            for name in ("wandb", "mlflow")}
given = pathlib.Path(sys.argv[1]).resolve()
os.chdir(tempfile.mkdtemp())
shutil.copytree(given, "runs/first")
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", MLFLOW_TRACKING_URI="file:tracked", MLFLOW_ALLOW_FILE_STORE="true")
truth = {}
for line in open("runs/first/log.txt"):
    entry = json.loads(line)
    for key, value in entry.items():
        if isinstance(value, (int, float)):
            truth[entry["epoch"], key] = value


def wandb_records(path):
    """What a .wandb file holds: LevelDB's log format with a header of 7 bytes, of protobuf records."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = pathlib.Path(path).read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack("<4xHB", data[at:at + 7])
        whole += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


exec(snippets["wandb"])
found = {}
for record in wandb_records(next(pathlib.Path("wandb").glob("offline-run-*/run-*.wandb"))):
    if record.WhichOneof("record_type") == "history":
        values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        found.update({(values["_step"], key): value for key, value in values.items() if not key.startswith("_")})
assert found == truth, (len(found), len(truth))
print("wandb:", len(found), "values")

exec(snippets["mlflow"])
import mlflow  # noqa: E402

client = mlflow.MlflowClient()
(run,) = client.search_runs(["0"])
found = {(point.step, key): point.value for key in run.data.metrics for point in client.get_metric_history(run.info.run_id, key)}
assert run.info.run_name == "first" and found == truth, (len(found), len(truth))
print("mlflow:", len(found), "values")
