"""Holds `sgmae export` against onnx's checker, onnxruntime, OpenVINO, and onnx's own reference evaluator.

Needs: onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6 safetensors==0.8.0 (CPU is enough). Run from
the root:
  python tests/golden/onnx_check.py build/sgmae [CHECKPOINT …]

Without checkpoints it takes the small golden ones of all families (tests/golden/data/checkpoint). Each is exported
as features and, with a head, as class scores: in fp32, at another size, with the size open, with weights beside, and
in fp16. What onnxruntime and OpenVINO (in fp32, which it must be told) compute is compared with `sgmae forward` on the same pixels, by max |a - b| / max |b|:
1e-5 in fp32; 1e-2 in fp16, whose rounding is 5e-4 a value. Of detectors and segmentation models `sgmae forward`
knows nothing: there onnxruntime is held against the reference evaluator, and tests/onnx/export_test.cpp holds the
graph against ours. Of labels the share of pixels that differ is told: 1e-3 in fp32, 5e-2 in fp16.
Exit code 1 if anything differs.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnx.reference
import onnxruntime
import openvino
from safetensors.numpy import load_file, save_file

FP32, FP16 = 1e-5, 1e-2
OTHER_LABELS = {FP32: 1e-3, FP16: 5e-2}  # where the two likeliest classes are as close as rounding
ONCE = {"LayerNormalization", "Gelu"}  # operators that are single nodes


HEADS = []  # of golden files that do not say


def sgmae(program, *arguments):
    """The JSON result, or None where the program refuses, which it says."""
    done = subprocess.run([program, *map(str, arguments), *HEADS, "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 2, 4):
        sys.exit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
    if done.returncode:
        print(f"  refused: {done.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def difference(ours, theirs):
    return float(numpy.abs(ours.astype("f8") - theirs).max() / numpy.abs(theirs).max())


def wanted(program, folder, checkpoint, pixels, size):
    """What our program makes of the pixels, at another size by way of a converted checkpoint."""
    save_file({"pixels": pixels}, folder / "in.safetensors")
    if size:
        sgmae(program, "convert", checkpoint, folder / "resized.safetensors", "--to", "sgmae", "--input_size", size)
        checkpoint = folder / "resized.safetensors"
    sgmae(program, "forward", "--checkpoint", checkpoint, "--input", folder / "in.safetensors", "--output",
          folder / "out.safetensors", "--precision", "fp32")  # fmt: skip
    return load_file(folder / "out.safetensors")


def by_openvino(path, pixels, names):
    precision = {"INFERENCE_PRECISION_HINT": "f32"}  # or bf16, on processors that are quick at it
    model = openvino.Core().compile_model(path, "CPU", precision)
    results = model({"pixels": pixels})
    return {name: results[name] for name in names}


def check(program, folder, checkpoint, limit, size=0, batch=3, reference=False, options=(), behind_norm=False):
    path = folder / "model.onnx"
    said = sgmae(program, "export", checkpoint, path, *(["--input_size", size] if size else []), *options)
    if said is None:
        return True
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = [side if isinstance(side, int) else None for side in session.get_inputs()[0].shape]
    facts = session.get_modelmeta().custom_metadata_map
    sides = (shape[2] or int(facts["height"]), shape[3] or int(facts["width"]))
    assert len(facts["mean"].split(",")) == shape[1]
    if "--any_size" in options:  # twice as high, not square
        sides = (2 * sides[0], sides[1] + int(facts["patch_size"]))
    pixels = numpy.random.default_rng(0).standard_normal((shape[0] or batch, shape[1], *sides)).astype("f4")
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"pixels": pixels})))
    for name, value in found.items():
        want = said["outputs"][name].strip("[]").split(", ")
        assert all(not w.isdigit() or int(w) == have for w, have in zip(want, value.shape)), (name, want, value.shape)
    expected = {}
    if reference:
        evaluator = onnx.reference.ReferenceEvaluator(str(path))
        expected = dict(zip(names, evaluator.run(names, {"pixels": pixels})))
    elif "--any_size" not in options:
        ours = wanted(program, folder, checkpoint, pixels, size)
        n = found["patches"].shape[1] if "patches" in found else 0
        for name in names:
            if name == "logits":
                expected[name] = ours["logits"]
            else:
                patches = ours["latent"][:, -n:]
                expected[name] = {"patches": patches, "mean": patches.mean(1), "cls": ours["latent"][:, 0]}[name]
    else:  # the same at a fixed size was compared already
        fixed = folder / "fixed.onnx"
        sgmae(program, "export", checkpoint, fixed, "--input_size", sides[0])
        pixels = numpy.ascontiguousarray(numpy.broadcast_to(pixels[:, :, :, :1], (*pixels.shape[:3], sides[0])))
        found = dict(zip(names, session.run(None, {"pixels": pixels})))
        other = onnxruntime.InferenceSession(fixed, providers=["CPUExecutionProvider"])
        expected = dict(zip(names, other.run(names, {"pixels": pixels})))
    if behind_norm:  # the mean is that of a classifier with global pooling; its logits tell
        names.remove("mean")
    worst = {}
    good = True
    for peer, values in (("", found), (" of OpenVINO", by_openvino(path, pixels, names))):
        for name in names:
            if name == "labels":
                worst[name + peer] = float(numpy.mean(values[name] != expected[name]))
                good &= worst[name + peer] <= OTHER_LABELS[limit]
            else:
                worst[name + peer] = difference(values[name], expected[name])
                good &= worst[name + peer] <= limit
    nodes = [node.op_type for node in model.graph.node]
    assert ONCE <= set(nodes) and "Erf" not in nodes
    print(f"  {' '.join(map(str, options)) or 'fp32'}{f' at {size}' if size else ''}: {len(nodes)} nodes, "
          + ", ".join(f"{name} {value:.1e}" for name, value in worst.items()) + ("" if good else "  TOO FAR"))  # fmt: skip
    return good


def main():
    program, checkpoints = sys.argv[1], sys.argv[2:]
    if not checkpoints:
        golden = pathlib.Path(__file__).parent / "data" / "checkpoint"
        checkpoints = sorted(str(path) for path in golden.iterdir())
    good = True
    for checkpoint in checkpoints:
        print(checkpoint)
        HEADS.clear()
        facts = sgmae(program, "inspect", checkpoint)
        if facts is None:
            HEADS.extend(["--heads", "2", "--decoder_heads", "2"])
            facts = sgmae(program, "inspect", checkpoint)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            outputs = sgmae(program, "export", checkpoint, folder / "model.onnx")["outputs"]
            dense = "p2" in outputs or "labels" in outputs
            good &= check(program, folder, checkpoint, FP32, reference=dense)
            good &= check(program, folder, checkpoint, FP32, reference=True, batch=2)
            good &= check(program, folder, checkpoint, FP16, reference=dense, options=["--precision", "fp16"])
            good &= check(program, folder, checkpoint, FP32, reference=dense, options=["--data_beside"])
            good &= check(program, folder, checkpoint, FP32, reference=dense, options=["--batch_size", "2"])
            if dense:
                continue
            patch, side = facts["config"]["patch_size"], facts["config"]["height"]
            good &= check(program, folder, checkpoint, FP32, size=side + 2 * patch)
            good &= check(program, folder, checkpoint, FP32, options=["--any_size"])
            if facts.get("classes"):
                behind_norm = facts["config"]["pooling"] == "mean"
                good &= check(program, folder, checkpoint, FP32, options=["--outputs", "all"], behind_norm=behind_norm)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
