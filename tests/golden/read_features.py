"""Whether other programs read the Parquet files of sgmae embed: rows of pyarrow, pandas, polars,
duckdb and datasets, held bit for bit against the .npy file of the same images.

Needs: pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 datasets==5.2.0
Run from the repository root: python tests/golden/read_features.py FILE.parquet FILE.npy
"""
import json
import sys
import tempfile

import datasets
import duckdb
import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet


def main(parquet, npy):
    features, said = numpy.load(npy), json.load(open(npy + ".json"))
    names, labels, readable = said["names"], said["label"], said["readable"]
    classes = [said["class_names"][label] if label >= 0 else None for label in labels]

    def hold(reader, paths, their_labels, their_classes, their_readable, values, kind):
        values = numpy.array(values.tolist() if values.dtype == object else values, "f4").reshape(features.shape)
        assert list(paths) == names and list(their_labels) == labels and list(their_classes) == classes
        assert [bool(flag) for flag in their_readable] == readable
        assert (values.view("u4") == features.view("u4")).all(), reader
        print(f"{reader}: {len(names)} rows equal; feature is {kind}")

    table = pyarrow.parquet.read_table(parquet)
    flat = table["feature"].combine_chunks()
    kind = flat.type
    while pyarrow.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    hold("pyarrow", *(table[name].to_pylist() for name in ("path", "label", "class_name", "readable")), flat.to_numpy(), kind)
    assert json.loads(table.schema.metadata[b"embedding"]) == said["embedding"]
    frame = pandas.read_parquet(parquet)
    stacked = numpy.array([numpy.stack(row) if row.dtype == object else row for row in frame["feature"]])
    hold("pandas", frame["path"], frame["label"], [None if name is None or name != name else name for name in frame["class_name"]],
         frame["readable"], stacked, f"{frame['feature'].dtype}; labels {frame['label'].dtype}")
    frame = polars.read_parquet(parquet)
    hold("polars", frame["path"], frame["label"], frame["class_name"], frame["readable"], frame["feature"].to_numpy(),
         frame["feature"].dtype)
    rows = duckdb.sql(f"select path, label, class_name, readable, feature from '{parquet}'")
    columns = list(zip(*rows.fetchall()))
    hold("duckdb", *columns[:4], numpy.array(columns[4], "f4"), rows.types[4])
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.Dataset.from_parquet(parquet, cache_dir=cache)
        hold("datasets", rows["path"], rows["label"], rows["class_name"], rows["readable"],
             rows.with_format("numpy")[:]["feature"], rows.features["feature"])
    about = pyarrow.parquet.ParquetFile(parquet).metadata
    print(f"{about.num_row_groups} row groups of {about.row_group(0).num_rows} rows, {about.row_group(0).total_byte_size} bytes")


main(*sys.argv[1:])
