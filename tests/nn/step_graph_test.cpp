// Oracle: the same steps without a graph, on the pretended device, which records and repeats what
// is queued on it as CUDA does (tests/pretend_device.h).
#include "sgmae/nn/step_graph.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <utility>

#include "sgmae/base/log.h"
#include "tests/pretend_device.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

Mae model_on(at::Device device, Precision precision) {
  Mae model(two_blocks(/*norm_pix=*/true), 1);
  model.set_precision(precision);
  model.move_to(device);
  return model;
}

struct Step {
  at::Tensor pixels;
  MaskPlan plan;
};

Step step(std::int64_t batch = 3, std::int64_t n_visible = 6) {
  return {at::randn({batch, 3, 16, 24}).pin_memory(),
          {at::argsort(at::rand({batch, 24}), /*stable=*/true, 1), n_visible}};
}

class DeviceStepGraph : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override { set_log_quiet(true); }
  const at::NoGradGuard no_grad_;
};

// Three batches a step, of which the losses are read together; weights change between steps. On a
// GPU sums of the same kernels may come in another order.
TEST_P(DeviceStepGraph, TrainsAsWithoutIt) {
  const at::Device device = other_device();
  const double tolerance =
      device.is_privateuseone() ? 0 : (GetParam() == Precision::fp32 ? 1e-5 : 1e-2);
  Mae plain = model_on(device, GetParam()), recorded = model_on(device, GetParam());
  const GraphApi* const api = device.is_cuda() ? open_graphs(device) : pretend_graphs();
  ASSERT_NE(api, nullptr);
  StepGraph graph(recorded, api);
  for (int i = 0; i < 3; ++i) {
    std::vector<MaeLoss> expected, found;
    for (int batch = 0; batch < 3; ++batch) {
      const auto [pixels, plan] = step();
      expected.push_back(plain.forward_backward(pixels, plan, 0.25));
      found.push_back(graph.forward_backward(pixels, plan, 0.25));
      EXPECT_EQ(graph.recorded(), 3 * i + batch >= StepGraph::warm_up);
    }
    for (std::size_t k = 0; k < found.size(); ++k) {
      EXPECT_LE(relative_error(found[k].mean, expected[k].mean), tolerance);
      EXPECT_LE(relative_error(found[k].per_patch, expected[k].per_patch), tolerance);
    }
    EXPECT_LE(
        relative_error(flat_gradients(recorded.parameters()), flat_gradients(plain.parameters())),
        tolerance);
    for (Mae* model : {&plain, &recorded}) {
      for (Parameter& p : model->parameters())
        if (p.trained()) p.value.sub_(p.grad, 0.1);
      flat_gradients(model->parameters()).zero_();
    }
    plain.parameters_changed();
    graph.parameters_changed();
  }
}

const auto precisions = testing::Values(Precision::fp32, Precision::bf16);

