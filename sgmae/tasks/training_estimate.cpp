#include "sgmae/tasks/training_estimate.h"

#include <algorithm>

#include "sgmae/detect/mask_rcnn.h"
#include "sgmae/nn/vit.h"
#include "sgmae/segment/segmenter.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

constexpr double fp32 = 4;  // bytes

double real(std::int64_t count) {
  return static_cast<double>(count);
}

// A head as it is added up: multiply-adds of its forward pass, the bytes that autograd keeps of it
// until backward, and the most that there is beside these at one moment.
struct HeadWork {
  double type;  // bytes of an activation
  double macs = 0, kept = 0, beside = 0;
  double weights = 0;   // bytes of those that convolutions keep as they take them
  double products = 0;  // bytes of those of the convolution that has most

  bool rounds() const { return type < fp32; }
  // Kept beside the fp32 value that it is made of; that of fp32 is the value itself.
  double copy() const { return rounds() ? type : 0; }

  void layer(double cells, double in, double out, double kernel = 1) {
    macs += cells * in * out * kernel;
  }
  void convolution(double cells, double in, double out) {  // 3x3
    layer(cells, in, out, 9);
    kept += cells * in * type;
    weights += 9 * in * out * type;
    // Wide ones are products of tiles of 4 x 4 cells, 36 of each (dense/winograd.cpp).
    if (std::min(in, out) < 128) return;
    const double tiles = std::min(cells / 16, 2 * std::min(in, out));
    products = std::max(products, 36 * fp32 * (tiles * (in + out) + in * out));
  }
};

// ---- Mask R-CNN ---------------------------------------------------------------------------------

// Of one image: pyramid and proposal network (detect/pyramid.cpp, proposals.cpp).
void add_pyramid(HeadWork& work, const MaskRcnnConfig& c) {
  const double n = real(c.backbone.n_patches()), dim = real(c.backbone.size.dim),
               channels = real(c.channels);
  const double shapes = real(static_cast<std::int64_t>(c.proposals.anchors.ratios.size()));
  // p2's two doublings, of which the norm and the GELU between them keep their inputs, and p3's.
  work.layer(n, dim, 2 * dim);
  work.layer(4 * n, dim / 2, dim);
  work.layer(n, dim, 2 * dim);
  work.kept += 2 * n * dim * work.copy() + 4 * n * dim / 2 * (2 * fp32 + work.type);
  // p5's halved map, and where its values came from.
  work.kept += n / 4 * dim * (fp32 + 8 + work.copy()) + n * dim * work.copy();
  const struct {
    double cells, in;
  } levels[] = {{16 * n, dim / 4}, {4 * n, dim / 2}, {n, dim}, {n / 4, dim}};
  for (const auto& [cells, in] : levels) {
    work.layer(cells, in, channels);
    work.convolution(cells, channels, channels);
    work.kept += 2 * cells * channels * fp32;  // what the norms of both layers read
  }
  work.kept += (levels[0].cells * levels[0].in + levels[1].cells * levels[1].in) * work.type;
  for (const double cells : {16 * n, 4 * n, n, n / 4, n / 16}) {
    for (std::int64_t i = 0; i < c.proposal_convs; ++i) work.convolution(cells, channels, channels);
    work.layer(cells, channels, 5 * shapes);
    work.kept += cells * channels * work.type;
    work.kept += cells * shapes * fp32 * (2 * 5 + 4);  // scores, also all together, and anchors
  }
}

// So many cells of pooled boxes through convolutions, each with a norm, which keeps what it reads
// in fp32, and ReLU, whose result is what the next one reads where nothing is rounded.
void add_pooled(HeadWork& work, double cells, const MaskRcnnConfig& c, std::int64_t convolutions) {
  const double channels = real(c.channels);
  for (std::int64_t i = 0; i < convolutions; ++i) {
    work.convolution(cells, channels, channels);
    work.kept += cells * channels * (work.rounds() ? 2 * fp32 : fp32);
  }
  if (!work.rounds()) work.kept += cells * channels * fp32;
}

