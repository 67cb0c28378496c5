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

import argparse
import contextlib
import pathlib
import sys

from machine import Contender, add_options, compare_contenders, environment, held, processor, serve_steps

PEERS = ["eager fp32", "eager bf16", "compiled bf16"]
OURS = ["ours fp32", "ours bf16"]
OBJECTS, CLASSES = 10, 80


def objects(side):
    import torch

    corner = torch.rand(OBJECTS, 2) * 0.6 * side
    boxes = torch.cat([corner, corner + (0.05 + 0.35 * torch.rand(OBJECTS, 2)) * side], 1).floor()
    masks = torch.zeros(OBJECTS, side, side, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.long().tolist()):
        mask[top:bottom, left:right] = 1
    return dict(boxes=boxes, labels=torch.randint(1, CLASSES + 1, (OBJECTS,)), masks=masks)


def serve(contender, options):
    """The peer's process."""
    import torch
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "golden"))
    from mask_rcnn_peer import MaskRcnnPeer

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    kind, precision = contender.split()
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
        with torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext():
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


def contender(name, options):
    kind, precision = name.split()
    sizes = ["--work", options.work, "--batch", str(options.batch), "--side", str(options.side), "--threads",
             str(options.threads)]
    command = ([options.ours, precision, *sizes[1::2]] if kind == "ours"
               else [sys.executable, __file__, "--serve", name, *sizes])
    return Contender(name, command, environment(options, kind != "ours"))


def compare(options):
    contenders = [contender(name, options) for name in options.contenders]
    print(f"\n{options.work}: Mask R-CNN on ViT-B/16, {options.side} px, batch {options.batch}, {options.threads} threads, "
          f"{options.rounds} rounds{held(options)}")
    compare_contenders(contenders, options.rounds, OURS, options.batch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--contenders", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--work", choices=["train", "detect"], default="train")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    add_options(parser)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options)
    else:
        print(processor())
        compare(options)
