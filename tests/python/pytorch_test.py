"""The Python package beside PyTorch, imported before and after it, and timm's models of our checkpoints.

Needs torch 2.11.0, timm and safetensors; ./dev wheel runs it in the peers' environment.
"""
import pathlib
import subprocess
import sys
import unittest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden/data/checkpoint"

BOTH = """
import numpy, sgmae
pixels = numpy.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(numpy.float32)
def ours(): return sgmae.load(GOLDEN + "/hf_vit_mae").features(pixels)
def theirs():
    import torch
    torch.manual_seed(0)
    x = torch.randn(64, 64, requires_grad=True)
    torch.nn.functional.gelu(x @ x).sum().backward()
    return x.grad.numpy()
if ORDER == "torch first":
    theirs()
first = ours()
gradient = theirs()
assert (first == ours()).all(), "other features after import torch"
files = {line.split()[-1] for line in open("/proc/self/maps") if "/libtorch_cpu.so" in line or "/libc10.so" in line}
print(len(files), first.sum(), gradient.sum())
"""


class Imports(unittest.TestCase):
    def test_both_orders_share_one_library(self):
        said = {}
        for order in ("torch first", "sgmae first"):
            script = ("import torch\n" if order == "torch first" else "") + f"GOLDEN, ORDER = {str(GOLDEN)!r}, {order!r}\n" + BOTH
            ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            said[order] = ran.stdout
        self.assertTrue(said["torch first"].startswith("2 "), said)  # libtorch_cpu.so and libc10.so, each once
        self.assertEqual(said["torch first"], said["sgmae first"])


class Timm(unittest.TestCase):
    def test_models_give_the_same_outputs(self):
        import numpy as np
        import safetensors.numpy
        import torch

        import sgmae

        for family, options in (("timm_vit", {"heads": 2}), ("timm_reg", {"heads": 2}), ("hf_vit", {}), ("hf_dinov2", {}),
                                ("hf_vit_mae", {})):
            with self.subTest(family):
                model = sgmae.to_timm(GOLDEN / family, **options)
                ours = sgmae.load(GOLDEN / family, **options)
                expected = safetensors.numpy.load_file(GOLDEN / family / "expected.safetensors")
                with torch.no_grad():
                    tokens = model.forward_features(torch.from_numpy(expected["pixels"]))
                    patches = tokens[:, model.num_prefix_tokens:].reshape(2, *ours.grid, -1)
                    np.testing.assert_allclose(patches, ours.features(expected["pixels"], "patches"), rtol=1e-4, atol=1e-5)
                    np.testing.assert_allclose(tokens[:, 0], ours.features(expected["pixels"], "cls"), rtol=1e-4, atol=1e-5)
                    if "logits" in expected:
                        np.testing.assert_allclose(model(torch.from_numpy(expected["pixels"])), expected["logits"], rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    unittest.main()
