"""Multinomial logistic regression by scikit-learn, for tests/eval/logistic_test.cpp.

Run from the root: python tests/golden/logistic.py   (scikit-learn 1.9.1, numpy 2)
Prints the solution on features and labels that the test makes by the same formulas.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

images, dim, classes, l2 = 60, 4, 3, 0.01
i, d = np.arange(images)[:, None], np.arange(dim)[None, :]
features = np.sin(1.7 * i + 2.3 * d + 0.5 * i * d)
labels = (np.arange(images) * np.arange(images)) % 7 % classes
features[np.arange(images), labels] += 0.8

model = LogisticRegression(
    C=1 / (l2 * images), solver="newton-cg", tol=1e-12, max_iter=1000
)
model.fit(features, labels)
weight = model.coef_  # [classes, dim]
bias = model.intercept_ - model.intercept_.mean()  # only differences matter
logits = features @ weight.T + bias
loss = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(images), labels])
print("loss", repr(loss + 0.5 * l2 * (weight**2).sum()))
for row, b in zip(weight, bias):
    print(", ".join(f"{v:.9f}" for v in [*row, b]) + ",")
