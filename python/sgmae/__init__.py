"""Encoders that sgmae trained, or opens, for notebooks: features, masks and reconstructions of NumPy arrays.

    import sgmae

    model = sgmae.load("runs/demo")            # a run folder, or a checkpoint of any family
    model.features(images)                     # [B, D] float32
    model.masks(images).relevance              # [B, rows, columns]
    model.reconstruct(images).images           # [B, H, W, C] uint8

`images` are pictures, uint8, of any sizes: one [H, W, C] or [H, W], several in a list or an array [B, H, W, C].
They are squashed to the model's size and normalised as in training, which is what the command line does with
single files. For a model of values as stored (docs/channels.md) they are [H, W, C] of any numbers. Or they are what Model.preprocess() gives: normalised pixels, float32 [B, C, H, W].

PyTorch is not imported. Of the installed package `torch` the library alone is opened, the same file that
`import torch` opens, before or after.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING, Literal, NamedTuple, Sequence, Union

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Error", "Masks", "Model", "Reconstruction", "load", "to_timm"]

_TORCH = "2.11.0"  # whose library the module is linked with: its C++ interface changes with every release


def _open_libtorch() -> None:
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"sgmae needs the library in PyTorch's package: pip install torch=={_TORCH}")
    version = importlib.metadata.version("torch")
    if version.split("+")[0] != _TORCH:
        raise ImportError(f"sgmae is built for torch {_TORCH}, and {version} is installed: pip install torch=={_TORCH}")
    library = pathlib.Path(spec.submodule_search_locations[0]) / "lib"
    for name in ("libgomp.so.1", "libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(library / name), mode=ctypes.RTLD_GLOBAL)


_open_libtorch()

from . import _native  # noqa: E402
from ._native import Error  # noqa: E402

Images = Union[np.ndarray, Sequence[np.ndarray]]


class Masks(NamedTuple):
    """What the model sees in images, and the masks that follow (paper, section 4). N = rows x columns patches."""

    mask: np.ndarray  #: [B, rows, columns] bool, True where hidden
    relevance: np.ndarray  #: [B, rows, columns] float32, similarity to the object; NaN where `degenerate`
    object_side: np.ndarray  #: [B, rows, columns] bool, the side of the cut that holds the object
    degenerate: np.ndarray  #: [B] bool, patches too alike to be told apart: the mask is random


class Reconstruction(NamedTuple):
    """What the autoencoder makes of images of which it sees a part."""

    images: np.ndarray  #: [B, H, W, C] uint8 (float32 of values as stored), given where visible, predicted where hidden
    mask: np.ndarray  #: [B, rows, columns] bool, True where hidden
    loss: float  #: mean over hidden patches and their pixels


class Model:
    """A vision transformer, with the autoencoder's decoder where the file has one. Made by load().

    Methods may be called from several threads: one at a time computes, and Python goes on meanwhile.
    """

    def __init__(self, native: _native.Model) -> None:
        self._native = native
        facts = native.facts()
        self.path: str = facts["path"]
        self.family: str = facts["family"]  #: whose names the file has: "sgmae", "mae", "timm" …
        self.image_size: tuple[int, int] = facts["image_size"]  #: height, width
        self.channels: int = facts["channels"]
        self.patch_size: int = facts["patch_size"]
        self.grid: tuple[int, int] = facts["grid"]  #: rows, columns of patches
        self.dim: int = facts["dim"]
        self.depth: int = facts["depth"]
        self.heads: int = facts["heads"]
        self.class_token: bool = facts["class_token"]
        self.decoder: bool = facts["decoder"]  #: whether it can reconstruct
        self.mean: list[float] = facts["mean"]  #: of pixels in 0 … 1, per channel
        self.std: list[float] = facts["std"]
        self.stored_values: bool = facts["stored_values"]  #: pictures are values as stored, not 8-bit pixels
        self.class_names: list[str] = facts["class_names"]  #: of a classifier, where known
        self._pooling: str = facts["pooling"]

    def __repr__(self) -> str:
        height, width = self.image_size
        return (f"<sgmae.Model {self.path}: ViT {self.dim} x {self.depth}, patches of {self.patch_size}, "
                f"{self.channels} x {height} x {width}{', with decoder' if self.decoder else ''}>")

    def preprocess(self, images: Images) -> np.ndarray:
        """Pictures as the model wants them: squashed (bicubic, as Pillow), normalised, float32 [B, C, H, W]."""
        pictures = [images] if isinstance(images, np.ndarray) and images.ndim <= 3 else list(images)
        if self.stored_values:
            return self._native.preprocess_values([np.asarray(picture, dtype=np.float32) for picture in pictures])
        return self._native.preprocess([self._picture(picture) for picture in pictures])

    def _picture(self, picture: np.ndarray) -> np.ndarray:
        picture = np.asarray(picture)
        if picture.dtype != np.uint8:
            raise Error(f"a picture must be uint8, not {picture.dtype}; normalised pixels are float32 "
                        f"[B, {self.channels}, {self.image_size[0]}, {self.image_size[1]}]")
        if picture.ndim == 2:
            picture = picture[:, :, None]
        if picture.ndim == 3 and picture.shape[2] == 1 and self.channels == 3:
            picture = np.repeat(picture, 3, axis=2)
        return picture

    def _pixels(self, images: Images) -> np.ndarray:
        if isinstance(images, np.ndarray) and images.dtype == np.float32 and images.shape[1:] == (self.channels, *self.image_size):
            return images
        return self.preprocess(images)

    def features(self, images: Images, kind: Literal["mean", "cls", "patches"] = "mean") -> np.ndarray:
        """Features of whole images, float32: "mean" of the patches [B, D] (behind the head's norm in a classifier with
        global pooling), the class token "cls" [B, D], or "patches" [B, rows, columns, D]."""
        found = self._native.features(self._pixels(images), kind)
        return self._on_grid(found) if kind == "patches" else found

    def masks(self, images: Images, mask_ratio: float = 0.75, hint_ratio: float = 0.05, **guide: object) -> Masks:
        """The informed masks that the model would train on. `guide`: what `sgmae mask` has beside, such as
        guide="paper" or guide_layer=-2; the others are as the model was trained."""
        found = self._native.masks(self._pixels(images), mask_ratio, hint_ratio, _texts(guide))
        return Masks(mask=self._on_grid(found["mask"]) > 0, relevance=self._on_grid(found["relevance"]),
                     object_side=self._on_grid(found["object_side"]) > 0,
                     degenerate=np.asarray(found["degenerate"], dtype=bool))

    def reconstruct(self, images: Images, mask: np.ndarray | None = None, mask_ratio: float = 0.75,
                    seed: int = 0) -> Reconstruction:
        """What the decoder makes of the hidden patches. `mask` [B, rows, columns], True where hidden, equally many in each
        image; without it random ones, those of `sgmae reconstruct` with this seed. A model with norm_pix_loss
        predicts patches less their mean and deviation: the true ones are put back."""
        pixels = self._pixels(images)
        if mask is None:
            order = self._native.random_order(len(pixels), mask_ratio, seed)
            visible = int(order.shape[1] * (1 - mask_ratio))
            hidden = np.zeros(order.shape, dtype=bool)
            np.put_along_axis(hidden, order[:, visible:], True, axis=1)
        else:
            hidden = np.asarray(mask, dtype=bool)
            if hidden.shape != (len(pixels), *self.grid):
                raise Error(f"mask must be [{len(pixels)}, {self.grid[0]}, {self.grid[1]}], not {list(hidden.shape)}")
            hidden = hidden.reshape(len(pixels), -1)
            counts = hidden.sum(axis=1)
            if counts.min() != counts.max() or counts[0] in (0, hidden.shape[1]):
                raise Error("mask must hide equally many patches of each image, some and not all")
            order = np.argsort(hidden, axis=1, kind="stable")
            visible = int(hidden.shape[1] - counts[0])
        restored, loss = self._native.reconstruct(pixels, order, visible)
        if self.stored_values:
            pictures = restored.transpose(0, 2, 3, 1) * np.float32(self.std) + np.float32(self.mean)
        else:
            pictures = self._native.pictures(restored)
        return Reconstruction(pictures, self._on_grid(hidden), loss)

    def _on_grid(self, patches: np.ndarray) -> np.ndarray:
        return patches.reshape(len(patches), *self.grid, *patches.shape[2:])


def load(path: str | os.PathLike[str], *, image_size: int | tuple[int, int] | None = None, device: str = "cpu",
         precision: Literal["fp32", "bf16"] = "fp32", **options: object) -> Model:
    """Opens what the program opens: a run folder (its newest checkpoint), a file or folder of any family
    (docs/checkpoints.md). `image_size`: a side, or (height, width); positions follow. `device`: "cpu", "cuda", "cuda:1".
    `options`: the command line's of files that do not say all, such as heads=6."""
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size or (0, 0)
    return Model(_native.Model(os.fspath(path), device, precision, height, width, _texts(options)))


