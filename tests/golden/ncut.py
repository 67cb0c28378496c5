"""Golden cuts of similarity graphs, by SciPy's generalised symmetric eigensolver.

Writes data/ncut.json: smooth random features of three images (7 x 7 patches, 8 values) and, for the
clamped cosine graph, the second smallest eigenvector of (D - W) y = lambda D y, its eigenvalue as
lambda_2 = 1 - lambda, the object side and the relevance (paper, section 3.1 and Eq. 8).

Requirements: numpy==2.4.6 scipy==1.17.1 (any recent version gives the same numbers to 1e-9).
"""

import json
import pathlib

import numpy as np
import scipy.linalg
import scipy.ndimage

rng = np.random.default_rng(7)
images = []
for case in range(3):
    grid = scipy.ndimage.gaussian_filter(rng.normal(size=(7, 7, 8)), sigma=(1.2, 1.2, 0))
    # case 1: a large common component, as MAE's features have; no weight is clamped there
    x = grid.reshape(49, 8) + (0.5 if case == 1 else 0.0)
    x = np.round(x, 5)
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    w = u @ u.T
    w[w < 0] = 1e-5
    d = np.diag(w.sum(1))
    values, vectors = scipy.linalg.eigh(d - w, d, subset_by_index=[1, 1])
    y = vectors[:, 0]
    seed = int(np.argmax(np.abs(y)))
    y = y * np.sign(y[seed])
    side = y >= y.mean()
    mean = x[side].mean(0)
    s = x @ mean / np.linalg.norm(x, axis=1) / np.linalg.norm(mean)
    images.append({
        "features": x.tolist(),
        "eigenvalue": 1 - float(values[0]),
        "eigenvector": y.tolist(),
        "object_side": side.astype(int).tolist(),
        "relevance": s.tolist(),
    })

out = pathlib.Path(__file__).parent / "data" / "ncut.json"
out.parent.mkdir(exist_ok=True)
out.write_text(json.dumps(images))
