"""Golden files for tests/detect/: what torchvision makes of the same inputs and the same choices.

  operations: box coding, clipping, anchors, matching with ties, RoIAlign (also its gradient), NMS,
              losses of proposals, boxes and masks, masks laid over their boxes
  mask_rcnn:  a whole model at a tiny size, in double precision, put together of transformers' VitDetBackbone and
              torchvision's proposal network and heads: parameters under our names, two images and
              their objects (one has none), losses, and every gradient; and what it detects

Where torchvision draws at random, the peer takes the first.

Needs: torch==2.11.0 torchvision==0.26.0 transformers==5.23.0 safetensors==0.8.0 (CPU is enough).
Run from the repository root: python tests/golden/detect.py
"""
import torch
import torch.nn.functional as F
import torchvision
import transformers
from safetensors.torch import save_file
from torchvision.models.detection import _utils, roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import batched_nms, clip_boxes_to_image, nms, roi_align

from mask_rcnn_peer import MaskRcnnPeer, project_masks, unrounded_anchors
from vitdet_beit import rename_vitdet

CLASSES, CHANNELS, SIDE = 4, 12, 128


def some_boxes(n, side, smallest=1.0):
    corner = torch.rand(n, 2) * side * 0.7
    return torch.cat([corner, corner + smallest + torch.rand(n, 2) * side * 0.5], 1)


def operations():
    t = {}
    t["coding.boxes"], t["coding.references"] = some_boxes(20, 100), some_boxes(20, 100)
    coder = _utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
    t["coding.encoded"] = coder.encode_single(t["coding.boxes"], t["coding.references"])
    t["coding.deltas"] = torch.randn(20, 8) * 3
    t["coding.deltas"][0] = 40.0  # beyond the largest growth
    t["coding.decoded"] = coder.decode_single(t["coding.deltas"], t["coding.references"])
    t["coding.clipped"] = clip_boxes_to_image(t["coding.decoded"].reshape(-1, 4), (60, 80))

    generator = AnchorGenerator(((128,),), ((0.5, 1.0, 2.0),))
    generator.cell_anchors = [unrounded_anchors(16)]
    t["anchors"] = generator.grid_anchors([[5, 7]], [[torch.tensor(16), torch.tensor(16)]])[0]

    # Overlaps in steps of 0.1, so that many are equal, and some lie on the thresholds.
    t["match.overlap"] = (torch.rand(6, 200) * 10).round() / 10
    t["match.overlap"][:, :50] = 0
    t["match.proposals"] = _utils.Matcher(0.7, 0.3, True)(t["match.overlap"])
    t["match.boxes"] = _utils.Matcher(0.5, 0.5, False)(t["match.overlap"])

    feature = torch.randn(1, 6, 13, 17, requires_grad=True)
    rois = torch.cat([some_boxes(30, 200), torch.tensor([
        [-40.0, -30, 20, 10], [250, 190, 400, 300], [5, 5, 5, 5], [0, 0, 272, 208],
        [30, 40, 31, 41], [600, 600, 700, 700]])])
    t["roi.feature"], t["roi.boxes"] = feature.detach(), rois
    for aligned in (True, False):
        for samples in (0, 2):
            out = roi_align(feature, [rois], 5, 1 / 16, samples or -1, aligned)
            dout = torch.randn_like(out)
            (gradient,) = torch.autograd.grad(out, feature, dout)
            key = f"roi.{'aligned' if aligned else 'plain'}.{samples}."
            t |= {key + "out": out, key + "dout": dout, key + "gradient": gradient[0]}

    boxes = some_boxes(1500, 100).round()  # equal boxes, and overlaps that are round numbers
    scores = (torch.rand(1500) * 200).round() / 200
    groups = torch.randint(0, 5, (1500,))
    t |= {"nms.boxes": boxes, "nms.scores": scores, "nms.groups": groups}
    for threshold in (0.3, 0.5, 0.6, 0.7):
        t[f"nms.kept.{threshold}"] = nms(boxes, scores, threshold)
        t[f"nms.in_groups.{threshold}"] = batched_nms(boxes, scores, groups, threshold)

    # Losses. Labels count from 0 here, the background last; torchvision's is class 0.
    logits, deltas = torch.randn(40, CLASSES + 1), torch.randn(40, 4 * (CLASSES + 1))
    labels = torch.cat([torch.randint(1, CLASSES + 1, (12,)), torch.zeros(28, dtype=torch.long)])
    targets = torch.randn(40, 4)
    classification, box = roi_heads.fastrcnn_loss(logits, deltas, [labels], [targets])
    t |= {"box.scores": logits.roll(-1, 1), "box.deltas": deltas[:, 4:],
          "box.labels": (labels - 1) % (CLASSES + 1), "box.targets": targets[:12],
          "box.classification": classification, "box.loss": box}

    masks = (torch.rand(3, 40, 50) > 0.5).to(torch.uint8)
    proposals = torch.tensor([[3.0, 4, 30, 28], [10.5, 2.25, 49, 39], [0, 0, 50, 40], [20, 20, 21.5, 23]])
    of = torch.tensor([0, 1, 2, 1])
    t["mask.masks"], t["mask.proposals"], t["mask.of"] = masks, proposals, of
    t["mask.targets"] = project_masks(masks, proposals, of, 28)
    mask_logits, mask_labels = torch.randn(4, CLASSES + 1, 28, 28), torch.tensor([1, 3, 4])
    t["mask.logits"], t["mask.labels"] = mask_logits[:, 1:].contiguous(), mask_labels[of] - 1
    t["mask.loss"] = roi_heads.maskrcnn_loss(mask_logits, [proposals], [masks], [mask_labels], [of])

    # torchvision takes a box for whole pixels, its last one included, and rounds it down once it is
    # widened by a cell all around: on these boxes, that is what a box between pixels is.
    pasted = torch.tensor([[10, 5, 10 + 28, 5 + 56], [30, 20, 30 + 84, 20 + 28],
                           [-28, -28, 28, 56], [100, 70, 156, 126]])
    squares = torch.rand(4, 28, 28)
    squares = F.avg_pool2d(squares[:, None], 5, 1, 2)[:, 0]
    squares = (squares - squares.mean()) * 4 + 0.5
    t["paste.boxes"], t["paste.squares"] = pasted.float(), squares
    t["paste.masks"] = torch.stack([
        (roi_heads.paste_mask_in_image(*widened(square, box), 90, 130) >= 0.5)
        for square, box in zip(squares, pasted)])
    return t