def _texts(options: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}


def to_timm(path: str | os.PathLike[str], **options: object) -> torch.nn.Module:
    """The encoder, with its head where there is one, as timm's VisionTransformer in evaluation mode, of the same
    outputs. `options` as in load(). Imports PyTorch and timm."""
    import safetensors.torch
    import timm

    facts = _native.Model(os.fspath(path), "cpu", "fp32", 0, 0, _texts(options)).facts()
    if facts["batch_norm_head"]:
        raise Error(f"{facts['path']} is a linear probe, whose head is batch-normalised; timm has none such")
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "timm.safetensors")
        _native.write_as(os.fspath(path), file, "timm", _texts(options))
        tensors = safetensors.torch.load_file(file)
    model = timm.models.VisionTransformer(
        img_size=facts["image_size"], patch_size=facts["patch_size"], in_chans=facts["channels"],
        num_classes=facts["classes"], global_pool="token" if facts["pooling"] == "cls" else "avg",
        embed_dim=facts["dim"], depth=facts["depth"], num_heads=facts["heads"],
        mlp_ratio=facts["mlp_hidden"] / facts["dim"], init_values=1.0 if facts["layer_scale"] else None,
        reg_tokens=facts["registers"], no_embed_class=facts["registers"] > 0, fc_norm=facts["pooling"] == "mean",
        norm_layer=_norm_layer(facts["layer_norm_eps"]))
    model.load_state_dict(tensors)
    return model.eval()


def _norm_layer(eps: float):
    import functools

    import torch

    return functools.partial(torch.nn.LayerNorm, eps=eps)
