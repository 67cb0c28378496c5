"""Golden files for tests/data: Parquet and Arrow files as `datasets` and pyarrow write them, and their rows as
`datasets` reads them.

Writes data/tables/. Requirements: datasets==5.2.0 pyarrow==26.0.1 pillow==13.0.0
"""

import base64
import io
import json
import os
import pathlib
import shutil
import tempfile

import datasets
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pyarrow.parquet.encryption
from PIL import Image

OUT = pathlib.Path(__file__).parent / "data" / "tables"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
CACHE = tempfile.TemporaryDirectory()
golden = {}


def fnv(data):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def png(red):
    out = io.BytesIO()
    image = Image.new("RGB", (6, 5))
    image.putdata([(red, 7 * i % 256, 99) for i in range(30)])
    image.save(out, "PNG")
    return out.getvalue()


def noise(red, size):
    """A PNG that does not compress, of at least so many bytes: behind its end."""
    state, tail = 77 + red, bytearray()
    while len(tail) < size:
        state = (1103515245 * state + 12345) % (1 << 31)
        tail.append(state >> 16 & 255)
    return png(red) + bytes(tail)


def add(name, image="image", label="label"):
    """What `datasets` reads: the bytes and the label of every row."""
    path = str(OUT / name)
    if name.endswith(".parquet"):
        rows = datasets.Dataset.from_parquet(path, cache_dir=CACHE.name)
    else:
        rows = datasets.Dataset.from_file(path)
    if isinstance(rows.features[image], datasets.Image):
        rows = rows.cast_column(image, datasets.Image(decode=False))
    entries = []
    for row in rows:
        value = row[image]
        data = value["bytes"] if isinstance(value, dict) else value
        entries.append({"bytes": fnv(data) if data else None, "label": row[label] if label else None})
    golden[name] = {"rows": entries}
    if label and isinstance(rows.features[label], datasets.ClassLabel):
        golden[name]["classes"] = rows.features[label].names


features = datasets.Features(
    {
        "mask": datasets.Image(),
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["zebra", "ant", "cow"]),
        "caption": datasets.Value("string"),
    }
)
whole = datasets.Dataset.from_dict(
    {
        "mask": [{"bytes": png(100 + i), "path": None} for i in range(9)],
        "image": [{"bytes": png(10 * i), "path": f"{i}.png"} for i in range(9)],
        "label": [2, 0, 1, 1, 0, 2, 2, 0, -1],
        "caption": [f"number {i}" for i in range(9)],
    },
    features=features,
)
whole.to_parquet(str(OUT / "hub.parquet"))
add("hub.parquet")
whole.save_to_disk(str(OUT / "saved"))
(OUT / "saved" / "data-00000-of-00001.arrow").rename(OUT / "saved.arrow")
shutil.rmtree(OUT / "saved")
add("saved.arrow")

# As pyarrow writes: the same rows, some of them equal, in pages of many kinds.
table = pyarrow.table(
    {
        "image": [{"bytes": png(i // 2 * 5), "path": None} for i in range(40)],
        "label": [f"class {i % 3}" for i in range(40)],
    }
)
kinds = {
    "plain": dict(compression="none", use_dictionary=False),
    "dictionary": dict(compression="none", row_group_size=15),
    "snappy": dict(compression="snappy", use_dictionary=False, data_page_size=500, row_group_size=25, write_batch_size=4),
    "snappy_dictionary": dict(compression="snappy", row_group_size=15),
    "zstd": dict(compression="zstd", use_dictionary=False, data_page_size=500, write_batch_size=4),
    "gzip_dictionary": dict(compression="gzip"),
    "version2": dict(compression="snappy", data_page_version="2.0", use_dictionary=False),
    "dictionary_outgrown": dict(compression="snappy", dictionary_pagesize_limit=400, write_batch_size=4),
}
for name, options in kinds.items():
    pyarrow.parquet.write_table(table, OUT / f"{name}.parquet", store_schema=False, **options)
    add(f"{name}.parquet")
# Images larger than the pieces in which Snappy compresses.
large = pyarrow.table({"image": [noise(i, 40_000 if i == 3 else 9_000) for i in range(9)]})
pyarrow.parquet.write_table(large, OUT / "snappy_pieces.parquet", compression="snappy", use_dictionary=False)
add("snappy_pieces.parquet", label=None)
pyarrow.feather.write_feather(table, str(OUT / "file.arrow"), compression="uncompressed")
golden["file.arrow"] = golden["plain.parquet"]
pyarrow.parquet.write_table(
    table.slice(0, 9), OUT / "lengths.parquet", column_encoding={"image.bytes": "DELTA_LENGTH_BYTE_ARRAY"}, use_dictionary=False
)
add("lengths.parquet")

# Rows without bytes; numbers and words in other columns.
some = pyarrow.table(
    {
        "picture": [
            {"bytes": png(1), "path": "lost/a.png"},
            {"bytes": None, "path": "beside/b.png"},
            None,
            {"bytes": b"", "path": "beside/c.png"},
            {"bytes": None, "path": None},
        ],
        "fine_label": [4, 4, 7, 7, None],
        "weight": [0.5, 1.0, 2.0, 3.0, 4.0],
    }
)
pyarrow.parquet.write_table(some, OUT / "paths.parquet")
with pyarrow.OSFile(str(OUT / "paths.arrow"), "wb") as sink, pyarrow.ipc.new_stream(sink, some.schema) as writer:
    writer.write_table(some)

# What cannot be read.
lists = pyarrow.table({"image": [[{"bytes": png(1), "path": None}]], "name": ["a"]})
pyarrow.parquet.write_table(lists, OUT / "lists.parquet")
pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "number": [1]}), OUT / "no_images.parquet")
pyarrow.feather.write_feather(table, str(OUT / "compressed.arrow"), compression="lz4")
pyarrow.parquet.write_table(table.slice(0, 4), OUT / "delta.parquet", column_encoding={"image.bytes": "DELTA_BYTE_ARRAY"}, use_dictionary=False)


class Keys(pyarrow.parquet.encryption.KmsClient):
    def __init__(self, config):
        super().__init__()

    def wrap_key(self, key, master):
        return base64.b64encode(key)

    def unwrap_key(self, key, master):
        return base64.b64decode(key)


factory = pyarrow.parquet.encryption.CryptoFactory(lambda config: Keys(config))
for name, plaintext in (("encrypted", False), ("encrypted_column", True)):
    encryption = pyarrow.parquet.encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["image.bytes"]}, plaintext_footer=plaintext
    )
    properties = factory.file_encryption_properties(pyarrow.parquet.encryption.KmsConnectionConfig(), encryption)
    with pyarrow.parquet.ParquetWriter(
        OUT / f"{name}.parquet", table.schema, encryption_properties=properties, use_dictionary=False
    ) as writer:
        writer.write_table(table.slice(0, 4))

for file in OUT.iterdir():
    os.utime(file)
(OUT / "golden.json").write_text(json.dumps(golden) + "\n")
