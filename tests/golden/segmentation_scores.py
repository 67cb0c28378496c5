"""The numbers in tests/eval/pixel_counts_test.cpp (EqualsTorchmetrics), computed by torchmetrics.

Needs: torch==2.11.0 torchmetrics==1.9.0. Run from anywhere; prints what the test has.
"""
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

truth = torch.tensor([0, 0, 1, 1, 2, 255, 2, 0])
predicted = torch.tensor([0, 1, 1, 1, 0, 3, 2, 0])
for name, metric in {
    "iou by class": MulticlassJaccardIndex(4, average="none", ignore_index=255),
    "mean iou": MulticlassJaccardIndex(4, average="macro", ignore_index=255),
    "frequency-weighted iou": MulticlassJaccardIndex(4, average="weighted", ignore_index=255),
    "accuracy": MulticlassAccuracy(4, average="micro", ignore_index=255),
    "mean accuracy": MulticlassAccuracy(4, average="macro", ignore_index=255),
}.items():
    print(name, metric(predicted, truth).tolist())
