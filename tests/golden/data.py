"""Golden files for tests/data: tar archives as tarfile writes them, CIFAR's Python archives in miniature.

Writes data/data/. Requirements: numpy==2.4.6
"""

import io
import json
import pathlib
import pickle
import tarfile

import numpy

OUT = pathlib.Path(__file__).parent / "data" / "data"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.iterdir():
    old.unlink()

# Names of all lengths at which the formats change their ways.
FILES = {
    "a.txt": b"alpha",
    "empty.bin": b"",
    "folder/block.bin": bytes(range(256)) * 2,
    "../outside.jpg": b"a name and no path",
    "x" * 99 + ".1": b"one hundred and one",
    "d" * 90 + "/" + "f" * 80: b"fits the prefix of ustar",
    "d" * 120 + "/" + "e" * 120 + "/f.jpg": b"fits no ustar header",
}


def archive(name, format):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=format) as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for path, content in FILES.items():
            if format == tarfile.USTAR_FORMAT and (len(path) > 200 or path.startswith("x")):
                continue
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    end = len(raw.getvalue().rstrip(b"\0"))
    (OUT / name).write_bytes(raw.getvalue()[: (end // 512 + 3) * 512])  # without most of the final zeros
    with tarfile.open(fileobj=io.BytesIO(raw.getvalue())) as tar:
        return [
            {"name": m.name, "offset": m.offset_data, "size": m.size} for m in tar.getmembers() if m.isreg()
        ]


golden = {
    "ustar.tar": archive("ustar.tar", tarfile.USTAR_FORMAT),
    "gnu.tar": archive("gnu.tar", tarfile.GNU_FORMAT),
    "pax.tar": archive("pax.tar", tarfile.PAX_FORMAT),
}


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its str, as in CIFAR's files."""

    def save_python2_string(self, text):
        if len(text) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text)
        else:
            self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_python2_string}


def python2_pickle(value):
    out = io.BytesIO()
    Python2Pickler(out, protocol=2).dump(value)
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def targz(name, files):
    with tarfile.open(OUT / name, "w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def images(seed, count):
    """[count, 3072]: each plane has its own level, so that the archives stay small; a few pixels tell rows apart."""
    rng = numpy.random.default_rng(seed)
    planes = numpy.repeat(rng.integers(0, 256, (count, 3, 1), dtype=numpy.uint8), 1024, axis=2)
    planes[:, :, [0, 1, 32, 1023]] = rng.integers(0, 256, (count, 3, 4), dtype=numpy.uint8)
    return planes.reshape(count, 3072)


def expected(batches, labels):
    pixels = numpy.concatenate(batches).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return {"labels": labels, "corner": pixels[:, :2, :2].tolist(), "sum": int(pixels.astype(int).sum())}


names10 = [b"airplane", b"automobile", b"bird"]
files, batches = {}, []
for i in range(1, 6):
    batches.append(images(i, 2))
    files[f"cifar-10-batches-py/data_batch_{i}"] = python2_pickle(
        {b"batch_label": b"training batch", b"labels": [i % 3, 2], b"data": batches[-1], b"filenames": [b"a.png", b"b.png"]}
    )
test = images(9, 3)
files["cifar-10-batches-py/test_batch"] = python2_pickle({b"labels": [0, 1, 2], b"data": test})
files["cifar-10-batches-py/batches.meta"] = python2_pickle({b"num_cases_per_batch": 2, b"label_names": names10})
targz("cifar-10-python.tar.gz", files)
golden["cifar10"] = {
    "train": expected(batches, [label for i in range(1, 6) for label in (i % 3, 2)]),
    "test": expected([test], [0, 1, 2]),
}
train = images(20, 4)
targz(
    "cifar-100-python.tar.gz",
    {
        "cifar-100-python/train": python2_pickle(
            {b"fine_labels": [1, 0, 1, 1], b"coarse_labels": [5, 5, 5, 5], b"data": train}
        ),
        "cifar-100-python/test": python2_pickle({b"fine_labels": [0], b"coarse_labels": [5], b"data": images(21, 1)}),
        "cifar-100-python/meta": python2_pickle({b"fine_label_names": [b"apple", b"train"], b"coarse_label_names": [b"x"]}),
    },
)
golden["cifar100"] = {"train": expected([train], [1, 0, 1, 1]), "test": expected([images(21, 1)], [0])}

(OUT / "golden.json").write_text(json.dumps(golden) + "\n")
