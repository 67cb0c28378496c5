"""Golden files for tests/io/zip_test.cpp and tests/io/torch_file_test.cpp.
Needs: torch==2.11.0. Run from the root: python tests/golden/torch_files.py"""
import pathlib
import zipfile

OUT = pathlib.Path("tests/golden/data/io")
OUT.mkdir(parents=True, exist_ok=True)

with zipfile.ZipFile(OUT / "python.zip", "w") as archive:

    def add(name, content, method):
        archive.writestr(zipfile.ZipInfo(name), content, method)

    add("stored.txt", "as it is", zipfile.ZIP_STORED)
    add("folder/deflated.txt", "a" * 5000, zipfile.ZIP_DEFLATED)
    add("empty", "", zipfile.ZIP_STORED)
    add("empty_deflated", "", zipfile.ZIP_DEFLATED)

# One checkpoint with everything that real ones have, by every way of torch.save. What it holds is
# written a second time by safetensors, under dotted names.
import argparse
import collections
import json
import struct

import safetensors.torch
import torch

torch.manual_seed(0)
base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
layer = torch.nn.Linear(3, 2)
optimizer = torch.optim.AdamW(layer.parameters(), lr=0.5)
layer(torch.ones(1, 3)).sum().backward()
optimizer.step()
CHECKPOINT = {
    "model": layer.state_dict(),  # an OrderedDict with _metadata
    "parameter": torch.nn.Parameter(torch.full((2,), 0.5)),
    "views": {
        "whole": base,
        "transposed": base.t(),
        "row": base[1],
        "every_other": base[:, ::2],
        "expanded": base[:1, :1].expand(2, 3),
    },
    "types": collections.OrderedDict(
        (str(t).split(".")[1], torch.tensor([0, 1, 1], dtype=t))
        for t in [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                  torch.int8, torch.uint8, torch.bool]
    ),
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(2.5),
    "optimizer": optimizer.state_dict(),
    "epoch": 7,
    "scaler": None,
    "args": argparse.Namespace(lr=0.25, model="tiny", betas=(0.9, 0.95), output_dir=pathlib.PurePosixPath("a/b")),
    "size": torch.Size([2, 3]),
    "type": torch.float16,
    "device": torch.device("cpu"),
    "list": [torch.ones(1), "text", [1, 2]],
}
torch.save(CHECKPOINT, OUT / "checkpoint.pth")
torch.save(CHECKPOINT, OUT / "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)


def tensors_of(value, name=""):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, torch.Tensor):
        yield name, value.detach().clone().contiguous()
    for key, item in items:
        yield from tensors_of(item, f"{name}.{key}" if name else str(key))


safetensors.torch.save_file(dict(tensors_of(CHECKPOINT)), OUT / "checkpoint.safetensors")

# The same archive compressed by another program, and one in the other byte order.
with zipfile.ZipFile(OUT / "checkpoint.pth") as archive, zipfile.ZipFile(
    OUT / "checkpoint_deflated.pth", "w", zipfile.ZIP_DEFLATED
) as deflated:
    for entry in archive.infolist():
        deflated.writestr(zipfile.ZipInfo(entry.filename), archive.read(entry), zipfile.ZIP_DEFLATED)
torch.save({"a": torch.tensor([1.0, -2.5]), "b": torch.tensor([258], dtype=torch.int16)}, OUT / "big_endian.pth")
with zipfile.ZipFile(OUT / "big_endian.pth") as archive:
    content = {entry.filename: archive.read(entry) for entry in archive.infolist()}
with zipfile.ZipFile(OUT / "big_endian.pth", "w") as archive:
    for name, data in content.items():
        if name.endswith("/byteorder"):
            data = b"big"
        if name.endswith("/data/0"):
            data = struct.pack(">2f", 1.0, -2.5)
        if name.endswith("/data/1"):
            data = struct.pack(">h", 258)
        archive.writestr(zipfile.ZipInfo(name), data)

scripted = torch.jit.script(torch.nn.Linear(1, 1))
scripted.save(str(OUT / "scripted.pt"))
torch.save(torch.nn.Linear(1, 1), OUT / "module.pth")

# What trainers put beside the weights: objects of classes that no reader knows, in every way of pickling
# them; and tensors of types that weights never have.
import datetime
import sys
import types

import numpy

module = types.ModuleType("trainer")
exec('''
import enum, numpy
class History:                      # as mmengine's HistoryBuffer: arrays, and its own methods
    def __init__(self): self.log, self.methods = numpy.array([1.0, 2.0]), {"mean": History.mean}
    def mean(self): return 0
class Config(dict): pass            # as EasyDict: a dictionary with attributes
class Names(list): pass
class Mode(enum.Enum): fast = 1
class Slots:                        # made with arguments by name
    def __new__(cls, *, n): return object.__new__(cls)
    def __getnewargs_ex__(self): return (), {"n": 3}
''', module.__dict__)
sys.modules["trainer"] = module
config = module.Config(lr=0.1)
config.note = "kept nowhere"
TRAINING = {
    "meta": {"epoch": 3, "time": datetime.datetime(2026, 1, 2), "seed": numpy.random.RandomState(0)},
    "message_hub": {"loss": module.History(), "names": module.Names(["a"])},
    "hyper_parameters": {"config": config, "mode": module.Mode.fast, "slots": module.Slots(n=3), "lr": 0.25,
                         "objects": numpy.array([None, "x"], dtype=object), "kind": module.History},
    "state_dict": {"weight": torch.arange(4.0), "parameter": torch.nn.Parameter(torch.ones(2))},
    "others": {str(t).split(".")[1]: torch.tensor([0, 1, 2]).to(t)[1:] for t in
               [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64]},
    "double": torch.zeros(2, dtype=torch.complex128),  # a type that nothing here has
}
torch.save(TRAINING, OUT / "training.pth")
torch.save(TRAINING, OUT / "training4.pth", pickle_protocol=4)
OTHERS = {k: v.clone() for k, v in TRAINING["others"].items()} | {"f8_e8m0": torch.ones(2).to(torch.float8_e8m0fnu)}
safetensors.torch.save_file(OTHERS, OUT / "other_types.safetensors")