def widened(square, box):
    padded, scale = roi_heads.expand_masks(square[None, None], padding=1)
    wide = roi_heads.expand_boxes(box[None].float(), scale)[0].round().to(torch.int64)
    return padded[0, 0], wide - torch.tensor([0, 0, 1, 1])


class First:
    """Takes the first candidates, positives up to a share, where torchvision draws."""

    def __init__(self, count, share):
        self.count, self.share = count, share

    def __call__(self, matched):
        positives, negatives = [], []
        for labels in matched:
            p = torch.where(labels >= 1)[0][:int(self.count * self.share)]
            n = torch.where(labels == 0)[0][:self.count - len(p)]
            positives.append(torch.zeros_like(labels, dtype=torch.uint8))
            negatives.append(torch.zeros_like(labels, dtype=torch.uint8))
            positives[-1][p] = 1
            negatives[-1][n] = 1
        return positives, negatives


def our_names(peer, tensors):
    """The peer's parameters, or their gradients, under our names and in our order of classes."""
    out = {}
    simfp = {"p2": {0: "0", 1: "1", 3: "3", 4: "4", 5: "4.norm", 6: "5", 7: "5.norm"},
             "p3": {0: "0", 1: "1", 2: "1.norm", 3: "2", 4: "2.norm"},
             "p4": {0: "0", 1: "0.norm", 2: "1", 3: "1.norm"},
             "p5": {1: "1", 2: "1.norm", 3: "2", 4: "2.norm"}}
    for name, value in tensors.items():
        part, rest = name.split(".", 1)
        if part == "backbone":
            out |= rename_vitdet("", {rest: value})
        elif part == "pyramid":
            level, index, kind = rest.split(".")
            out[f"backbone.simfp_{level[1]}.{simfp[level][int(index)]}.{kind}"] = value
        elif part == "rpn":
            rest = rest.removeprefix("head.")
            if rest.startswith("conv."):
                rest = f"conv.conv{rest.split('.')[1]}.{rest.split('.')[-1]}"
            rest = rest.replace("cls_logits", "objectness_logits").replace("bbox_pred", "anchor_deltas")
            out["proposal_generator.rpn_head." + rest] = value
        elif rest.startswith("box_predictor.cls_score"):
            out["roi_heads." + rest] = value.roll(-1, 0)
        elif rest.startswith("box_predictor.bbox_pred"):
            out["roi_heads." + rest] = value[4:]
        elif rest.startswith("mask_predictor.mask_fcn_logits"):
            out["roi_heads.mask_head.predictor." + rest.split(".")[-1]] = value[1:]
        elif rest.startswith("mask_predictor.conv5_mask"):
            out["roi_heads.mask_head.deconv." + rest.split(".")[-1]] = value
        else:  # box_head.0.0.weight, box_head.5.weight (behind 4 convolutions and Flatten), mask_head.0.1.bias
            head, index, *inner, kind = rest.split(".")
            if not inner:
                out["roi_heads.box_head.fc1." + kind] = value
                continue
            layer = {"box_head": "conv", "mask_head": "mask_fcn"}[head] + str(int(index) + 1)
            norm = ".norm" if inner == ["1"] else ""
            out[f"roi_heads.{head}.{layer}{norm}.{kind}"] = value
    return out


