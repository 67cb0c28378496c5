"""Golden t-SNE of planted clusters, by scikit-learn's exact method.

Writes data/tsne.json: 60 points of 8 values in four clusters, the KL divergence scikit-learn reached
at two perplexities, its embedding, and how well the embedding keeps the five nearest neighbours
(sklearn.manifold.trustworthiness).

Requirements: numpy==2.4.6 scikit-learn==1.9.1 (other versions may end in another optimum).
"""

import json
import pathlib

import numpy as np
from sklearn.manifold import TSNE, trustworthiness

rng = np.random.default_rng(11)
centres = 3 * rng.normal(size=(4, 8))
points = np.round(np.repeat(centres, 15, axis=0) + rng.normal(size=(60, 8)), 4)
runs = []
for perplexity in (5, 15):
    model = TSNE(perplexity=perplexity, method="exact", init="pca", learning_rate="auto", random_state=0)
    embedding = model.fit_transform(points.astype(np.float64))
    runs.append({
        "perplexity": perplexity,
        "divergence": float(model.kl_divergence_),
        "embedding": np.round(embedding, 4).tolist(),
        "trustworthiness": float(trustworthiness(points, embedding, n_neighbors=5)),
    })
    print(perplexity, runs[-1]["divergence"], runs[-1]["trustworthiness"])

out = pathlib.Path(__file__).parent / "data" / "tsne.json"
out.write_text(json.dumps({"points": points.tolist(), "runs": runs}))