std::string name_of_precision(const testing::TestParamInfo<Precision>& info) {
  return name_of(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceStepGraph, precisions, name_of_precision);

class PretendDeviceStepGraph : public DeviceStepGraph {
 protected:
  static Mae model() { return model_on(pretend_device(), GetParam()); }
};

// In bf16, where weights are rounded in between, that is recorded as well.
TEST_P(PretendDeviceStepGraph, RecordsTheRoundingOfWeights) {
  Mae mae = model();
  StepGraph graph(mae, pretend_graphs());
  const GraphCounts before = pretend_graph_counts();
  const auto [pixels, plan] = step();
  for (int i = 0; i < StepGraph::warm_up + 2; ++i) {
    graph.forward_backward(pixels, plan);
    graph.parameters_changed();
  }
  const int graphs = GetParam() == Precision::bf16 ? 2 : 1;
  EXPECT_EQ(pretend_graph_counts().begun - before.begun, graphs);
  EXPECT_EQ(pretend_graph_counts().replayed - before.replayed, 2 * graphs);
}

TEST_P(PretendDeviceStepGraph, SendsPixelsAndPlanAndWaitsForNothing) {
  Mae mae = model();
  StepGraph graph(mae, pretend_graphs());
  for (int i = 0; i < StepGraph::warm_up + 2; ++i) {
    const auto [pixels, plan] = step();
    const Transfers crossed = transfers_of([&] { graph.forward_backward(pixels, plan); });
    EXPECT_EQ(crossed.to_device, 2);
    EXPECT_EQ(crossed.to_host, 0);
    EXPECT_EQ(crossed.waits, 0);
  }
}

TEST_P(PretendDeviceStepGraph, RecordsStepsOfAnotherKindAnew) {
  Mae plain = model(), recorded = model();
  const std::int64_t alive = pretend_graph_counts().alive;
  {
    StepGraph graph(recorded, pretend_graphs());
    const GraphCounts before = pretend_graph_counts();
    int kinds = 0;
    for (const auto& [batch, visible, scale] :
         {std::tuple{3, 6, 1.0}, {2, 6, 1.0}, {2, 12, 1.0}, {2, 12, 0.5}, {3, 6, 1.0}}) {
      for (int i = 0; i < StepGraph::warm_up + 2; ++i) {
        const auto [pixels, plan] = step(batch, visible);
        const MaeLoss expected = plain.forward_backward(pixels, plan, scale);
        EXPECT_TRUE(graph.forward_backward(pixels, plan, scale).mean.equal(expected.mean));
      }
      const GraphCounts now = pretend_graph_counts();
      EXPECT_EQ(now.begun - before.begun, ++kinds);
      EXPECT_EQ(now.replayed - before.replayed, 2 * kinds);
      EXPECT_EQ(now.alive - alive, 1);
    }
    EXPECT_TRUE(flat_gradients(recorded.parameters()).equal(flat_gradients(plain.parameters())));
    graph.forward_backward(step(1).pixels, step(1).plan);  // one of a kind is not recorded
    EXPECT_EQ(pretend_graph_counts().begun - before.begun, kinds);
  }
  EXPECT_EQ(pretend_graph_counts().alive, alive);
}

const char* refuse(int, void**) {
  return "not today";
}
const char* refuse_graph(void*) {
  return "operation not permitted when stream is capturing";
}

// Where a graph cannot be begun, or turns out not to be one, steps go on as they did.
TEST_P(PretendDeviceStepGraph, GoesOnWithoutWhatCannotBeRecorded) {
  GraphApi never = *pretend_graphs(), spoiled = *pretend_graphs();
  never.begin = &refuse;
  spoiled.end = &refuse_graph;
  const std::int64_t alive = pretend_graph_counts().alive;
  for (const GraphApi* api :
       {static_cast<const GraphApi*>(nullptr), &std::as_const(never), &std::as_const(spoiled)}) {
    Mae plain = model(), recorded = model();
    StepGraph graph(recorded, api);
    const GraphCounts before = pretend_graph_counts();
    for (int i = 0; i < StepGraph::warm_up + 3; ++i) {
      const auto [pixels, plan] = step();
      const MaeLoss expected = plain.forward_backward(pixels, plan);
      EXPECT_TRUE(graph.forward_backward(pixels, plan).mean.equal(expected.mean));
      graph.parameters_changed();
    }
    EXPECT_TRUE(flat_gradients(recorded.parameters()).equal(flat_gradients(plain.parameters())));
    EXPECT_EQ(pretend_graph_counts().begun - before.begun, api == &spoiled) << "tried once";
    EXPECT_EQ(pretend_graph_counts().replayed, before.replayed);
    EXPECT_EQ(pretend_graph_counts().alive, alive);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PretendDeviceStepGraph, precisions, name_of_precision);

TEST(PretendDeviceGraphs, RefuseWhatMakesTheHostWait) {
  const at::Tensor there = at::randn({3}).to(pretend_device());
  const at::Tensor here = at::randn({3}).pin_memory();
  void* graph = nullptr;
  pretend_graphs()->begin(0, &graph);
  EXPECT_THROW(there.sum().item<float>(), c10::Error);
  EXPECT_THROW(there.cpu(), c10::Error);
  EXPECT_THROW(here.to(pretend_device(), /*non_blocking=*/true), c10::Error);
  pretend_graphs()->destroy(graph);
  EXPECT_EQ(there.cpu().numel(), 3);
}

TEST(OpenGraphs, AreNoneOfTheCpu) {
  EXPECT_EQ(open_graphs(at::kCPU), nullptr);
}

}  // namespace
}  // namespace sgmae
