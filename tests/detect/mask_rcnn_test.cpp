// Oracle: the same model put together of transformers' VitDetBackbone and torchvision's heads
// (tests/golden/detect.py): losses, every gradient, and what it detects. What an image is alone,
// for one in a batch of others.
#include "sgmae/detect/mask_rcnn.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "tests/detect/golden.h"
#include "tests/nn/listener.h"
#include "tests/support/other_device.h"

namespace sgmae {
namespace {

MaskRcnnConfig config() {
  MaskRcnnConfig c;
  VitConfig vit;
  vit.size = {16, 3, 2};
  vit.mlp_hidden = 32;
  vit.patch_size = 16;
  c.backbone = detection_backbone(vit, 128, 128, 3, {2});
  c.classes = 4;
  c.channels = 12;
  c.box_hidden = 24;
  c.proposals.samples = 64;
  c.proposals.before_nms_training = 200;
  c.proposals.before_nms = 100;
  c.proposals.after_nms = 40;
  c.proposals.smooth_l1 = c.rois.smooth_l1 = 1.0 / 9;
  c.rois.samples = 32;
  c.rois.detections = 20;
  return c;
}

const Draw first_ones = [](std::int64_t, std::int64_t count) { return at::arange(count); };

DetectionTargets no_objects() {
  return {at::zeros({0, 4}), at::zeros({0}, at::kLong), at::zeros({0, 4}), {}};
}

InstanceMask in_its_box(const at::Tensor& mask, const at::Tensor& box) {
  const auto side = [&](int i) { return static_cast<int>(box[i].item<float>()); };
  InstanceMask result{{side(0), side(1), side(2) - side(0), side(3) - side(1)}, {}};
  const at::Tensor inside = mask.narrow(0, side(1), result.place.height)
                                .narrow(1, side(0), result.place.width)
                                .contiguous();
  const auto* bytes = inside.data_ptr<std::uint8_t>();
  result.inside.assign(bytes, bytes + inside.numel());
  return result;
}

class AgainstThePeer : public testing::Test {
 protected:
  AgainstThePeer() : golden_("mask_rcnn"), model_(config(), 0) {
    at::set_num_threads(1);  // tiny tensors: threads would only wait for each other
    for (Parameter& p : model_.parameters()) {
      const at::Tensor& given = golden_["param." + p.name];
      EXPECT_EQ(p.value.sizes(), given.sizes()) << p.name;
      p.value.copy_(given);
    }
    model_.parameters_changed();
  }

  std::vector<DetectionExample> batch() const {
    std::vector<DetectionExample> examples(2);
    for (int i = 0; i < 2; ++i) {
      examples[static_cast<std::size_t>(i)] = {golden_["pixels"][i], no_objects(), {}, first_ones};
    }
    DetectionTargets& objects = examples[0].targets;
    objects.boxes = golden_["boxes"];
    objects.labels = golden_["labels"];
    for (int i = 0; i < 3; ++i)
      objects.masks.push_back(in_its_box(golden_["masks"][i], golden_["boxes"][i]));
    return examples;
  }

