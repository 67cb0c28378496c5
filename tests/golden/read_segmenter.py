"""Segmentation models that sgmae writes for transformers, read by transformers: nothing is missing or left over, and
logits are those of the folder that was converted (tests/golden/data/segment/beit).

Needs: torch==2.11.0 transformers==5.23.0, and build/sgmae.
Run from the repository root: python tests/golden/read_segmenter.py [build/sgmae]
"""
import subprocess
import sys
import tempfile

import torch
from transformers import BeitForSemanticSegmentation

THEIRS = "tests/golden/data/segment/beit"


def logits(folder):
    model, report = BeitForSemanticSegmentation.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    torch.manual_seed(0)
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, *([model.config.image_size] * 2))).logits


with tempfile.TemporaryDirectory() as folder:
    program = sys.argv[1] if len(sys.argv) > 1 else "build/sgmae"
    subprocess.run([program, "convert", THEIRS, f"{folder}/beit", "--to", "hf_beit"], check=True)
    assert torch.equal(logits(THEIRS), logits(f"{folder}/beit"))
print("logits are equal")
