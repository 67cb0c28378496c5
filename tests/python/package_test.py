"""The Python package against golden files of transformers and timm, and against the command line.

    PYTHONPATH=build/python:TORCH SGMAE=build/sgmae python3 tests/python/package_test.py

TORCH is the folder that holds LibTorch's `torch`. Needs NumPy and Pillow.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np
import PIL.Image

import sgmae

GOLDEN = pathlib.Path(__file__).parent.parent / "golden/data/checkpoint"
PROGRAM = os.environ["SGMAE"]


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}
    return {name: np.frombuffer(data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]],
                                types[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in json.loads(data[8:start]).items() if name != "__metadata__"}


def program(*arguments):
    ran = subprocess.run([PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def pictures(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 30, 23, 3), dtype=np.uint8))


class Features(unittest.TestCase):
    def test_are_those_of_the_families_own_programs(self):
        for family, options in ("timm_vit", {"heads": 2}), ("timm_reg", {"heads": 2}), ("hf_vit", {}), ("hf_dinov2", {}):
            with self.subTest(family):
                expected = read_safetensors(GOLDEN / family / "expected.safetensors")
                model = sgmae.load(GOLDEN / family, **options)
                latent = expected["latent"]
                patches = model.features(expected["pixels"], "patches")
                np.testing.assert_allclose(patches.reshape(2, -1, model.dim), latent[:, 1:], rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(model.features(expected["pixels"], "cls"), latent[:, 0], rtol=1e-4, atol=1e-5)
                self.assertEqual(patches.shape[1:3], model.grid)

    def test_of_pictures_are_those_of_the_command_line(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        images = pictures(3)
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, f"{i}.png") for i in range(3)]
            for file, image in zip(files, images):
                PIL.Image.fromarray(image).save(file)
            program("embed", *files, "--checkpoint", GOLDEN / "hf_vit_mae", "--to", folder + "/f.npy",
                    "--precision", "fp32")
            np.testing.assert_array_equal(model.features(images), np.load(folder + "/f.npy"))
        np.testing.assert_array_equal(model.features(np.stack(images)), model.features(images))
        np.testing.assert_array_equal(model.features(images[1]), model.features(model.preprocess(images))[1:2])

    def test_of_values_as_stored_are_those_of_the_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            images = list(np.random.default_rng(7).normal(500, 90, (8, 20, 30, 5)).astype(np.float32))
            images[2][3, 4, 1] = np.nan
            os.mkdir(folder + "/images")
            files = [f"{folder}/images/{i}.npy" for i in range(8)]
            for file, image in zip(files, images):
                np.save(file, image)
            program("pretrain", "--data_path", folder + "/images", "--output_dir", folder + "/run", "--model",
                    "mae_vit_tiny_patch4", "--input_size", 16, "--dim", 8, "--depth", 2, "--heads", 2, "--decoder_dim", 8,
                    "--decoder_depth", 1, "--decoder_heads", 2, "--batch_size", 4, "--epochs", 1, "--precision", "fp32")
            program("embed", *files, "--checkpoint", folder + "/run", "--to", folder + "/f.npy", "--precision", "fp32")
            model = sgmae.load(folder + "/run")
            np.testing.assert_array_equal(model.features(images), np.load(folder + "/f.npy"))
            restored = model.reconstruct(images)
            self.assertEqual(restored.images.shape, (8, 16, 16, 5))
            self.assertTrue(300 < restored.images.mean() < 700)

    def test_grey_pictures_are_repeated(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        grey = pictures(1)[0][:, :, 0]
        np.testing.assert_array_equal(model.features(grey), model.features(np.repeat(grey[:, :, None], 3, axis=2)))

    def test_are_the_same_from_several_threads(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        images = pictures(8)
        expected, found = model.features(images), [None] * 4

        def work(i):
            found[i] = model.features(images)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in found:
            np.testing.assert_array_equal(result, expected)


class MasksAndReconstruction(unittest.TestCase):
    def test_loss_is_that_of_transformers(self):
        expected = read_safetensors(GOLDEN / "hf_vit_mae/expected.safetensors")
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        ranks = expected["noise"].argsort(axis=1).argsort(axis=1)
        restored = model.reconstruct(expected["pixels"], mask=(ranks >= 4).reshape(2, 4, 4))
        self.assertAlmostEqual(restored.loss, float(expected["loss"][0]), delta=1e-5 * restored.loss)
        # Where a patch is hidden, the prediction; else the pixels as they were.
        std, mean = np.array(model.std), np.array(model.mean)
        as_pictures = (expected["pixels"].transpose(0, 2, 3, 1) * std + mean) * 255
        predicted = (expected["pred"].reshape(2, 4, 4, 4, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 16, 16, 3) * std + mean) * 255
        hidden = np.kron(restored.mask, np.ones((1, 4, 4), dtype=bool))[..., None]
        whole = np.clip(np.where(hidden, predicted, as_pictures), 0, 255)
        self.assertLessEqual(np.abs(restored.images - whole).max(), 0.51)

    def test_are_those_of_the_command_line(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        images = pictures(3, seed=5)
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, f"{i}.png") for i in range(3)]
            for file, image in zip(files, images):
                PIL.Image.fromarray(image).save(file)
            program("mask", *files, "--checkpoint", GOLDEN / "hf_vit_mae", "--output", folder + "/masks",
                    "--guide", "paper", "--hint_ratio", "0.125", "--precision", "fp32")
            theirs = read_safetensors(folder + "/masks/masks.safetensors")
            loss = program("reconstruct", *files, "--checkpoint", GOLDEN / "hf_vit_mae", "--seed", 3,
                           "--output", folder + "/r.png")["loss"]
        ours = model.masks(images, hint_ratio=0.125, guide="paper")
        np.testing.assert_array_equal(ours.relevance.reshape(3, -1), theirs["relevance"])
        np.testing.assert_array_equal(ours.object_side.reshape(3, -1), theirs["object_side"] > 0)
        hidden = np.zeros((3, 16), dtype=bool)
        np.put_along_axis(hidden, theirs["order"][:, 4:], True, axis=1)
        np.testing.assert_array_equal(ours.mask.reshape(3, -1), hidden)
        self.assertEqual(model.reconstruct(images, seed=3).loss, loss)

    def test_random_masks_hide_what_is_asked(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        for ratio in (0.25, 0.5, 0.9):
            restored = model.reconstruct(pictures(2), mask_ratio=ratio)
            self.assertTrue((restored.mask.sum(axis=(1, 2)) == 16 - int(16 * (1 - ratio))).all())


class WrongUse(unittest.TestCase):
    def test_says_what_is_wrong(self):
        model = sgmae.load(GOLDEN / "hf_vit_mae")
        encoder = sgmae.load(GOLDEN / "timm_vit", heads=2)
        image = pictures(1)[0]
        for words, use in (
            ("uint8", lambda: model.features(image / 255)),
            ("[B, 3, 16, 16]", lambda: model.features(np.zeros((1, 3, 8, 8), np.float32))),
            ("[images, 3, 16, 16]", lambda: model.features(np.zeros((0, 3, 16, 16), np.float32))),
            ("[height, width, 3]", lambda: model.features(np.zeros((4, 4, 2), np.uint8))),
            ("mean, cls, patches", lambda: model.features(image, "tokens")),
            ("unknown option", lambda: model.masks(image, guide_nothing=1)),
            ("did you mean 'paper'", lambda: model.masks(image, guide="papr")),
            ("equally many", lambda: model.reconstruct([image, image], mask=np.tri(4)[None].repeat(2, 0) * [[[1]], [[0]]])),
            ("mask must be", lambda: model.reconstruct(image, mask=np.zeros((1, 4, 5)))),
            ("no decoder", lambda: encoder.reconstruct(image)),
            ("unknown option 'head'", lambda: sgmae.load(GOLDEN / "timm_vit", head=2)),
            ("no such file", lambda: sgmae.load("nowhere")),
            ("precision", lambda: sgmae.load(GOLDEN / "timm_vit", heads=2, precision="int8")),
            ("device", lambda: sgmae.load(GOLDEN / "timm_vit", heads=2, device="abacus")),
        ):
            with self.subTest(words), self.assertRaises(sgmae.Error) as raised:
                use()
            self.assertIn(words, str(raised.exception))
        self.assertIsInstance(raised.exception, ValueError)


class Process(unittest.TestCase):
    def test_has_no_pytorch(self):
        self.assertNotIn("torch", sys.modules)


if __name__ == "__main__":
    unittest.main()
