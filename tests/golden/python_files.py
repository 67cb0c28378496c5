"""Golden pickles for tests/io/pickle_test.cpp and .npy files for npy_test.cpp and npy_header_test.cpp.
NumPy 1's names by replacement, since it does not run here.

Needs: Python 3.11, numpy==2.4.6. Run from the root: python tests/golden/python_files.py"""
import argparse
import collections
import pathlib
import pickle

import numpy

OUT = pathlib.Path("tests/golden/data/io")
shared = [1]
PLAIN = {
    "constants": [None, True, False],
    "integers": [0, 255, 256, -1, 70000, 2**31, -(2**63)],
    "reals": [0.5, -1e300],
    "text": "é漢😀\n\\u",
    "bytes": b"\0\xff a",
    "empty": b"",
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "set": {3},
    "frozen": frozenset([4]),
    "shared": [shared, shared],
    "ordered": collections.OrderedDict(a=1, b=2),
    "args": argparse.Namespace(lr=0.25, name="x"),
    "many": list(range(1200)),
}
ARRAYS = {
    "f4": numpy.arange(6, dtype="<f4").reshape(2, 3),
    "columns": numpy.asfortranarray(numpy.arange(6, dtype="<i8").reshape(2, 3)),
    "u1": numpy.arange(3, dtype="u1"),
    "big": numpy.arange(2, dtype=">i2"),
    "scalars": [numpy.float64(0.5), numpy.float32(0.25), numpy.int64(-7), numpy.bool_(True)],
}

OUT.mkdir(parents=True, exist_ok=True)
for protocol in range(6):
    (OUT / f"plain{protocol}.pkl").write_bytes(pickle.dumps(PLAIN, protocol))
    (OUT / f"arrays{protocol}.pkl").write_bytes(pickle.dumps(ARRAYS, protocol))
old = pickle.dumps(ARRAYS, 2).replace(b"numpy._core.", b"numpy.core.")
(OUT / "arrays_numpy1.pkl").write_bytes(old)
(OUT / "big_integer.pkl").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))

matrix = numpy.arange(6, dtype="<f4").reshape(2, 3)
numpy.save(OUT / "f4_2x3.npy", matrix)
numpy.save(OUT / "f4_columns.npy", numpy.asfortranarray(matrix))
numpy.save(OUT / "i8_3.npy", numpy.arange(3, dtype="<i8"))
numpy.save(OUT / "b1_scalar.npy", numpy.array(True))