HeadWork head_work(const MaskRcnnConfig& c, const TrainingRun& run) {
  HeadWork work{run.precision == Precision::bf16 ? 2.0 : fp32};
  add_pyramid(work, c);
  const double batch = real(run.batch_size), channels = real(c.channels);
  const double classes = real(c.classes);
  HeadWork boxes{work.type};
  const double drawn = real(c.rois.samples), box_cells = real(c.rois.box_cells * c.rois.box_cells);
  const double box_values = drawn * box_cells * channels;
  add_pooled(boxes, drawn * box_cells, c, c.box_convs);
  boxes.layer(drawn, channels * box_cells, real(c.box_hidden));
  boxes.layer(drawn, real(c.box_hidden), 5 * classes + 1);
  boxes.kept += box_values * (fp32 + boxes.copy());  // made flat
  boxes.kept += drawn * (2 * boxes.type * real(c.box_hidden) + 2 * fp32 * 5 * classes);
  // Backward begins with the masks, without these with the boxes: there are the gradients of some
  // results in a row.
  boxes.beside = 3 * box_values * fp32;
  if (c.masks) {
    const double cells = drawn * c.rois.positives * real(c.rois.mask_cells * c.rois.mask_cells);
    add_pooled(boxes, cells, c, c.mask_convs);
    boxes.layer(cells, channels, 4 * channels);
    boxes.layer(4 * cells, channels, classes);
    boxes.kept += cells * channels * (boxes.copy() + 4 * boxes.type);
    boxes.kept += 4 * cells * classes * (fp32 + boxes.copy());
    const double logits = 4 * cells * classes * (2 * fp32 + boxes.copy());
    // What was pooled of each image stays until the losses are known.
    const double pooled = box_values * fp32 + cells * channels * fp32;
    boxes.beside = std::max({logits, 2 * 4 * cells * channels * boxes.type, pooled});
  }
  work.macs += boxes.macs;
  work.kept = batch * (work.kept + work.weights + boxes.kept) + boxes.weights;
  work.beside = batch * boxes.beside + std::max(work.products, boxes.products);
  return work;
}

// ---- Segmentation -------------------------------------------------------------------------------

HeadWork head_work(const SegmenterConfig& c, const TrainingRun& run) {
  HeadWork work{run.precision == Precision::bf16 ? 2.0 : fp32};
  const double n = real(c.backbone.n_patches()), dim = real(c.backbone.size.dim),
               classes = real(c.classes), type = work.type;
  const double padded = real((c.classes + 15) / 16 * 16);
  const double batch = real(run.batch_size);
  double scored = n;     // cells of the logits
  double enlarging = 0;  // beside what is kept, in the convolution over all levels
  if (c.head == SegmentHead::linear) {
    const double all = dim * real(static_cast<std::int64_t>(c.taps.size()));
    work.layer(n, all, classes);
    work.kept += n * all * (2 * fp32 + work.copy());
  } else {
    const double channels = real(c.channels);
    scored = 16 * n;
    // The neck: two doublings, of which batch norm and GELU between them keep their inputs; one.
    work.layer(n, dim, 4 * dim);
    work.layer(4 * n, dim, 4 * dim);
    work.layer(n, dim, 4 * dim);
    work.kept += 2 * n * dim * work.copy() + 3 * 4 * n * dim * type;
    work.kept += n / 4 * dim * (fp32 + 8);
    // Of the finer three levels the lateral layer, the sum with what is above, the smooth one.
    const double finer[] = {16 * n, 4 * n, n};
    for (const double cells : finer) {
      work.layer(cells, dim, channels);
      work.convolution(cells, channels, channels);
      work.kept += cells * (dim + 3 * channels) * type;
    }
    const double pools = real(static_cast<std::int64_t>(c.pool_scales.size()));
    const double pooled = dim + pools * channels;
    work.convolution(n / 4, pooled, channels);
    for (const std::int64_t scale : c.pool_scales) work.layer(real(scale * scale), dim, channels);
    work.kept += n / 4 * 2 * channels * type;
    // All levels together, batch norm, dropout, and what the classifier reads.
    work.layer(16 * n, 4 * channels, channels, 9);
    work.layer(16 * n, channels, classes);
    const double last = 16 * n * channels * (fp32 + work.copy() + fp32);
    work.kept += last;
    // In the backward pass of the first of these what comes behind it is gone; there are the
    // gradients of its result, of the finest level and of its weight, and those of the next level's
    // taps or what cells of the finest see, some at a time (dense/convolution.cpp).
    constexpr double at_once = 2048;
    const double finest = batch * 16 * n * channels;
    enlarging = finest * (2 * type + 2 * work.copy()) +
                9 * 4 * channels * channels * (fp32 + type) - batch * last +
                type * std::max(9 * batch * 4 * n * channels, finest + 9 * at_once * channels);
    if (c.auxiliary_weight > 0) {
      const double own = real(c.auxiliary_channels);
      work.layer(n, dim, own, 9);
      work.layer(n, own, classes);
      work.kept += n * (dim * work.copy() + 2 * own * type + classes * (type + fp32));
    }
  }
  // The loss keeps its gradient, for which the values are laid out anew.
  const double loss = scored * padded * fp32;
  work.kept = batch * (work.kept + loss) + work.weights;
  // While it is computed there are the logits, these values, and gradients by strips that overlap.
  work.beside = std::max(batch * (scored * classes * type + 2.25 * loss),
                         work.products + enlarging - batch * loss);
  return work;
}