  Golden golden_;
  MaskRcnn model_;
};

// 1e-5: the peer computed in double precision, and rounded its results.
TEST_F(AgainstThePeer, LossesAndEveryGradientAreTheSame) {
  auto examples = batch();
  Listener listener;
  const DetectionLosses losses = model_.forward_backward(examples, 1, listener.ready());
  EXPECT_LT(relative_error(losses.objectness, golden_["loss.objectness"]), 1e-5);
  EXPECT_LT(relative_error(losses.proposal_box, golden_["loss.proposal_box"]), 1e-5);
  EXPECT_LT(relative_error(losses.classification, golden_["loss.classification"]), 1e-5);
  EXPECT_LT(relative_error(losses.box, golden_["loss.box"]), 1e-5);
  EXPECT_LT(relative_error(losses.mask, golden_["loss.mask"]), 1e-5);
  for (const Parameter& p : model_.parameters()) {
    EXPECT_LT(relative_error(p.grad, golden_["grad." + p.name]), 1e-5) << p.name;
  }
  listener.expect_all_once(model_.parameters());
  EXPECT_LT(relative_error(model_.losses(examples).total(), losses.total()), 1e-6);
}

TEST_F(AgainstThePeer, DetectsTheSame) {
  for (int i = 0; i < 2; ++i) {
    const Detections found = model_.detect(golden_["pixels"][i]);
    const auto theirs = [&](const char* what) { return golden_[str("found.", i, ".", what)]; };
    EXPECT_TRUE(found.labels.equal(theirs("labels"))) << i;
    EXPECT_LT(relative_error(found.boxes, theirs("boxes")), 1e-5) << i;
    EXPECT_LT(relative_error(found.scores, theirs("scores")), 1e-5) << i;
    EXPECT_LT(relative_error(found.masks, theirs("masks")), 1e-5) << i;
  }
}

TEST_F(AgainstThePeer, GradientsAddUpAndScaleWithTheLoss) {
  auto examples = batch();
  model_.forward_backward(examples, 0.25);
  model_.forward_backward(examples, 0.25);
  for (const Parameter& p : model_.parameters())
    EXPECT_LT(relative_error(p.grad, golden_["grad." + p.name].mul(0.5)), 1e-5) << p.name;
}

TEST_F(AgainstThePeer, Bf16IsNear) {
  auto examples = batch();
  model_.set_precision(Precision::bf16);
  const DetectionLosses losses = model_.forward_backward(examples, 1);
  // Three digits; proposals may be drawn otherwise.
  EXPECT_LT(relative_error(losses.total(), golden_["loss.objectness"]
                                               .add(golden_["loss.proposal_box"])
                                               .add(golden_["loss.classification"])
                                               .add(golden_["loss.box"])
                                               .add(golden_["loss.mask"])),
            0.03);
}

// 1e-4: sums in another order through all of it.
TEST_F(AgainstThePeer, AnotherDeviceIsTheCpus) {
  const at::Device device = other_device();
  MaskRcnnConfig c = config();
  c.proposals.smooth_l1 = c.rois.smooth_l1 = 0;  // the pretended device lacks that loss
  MaskRcnn here(c, std::nullopt), there(c, std::nullopt);
  for (MaskRcnn* model : {&here, &there})
    for (std::size_t i = 0; i < model_.parameters().size(); ++i)
      model->parameters()[i].value.copy_(model_.parameters()[i].value);
  here.parameters_changed();
  there.move_to(device);
  auto examples = batch();
  const DetectionLosses found = there.losses(examples), expected = here.losses(examples);
  for (const auto& [other, cpu] : {std::pair{found.objectness, expected.objectness},
                                   {found.proposal_box, expected.proposal_box},
                                   {found.classification, expected.classification},
                                   {found.box, expected.box},
                                   {found.mask, expected.mask}})
    EXPECT_LT(relative_error(other.cpu(), cpu), 1e-4);
  const Detections theirs = there.detect(golden_["pixels"][0]),
                   ours = here.detect(golden_["pixels"][0]);
  EXPECT_TRUE(theirs.labels.equal(ours.labels));
  EXPECT_LT(relative_error(theirs.boxes, ours.boxes), 1e-4);
  EXPECT_LT(relative_error(theirs.scores, ours.scores), 1e-4);
  EXPECT_LT(relative_error(theirs.masks, ours.masks), 1e-4);
  if (!device.is_cuda()) return;  // the pretended one has no backward passes
  here.forward_backward(examples, 1), there.forward_backward(examples, 1);
  for (std::size_t i = 0; i < here.parameters().size(); ++i)
    EXPECT_LT(relative_error(there.parameters()[i].grad.cpu(), here.parameters()[i].grad), 1e-4)
        << here.parameters()[i].name;
}

// An image of any size with some objects.
DetectionExample example(std::int64_t height, std::int64_t width, int objects) {
  const auto h = static_cast<float>(height), w = static_cast<float>(width);
  DetectionExample e{noise({3, height, width}, static_cast<std::uint64_t>(height * width)),
                     no_objects(),
                     {},
                     random_draw(1, 0, height * width)};
  if (objects == 0) return e;
  e.targets.boxes = at::tensor(std::vector<float>{0.1f * w, 0.2f * h, 0.6f * w, 0.7f * h, 0.5f * w,
                                                  0.4f * h, w, h})
                        .view({2, 4});
  e.targets.labels = at::tensor({1, 3}, at::kLong);
  for (int i = 0; i < 2; ++i)
    e.targets.masks.push_back({{10, 10, 20, 20}, std::vector<std::uint8_t>(400, 1)});
  return e;
}

// Means are taken over all boxes of a batch; with as many drawn of each image, that of the batch is
// the mean of theirs.
TEST(MaskRcnn, AnImageHasTheSameLossesAloneAndAmongOthersOfOtherSizes) {
  at::set_num_threads(1);
  MaskRcnnConfig c = config();
  c.proposals.samples = 32;
  c.rois.samples = 16;
  MaskRcnn model(c, 3);
  double objectness = 0, classification = 0, box = 0;
  std::vector<DetectionExample> all;
  for (const auto& [height, width, objects] :
       {std::tuple{128, 128, 2}, {75, 128, 2}, {128, 40, 0}, {50, 61, 2}}) {
    std::vector<DetectionExample> one{example(height, width, objects)};
    const DetectionLosses alone = model.losses(one);
    objectness += alone.objectness.item<double>() / 4;
    classification += alone.classification.item<double>() / 4;
    box += alone.box.item<double>() / 4;
    all.push_back(example(height, width, objects));
  }
  const DetectionLosses together = model.losses(all);
  EXPECT_NEAR(together.objectness.item<double>(), objectness, 1e-5 * objectness);
  EXPECT_NEAR(together.classification.item<double>(), classification, 1e-5 * classification);
  EXPECT_NEAR(together.box.item<double>(), box, 1e-5 * box);
}

TEST(MaskRcnn, ImagesOfAnySizeUpToTheCanvasAreSeen) {
  at::set_num_threads(1);
  const MaskRcnn model(config(), 3);
  for (const auto& [height, width] :
       {std::pair{128, 128}, {1, 1}, {17, 128}, {128, 16}, {33, 50}}) {
    const Detections found = model.detect(noise({3, height, width}, 0));
    EXPECT_TRUE(found.boxes.select(1, 3).le(height).all().item<bool>());
    EXPECT_TRUE(found.boxes.select(1, 2).le(width).all().item<bool>());
  }
  EXPECT_THROW(model.detect(noise({3, 129, 64}, 0)), Error);
}

// There is nothing to learn for masks and sizes of boxes, and background for all else.
TEST(MaskRcnn, ABatchWithoutObjectsTrains) {
  at::set_num_threads(1);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    MaskRcnn model(config(), 3);
    model.set_precision(precision);
    std::vector<DetectionExample> batch{example(128, 128, 0), example(64, 128, 0)};
    const DetectionLosses losses = model.forward_backward(batch, 1);
    EXPECT_EQ(losses.mask.item<float>(), 0);
    EXPECT_EQ(losses.box.item<float>(), 0);
    EXPECT_GT(losses.classification.item<float>(), 0);
    for (const Parameter& p : model.parameters()) {
      EXPECT_TRUE(p.grad.isfinite().all().item<bool>()) << p.name;
      if (p.name.starts_with("roi_heads.mask_")) {
        EXPECT_EQ(p.grad.abs().max().item<float>(), 0) << p.name;
      }
    }
  }
}

TEST(MaskRcnn, WithoutMasksIsFasterRcnn) {
  at::set_num_threads(1);
  MaskRcnnConfig c = config();
  c.masks = false;
  MaskRcnn model(c, 3);
  for (const Parameter& p : model.parameters()) EXPECT_EQ(p.name.find("mask"), std::string::npos);
  std::vector<DetectionExample> one{example(100, 100, 2)};
  one[0].targets.masks.clear();
  EXPECT_EQ(model.forward_backward(one, 1).mask.item<float>(), 0);
  EXPECT_FALSE(model.detect(noise({3, 64, 64}, 0)).masks.defined());
}

}  // namespace
}  // namespace sgmae
