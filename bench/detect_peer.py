"""Training steps and detection with Mask R-CNN on ViT-B/16, per second: ours beside the same model in PyTorch.

    python bench/detect_peer.py --ours build/bench_detect [--work train|detect] [--batch 2] [--side 512] [--rounds 5]

The peer is that of the parity test (tests/golden/mask_rcnn_peer.py): transformers' VitDetBackbone and torchvision's
proposal network and heads. One process per contender; they take turns, a step each. A step draws anchors and proposals,
goes forward and backward and updates by AdamW (fused in PyTorch), on noise with ten objects an image; detection is
that of 100 objects an image with their masks, before these are laid over it. Ratios are of images per second, ours
over the peer's. Peak memory is the process's largest resident set. PyTorch gets the allocator settings that sgmae gives
itself (freed memory is kept), or with --own_allocator those it has by default.

Requirements: torch==2.11.0 torchvision==0.26.0 transformers==5.23.0
"""

import pathlib
import sys

from machine import autocast, serve_steps, step_bench

OBJECTS, CLASSES = 10, 80


def objects(side):
    import torch

    corner = torch.rand(OBJECTS, 2) * 0.6 * side
    boxes = torch.cat([corner, corner + (0.05 + 0.35 * torch.rand(OBJECTS, 2)) * side], 1).floor()
    masks = torch.zeros(OBJECTS, side, side, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.long().tolist()):
        mask[top:bottom, left:right] = 1
    return dict(boxes=boxes, labels=torch.randint(1, CLASSES + 1, (OBJECTS,)), masks=masks)


def serve(kind, precision, options):
    """The peer's process."""
    import torch
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "golden"))
    from mask_rcnn_peer import MaskRcnnPeer

    model = MaskRcnnPeer(
        dict(hidden_size=768, num_attention_heads=12, num_hidden_layers=12, mlp_ratio=4, image_size=options.side,
             window_size=14, window_block_indices=[0, 1, 3, 4, 6, 7, 9, 10]),
        channels=256, box_hidden=1024, classes=CLASSES, proposals=(2000, 1000, 1000, 256), rois=512, detections=100,
        lowest_score=0.0).train(options.work == "train")
    if kind == "compiled":  # what surrounds it has shapes that change with every step
        model.backbone = torch.compile(model.backbone)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.999), weight_decay=0.1, fused=True)
    pixels = torch.randn(options.batch, 3, options.side, options.side)
    targets = [objects(options.side) for _ in range(options.batch)]

    def step():
        with autocast(precision):
            if options.work == "detect":
                with torch.no_grad():
                    for image in pixels:
                        model(image[None])
                return
            loss = sum(model(pixels, targets)[1].values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    serve_steps(step)


if __name__ == "__main__":
    step_bench(__file__, "Mask R-CNN on ViT-B/16", ["train", "detect"], serve,
               lambda options: options.batch)
