"""Training steps and sliding evaluation of UperNet on ViT-B/16, per second: ours beside the same model in PyTorch.

    python bench/segment_peer.py --ours build/bench_segment [--work train|slide] [--batch 2] [--side 512] [--rounds 5]

The peer is transformers' BeitForSemanticSegmentation with absolute positions beside its relative position bias, as
mmsegmentation's MAE recipe has it. It cannot read the last block (tests/golden/segmenter.py says why), so it reads
blocks 3, 5, 7 and 10, and the last one, which it runs nevertheless, is spared the way back; ours reads 3, 5, 7 and 11.
One process per contender; they take turns, a step each. A step goes forward and backward and updates by AdamW (fused
in PyTorch), on noise of 150 classes; evaluation is that of a photo of SIDE x 2 SIDE pixels by windows of SIDE pixels
two thirds of that apart: logits resized to their window, summed where these overlap, the likeliest class, and the
confusion matrix. Ratios are of images per second, ours over the peer's. Peak memory is the process's largest resident
set. PyTorch gets the allocator settings that sgmae gives itself (freed memory is kept), or with --own_allocator those
it has by default.

Requirements: torch==2.11.0 transformers==5.23.0
"""

from machine import autocast, serve_steps, step_bench

CLASSES = 150


def window_starts(length, window, stride):
    starts = [0]
    while starts[-1] + window < length:
        starts.append(min(starts[-1] + stride, length - window))
    return starts


def slide(model, pixels, truth, side, batch):
    """The confusion matrix of one image [1, 3, H, W]."""
    import torch

    height, width = pixels.shape[2:]
    places = [(y, x) for y in window_starts(height, side, side * 2 // 3) for x in window_starts(width, side, side * 2 // 3)]
    sums, counts = torch.zeros(1, CLASSES, height, width), torch.zeros(1, 1, height, width)
    for first in range(0, len(places), batch):
        some = places[first:first + batch]
        logits = model(torch.cat([pixels[:, :, y:y + side, x:x + side] for y, x in some])).logits.float()
        logits = torch.nn.functional.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
        for part, (y, x) in zip(logits, some):
            sums[0, :, y:y + side, x:x + side] += part
            counts[:, :, y:y + side, x:x + side] += 1
    predicted = (sums / counts).argmax(1)[0]
    return torch.bincount((truth * CLASSES + predicted).flatten(), minlength=CLASSES**2)


def serve(kind, precision, options):
    """The peer's process."""
    import torch
    from transformers import BeitConfig, BeitForSemanticSegmentation

    model = BeitForSemanticSegmentation(BeitConfig(
        image_size=options.side, num_labels=CLASSES, out_indices=[5, 7, 9, 12], layer_scale_init_value=1.0,
        drop_path_rate=0.0, use_relative_position_bias=True, use_absolute_position_embeddings=True,
        use_mean_pooling=True)).train(options.work == "train")
    # What runs is what is compiled; the object around it gives the loss.
    call = torch.compile(model) if kind == "compiled" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
    pixels = torch.randn(options.batch, 3, options.side, options.side)
    labels = torch.randint(0, CLASSES, (options.batch, options.side, options.side))
    photo = torch.randn(1, 3, options.side, 2 * options.side)
    truth = torch.randint(0, CLASSES, photo.shape[2:])

    def step():
        with autocast(precision):
            if options.work == "slide":
                with torch.no_grad():
                    slide(call, photo, truth, options.side, options.batch)
                return
            loss = call(pixels, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    serve_steps(step)


if __name__ == "__main__":
    step_bench(__file__, "UperNet on ViT-B/16", ["train", "slide"], serve,
               lambda options: options.batch if options.work == "train" else 1)
