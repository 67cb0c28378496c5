#include "sgmae/tasks/expectation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sgmae/base/clock.h"
#include "sgmae/base/counted.h"
#include "sgmae/base/host.h"
#include "sgmae/base/log.h"
#include "sgmae/optim/groups.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

ImageStore store_of(const DataFormat& format) {
  if (format.kind == DataFormat::tar) return ImageStore::shards;
  return format.kind == DataFormat::pack ? ImageStore::pack : ImageStore::files;
}

}  // namespace

EstimateInput estimate_input(const PretrainOptions& o, const MaeConfig& model, std::int64_t images,
                             const RunPlace& place) {
  EstimateInput in{training_run(o, o.num_workers, place)};
  in.images = images;
  in.model = model;
  const PatchCounts counts =
      patch_counts(in.model.n_patches(), o.mask.ratio, o.mask.thrown_ratio());
  in.n_visible = counts.visible, in.n_thrown = counts.thrown;
  in.accum_iter = o.accum_iter, in.epochs = o.epochs;
  in.probe_images = std::min(o.probe_images, in.images);
  in.save_every = o.save_every, in.keep_checkpoints = o.keep_checkpoints;
  in.store = store_of(o.data_format);
  check_estimate(in);
  in.masks = o.mask.chosen().cost(in.model, in.n_visible, in.epochs);
  return in;
}

MeasuredSpeed measure_pass(Mae& model, const EstimateInput& in) {
  const at::NoGradGuard no_grad;
  const MaeConfig& config = model.config();
  constexpr double moment = 2e11;  // FLOP
  const double flop = training_flop_per_image(config, in.n_visible, in.n_thrown);
  const bool on_cpu = model.encoder().device().is_cpu();
  const std::int64_t batch =
      on_cpu ? std::clamp<std::int64_t>(static_cast<std::int64_t>(moment / flop), 1, in.batch_size)
             : in.batch_size;
  const at::Tensor pixels = at::randn({batch, config.channels, config.height, config.width});
  std::vector<std::int64_t> index(static_cast<std::size_t>(batch));
  std::iota(index.begin(), index.end(), std::int64_t{0});
  MaskPlan plan = random_plan(index, config.n_patches(), in.n_visible, 0, 0);
  plan.n_thrown = in.n_thrown;
  double seconds = 0;
  for (int pass = 0; pass < 2; ++pass) {  // the first warms up
    const double begun = seconds_now();
    model.forward_backward(pixels, plan).mean.item();
    seconds = seconds_now() - begun;
  }
  zero_gradients(model.parameters());
  return {seconds / static_cast<double>(batch), 0};
}

std::string duration_text(double seconds) {
  const auto of = [](double value, const char* unit) {
    return str(fixed(value, value < 9.95 ? 1 : 0), " ", unit);
  };
  if (seconds < 99.5) return str(fixed(seconds, 0), " seconds");
  if (seconds < 99.5 * 60) return str(fixed(seconds / 60, 0), " minutes");
  if (seconds < 48 * 3600) return of(seconds / 3600, "hours");
  return of(seconds / 86400, "days");
}

namespace {

// `rest` stands between memory and a warning of it.
std::string with_memory(const MemoryEstimate& memory, bool on_cpu, std::int64_t together,
                        const std::string& rest) {
  const auto gib = [](double bytes) { return str(fixed(bytes / (1 << 30), 1), " GiB"); };
  const double there = static_cast<double>(host_memory().total);
  const double needed = (on_cpu ? memory.sum() : memory.of_host()) * static_cast<double>(together);
  return str("about ",
             on_cpu ? str(gib(needed), " of the machine's ", gib(there))
                    : str(gib(memory.of_model()), " of the GPU's memory"),
             rest, needed > there ? "; that is more memory than there is: lower --batch_size" : "");
}

}  // namespace

RunPlace here(at::Device device) {
  return {
      .device = device, .processes = processes().size(), .processes_per_host = processes().size()};
}

std::string expected_memory(const MemoryEstimate& memory, const RunPlace& place) {
  return with_memory(memory, place.device.is_cpu(),
                     std::min(place.processes, place.processes_per_host),
                     "; what tests keep comes on top");
}

std::string expectation(const EstimateInput& in, const TrainClock& clock) {
  std::string time;
  const double left = 1 - clock.progress() / static_cast<double>(in.epochs);
  if (in.speed && left > 0)
    time = str(" and ", duration_text(3600 * left * estimate_time(in, 0).hours), " for ",
               clock.progress() > 0 ? "the rest of " : "", counted(in.epochs, "epoch"),
               ", by a pass timed just now; tests and waiting for images come on top");
  return with_memory(estimate_memory(in), in.on_cpu, std::min(in.processes, in.processes_per_host),
                     time);
}

}  // namespace sgmae