def mask_rcnn():
    peer = MaskRcnnPeer(
        dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, mlp_ratio=2,
             image_size=SIDE, window_size=3, window_block_indices=[0, 1]),
        channels=CHANNELS, box_hidden=24, classes=CLASSES, proposals=(200, 100, 40, 64), rois=32,
        detections=20, lowest_score=0.05).eval()
    peer.rpn.fg_bg_sampler = First(64, 0.5)
    peer.roi.fg_bg_sampler = First(32, 0.25)
    with torch.no_grad():
        for name, p in peer.named_parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() < 2 else min(0.3, 1.0 / p[0].numel()**0.5)))
            if p.dim() == 1 and name.endswith("weight"):
                p.add_(1.0)
    pixels = torch.randn(2, 3, SIDE, SIDE)
    boxes = torch.tensor([[10.0, 12, 60, 90], [40, 30, 125, 70], [5, 80, 44, 120]])
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.long().tolist()):
        mask[y0:y1, x0:x1] = (torch.rand(y1 - y0, x1 - x0) > 0.3).to(torch.uint8)
    labels = torch.tensor([2, 1, 4])
    targets = [dict(boxes=boxes, labels=labels, masks=masks),
               dict(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long),
                    masks=torch.zeros(0, SIDE, SIDE, dtype=torch.uint8))]
    parameters = our_names(peer, {k: p.detach() for k, p in peer.named_parameters()})
    # In double precision from here on: what differs is ours.
    peer.double().train()
    peer.backbone.eval()
    for target in targets:
        target["boxes"] = target["boxes"].double()
    peer.rpn.anchor_generator.cell_anchors = [
        c.double() for c in peer.rpn.anchor_generator.cell_anchors]
    _, losses = peer(pixels.double(), targets)
    sum(losses.values()).backward()
    gradients = our_names(peer, {k: p.grad for k, p in peer.named_parameters()})
    peer.eval()
    with torch.no_grad():
        detections, _ = peer(pixels.double())
    t = {"pixels": pixels, "boxes": boxes, "labels": labels - 1, "masks": masks}
    t |= {"param." + k: v for k, v in parameters.items()}
    t |= {"grad." + k: v for k, v in gradients.items()}
    t |= {"loss." + {"loss_objectness": "objectness", "loss_rpn_box_reg": "proposal_box",
                     "loss_classifier": "classification", "loss_box_reg": "box",
                     "loss_mask": "mask"}[k]: v.detach() for k, v in losses.items()}
    for i, found in enumerate(detections):
        t |= {f"found.{i}.boxes": found["boxes"], f"found.{i}.scores": found["scores"],
              f"found.{i}.labels": found["labels"] - 1, f"found.{i}.masks": found["masks"][:, 0]}
        print("found", len(found["boxes"]))
    print({k: round(v.item(), 4) for k, v in losses.items()})
    return t


def main():
    for name, make in (("operations", operations), ("mask_rcnn", mask_rcnn)):
        torch.manual_seed(0)
        save_file({k: (v.float() if v.is_floating_point() else v).detach().clone().contiguous()
                   for k, v in make().items()},
                  f"tests/golden/data/detect/{name}.safetensors",
                  metadata={"torchvision": torchvision.__version__,
                            "transformers": transformers.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