// ---- Contrast -----------------------------------------------------------------------------------

// Projector and predictor of two views (contrast/projection_head.cpp): for each view a layer keeps
// its input, its rounded weights and what its batch norm reads, and backward makes the gradient of
// its weights. Of the key network nothing is kept.
HeadWork head_work(const MocoConfig& c, const TrainingRun& run) {
  HeadWork work{run.precision == Precision::bf16 ? 2.0 : fp32};
  constexpr double views = 2;
  const double rows = views * real(run.batch_size);
  const auto head = [&](std::initializer_list<std::int64_t> sizes) {
    for (const std::int64_t* size = sizes.begin(); size + 1 != sizes.end(); ++size) {
      const double in = real(size[0]), out = real(size[1]);
      work.layer(views, in, out);
      work.kept += rows * (in * work.type + out * fp32) + views * in * out * work.copy();
      work.beside = std::max(work.beside, in * out * fp32);
    }
  };
  head({c.encoder.size.dim, c.hidden, c.hidden, c.features});
  work.macs *= 4.0 / 3;  // once more forward, of the keys
  head({c.features, c.hidden, c.features});
  return work;
}

// ---- All ----------------------------------------------------------------------------------------

ParameterCount count(const std::vector<Parameter>& parameters) {
  ParameterCount count;
  count.all = value_count(parameters);
  count.flat = flat_size(parameters);
  for (const Parameter& p : parameters) count.trained += p.trained() ? p.value.numel() : 0;
  return count;
}

// What is trained on top of an encoder, and how.
struct Training {
  const VitConfig& encoder;
  std::vector<Parameter> parameters;
  HeadWork heads;
  std::int64_t maps = 1;   // of the encoder's tokens, that the heads or the final norm read in fp32
  std::int64_t views = 1;  // of an image, all at once
  bool frozen = false;     // the encoder, which keeps nothing then
};

TrainingEstimate estimate(const Training& t, const TrainingRun& run) {
  const double images = real(t.views * run.batch_size);
  const double pixels =
      images * real(t.encoder.channels * t.encoder.height * t.encoder.width) * fp32;

  TrainingEstimate e;
  e.parts = parts_of(t.parameters);
  const double whole = real(t.views) * training_flop_per_image(t.encoder);
  e.encoder_flop = t.frozen ? whole / 3 : whole;
  e.head_flop = 3 * 2 * t.heads.macs;

  MemoryEstimate& m = e.memory;
  m = memory_of_parameters(count(t.parameters), run);
  // When the loss is known and backward begins with the heads; or when these are gone, and the
  // encoder's last block begins.
  const EncoderBytes own =
      encoder_bytes(t.encoder, t.views * run.batch_size, run.precision, run.checkpoint_activations);
  const double map = images * real(t.encoder.n_patches() * t.encoder.size.dim) * fp32;
  const double maps = real(t.maps) * map;
  m.activations = (t.frozen ? 0 : own.traces) + maps +
                  std::max(t.heads.kept + t.heads.beside, (t.frozen ? 0 : map) + own.backward);
  if (!run.on_cpu || t.views > 1) m.activations += pixels;  // views are put together
  m.gaps = m.activations / 8;
  m.batches = real(held_batches(run)) * pixels;
  return e;
}

}  // namespace

TrainingEstimate estimate_training(const VitConfig& c, const TrainingRun& run) {
  return estimate({.encoder = c, .parameters = Vit::parameters_of(c), .heads = {}}, run);
}

TrainingEstimate estimate_training(const MaskRcnnConfig& c, const TrainingRun& run) {
  return estimate(
      {.encoder = c.backbone, .parameters = MaskRcnn::parameters_of(c), .heads = head_work(c, run)},
      run);
}

TrainingEstimate estimate_training(const SegmenterConfig& c, const TrainingRun& run) {
  return estimate({.encoder = c.backbone,
                   .parameters = Segmenter::parameters_of(c),
                   .heads = head_work(c, run),
                   .maps = static_cast<std::int64_t>(c.taps.size()),
                   .frozen = c.frozen_encoder},
                  run);
}

// The key network looks before there are traces.
TrainingEstimate estimate_training(const MocoConfig& c, const TrainingRun& run) {
  TrainingEstimate e = estimate({.encoder = c.encoder,
                                 .parameters = Moco::parameters_of(c),
                                 .heads = head_work(c, run),
                                 .views = 2},
                                run);
  e.encoder_flop *= 4.0 / 3;
  return e;
}

}  // namespace sgmae
