"""A Mask R-CNN on ViTDet put together of transformers' VitDetBackbone and torchvision's proposal
network and heads: the peer of tests/golden/detect.py and bench/detect_peer.py.

Where torchvision's Mask R-CNN is another than ViTDet's, this has ViTDet's: cells of RoIAlign at half
places, anchors that are not rounded to pixels.

Needs: torch==2.11.0 torchvision==0.26.0 transformers==5.23.0
"""
import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection import roi_heads, rpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import roi_align
from transformers import VitDetBackbone, VitDetConfig


def unrounded_anchors(stride):
    cells = []
    for ratio in (0.5, 1.0, 2.0):
        w, h = 8 * stride / math.sqrt(ratio), 8 * stride * math.sqrt(ratio)
        cells.append([-w / 2, -h / 2, w / 2, h / 2])
    return torch.tensor(cells)


def project_masks(masks, boxes, matched, side):
    """torchvision's, with pixels' middles at 1/2."""
    rois = torch.cat([matched[:, None].to(boxes), boxes], 1)
    return roi_align(masks[:, None].to(rois), rois, (side, side), 1.0, -1, aligned=True)[:, 0]


roi_heads.project_masks_on_boxes = project_masks


class ChannelNorm(nn.LayerNorm):
    def __init__(self, channels):
        super().__init__(channels, eps=1e-6)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Pyramid(nn.Module):
    """ViTDet's simple feature pyramid."""

    def __init__(self, dim, channels):
        super().__init__()
        def output(n):
            return [nn.Conv2d(n, channels, 1, bias=False), ChannelNorm(channels),
                    nn.Conv2d(channels, channels, 3, padding=1, bias=False), ChannelNorm(channels)]
        self.p2 = nn.Sequential(nn.ConvTranspose2d(dim, dim // 2, 2, 2), ChannelNorm(dim // 2),
                                nn.GELU(), nn.ConvTranspose2d(dim // 2, dim // 4, 2, 2),
                                *output(dim // 4))
        self.p3 = nn.Sequential(nn.ConvTranspose2d(dim, dim // 2, 2, 2), *output(dim // 2))
        self.p4 = nn.Sequential(*output(dim))
        self.p5 = nn.Sequential(nn.MaxPool2d(2), *output(dim))

    def forward(self, x):
        maps = [self.p2(x), self.p3(x), self.p4(x), self.p5(x)]
        maps.append(F.max_pool2d(maps[-1], 1, 2))
        return OrderedDict((str(i), m) for i, m in enumerate(maps))


class Pooler(nn.Module):
    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, maps, boxes, shapes):
        every = torch.cat(boxes)
        rois = torch.cat([torch.cat([torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)]),
                          every], 1)
        area = (every[:, 2] - every[:, 0]) * (every[:, 3] - every[:, 1])
        level = torch.floor(4 + torch.log2(area.sqrt() / 224 + 1e-8)).clamp(2, 5).long() - 2
        out = every.new_zeros(len(every), maps["0"].shape[1], self.cells, self.cells)
        for i in range(4):
            where = torch.where(level == i)[0]
            out = out.index_put((where,), roi_align(maps[str(i)], rois[where], self.cells,
                                                    1 / (4 * 2**i), -1, aligned=True))
        return out


class MaskRcnnPeer(nn.Module):
    """`vit`: what VitDetConfig takes, at a square image_size that 64 divides."""

    def __init__(self, vit, channels, box_hidden, classes, proposals, rois, detections, lowest_score):
        super().__init__()
        self.backbone = VitDetBackbone(VitDetConfig(
            use_relative_position_embeddings=True, layer_norm_eps=1e-6, patch_size=16,
            pretrain_image_size=vit["image_size"], out_features=[f"stage{vit['num_hidden_layers']}"],
            **vit))
        self.pyramid = Pyramid(vit["hidden_size"], channels)
        generator = AnchorGenerator(tuple((8 * 4 * 2**i,) for i in range(5)),
                                    ((0.5, 1.0, 2.0),) * 5)
        generator.cell_anchors = [unrounded_anchors(4 * 2**i) for i in range(5)]
        before_training, before, after, samples = proposals
        self.rpn = rpn.RegionProposalNetwork(
            generator, rpn.RPNHead(channels, 3, conv_depth=2), 0.7, 0.3, samples, 0.5,
            dict(training=before_training, testing=before), dict(training=after, testing=after), 0.7)
        self.roi = roi_heads.RoIHeads(
            Pooler(7), FastRCNNConvFCHead((channels, 7, 7), [channels] * 4, [box_hidden], ChannelNorm),
            FastRCNNPredictor(box_hidden, classes + 1), 0.5, 0.5, rois, 0.25, None, lowest_score, 0.5,
            detections, Pooler(14), MaskRCNNHeads(channels, [channels] * 4, 1, ChannelNorm),
            MaskRCNNPredictor(channels, channels, classes + 1))

    def forward(self, pixels, targets=None):
        maps = self.pyramid(self.backbone(pixels).feature_maps[-1])
        images = ImageList(pixels, [tuple(pixels.shape[2:])] * len(pixels))
        proposals, rpn_losses = self.rpn(images, maps, targets)
        detections, losses = self.roi(maps, proposals, images.image_sizes, targets)
        return detections, {**rpn_losses, **losses}
