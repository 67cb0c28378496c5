// sgmae estimate: what a run will take, from the very options that would start it; this is of
// pre-training an autoencoder, estimate_training.cpp of all else.
#include "sgmae/train/estimate.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>

#include "cli/command.h"
#include "cli/estimate_text.h"
#include "sgmae/base/clock.h"
#include "sgmae/base/counted.h"
#include "sgmae/base/host.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/tasks/expectation.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

struct EstimateOptions : PretrainOptions {
  std::int64_t processes = 1, processes_per_host = 8, images = 0;
  bool measure = true;
  double images_per_second = 0;

  void declare(Options& o) {
    PretrainOptions::declare(o);
    o.section("estimate");
    o.add("processes", processes, "processes that train together; on GPUs one each");
    o.add("processes_per_host", processes_per_host, "how many of them run on one machine");
    o.add("images", images, "training images; 0: those at data_path are counted");
    o.add("measure", measure,
          "take some steps of the model here, on noise, and expect the run to be as fast");
    o.add("images_per_second", images_per_second,
          "of one process, measured elsewhere, to expect instead");
  }

  void check() const {
    need(images >= 0, str("images must not be negative, but is ", images));
    need(images > 0 || !data_path.empty(),
         "images is missing; say how many there are, --images N, or where: --data_path FOLDER");
    need(images_per_second >= 0,
         str("images_per_second must not be negative, but is ", images_per_second));
    PretrainOptions run = *this;
    if (run.data_path.empty()) run.data_path = ".";  // it is not looked at
    run.PretrainOptions::check();
  }
};

struct TrainingImages {
  std::int64_t channels = 3, count = 0;
};

TrainingImages images_of(const EstimateOptions& o) {
  TrainingImages images{.count = o.images};
  if (!o.data_path.empty() && std::filesystem::exists(o.data_path)) {
    const auto source = open_source(o.data_path, "train", o.data_root, o.data_format);
    images.channels = source->native_channels();
    if (images.count == 0) images.count = source->size();
  }
  need(images.count > 0, str(o.data_path, " does not exist; give --images N in its place"));
  return images;
}

// ---- Measuring ----------------------------------------------------------------------------------

struct Measured {
  std::optional<MeasuredSpeed> speed;
  std::string how;  // a clause: what was measured, or why nothing was
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Seconds that `work` takes, to the end of what it started on `result`'s device.
template <class Work>
double seconds_of(const Work& work) {
  const double begun = seconds_now();
  work().item();
  return seconds_now() - begun;
}

// Steps as the run takes them, of no more images than take some seconds on a processor.
MeasuredSpeed measure_steps(const EstimateOptions& o, const EstimateInput& in, std::int64_t batch) {
  const at::NoGradGuard no_grad;
  Mae model(in.model, o.seed);
  place(model, o);
  model.checkpoint_activations(o.checkpoint_activations);
  AdamW optimizer(model.parameters(), AdamWOptions{.weight_decay = o.weight_decay});
  const at::Device device = model.encoder().device();
  const at::Tensor pixels =
      at::randn({batch, in.model.channels, in.model.height, in.model.width}).to(device);
  std::vector<std::int64_t> index(static_cast<std::size_t>(batch));
  std::iota(index.begin(), index.end(), std::int64_t{0});
  MaskPlan plan = random_plan(index, in.model.n_patches(), in.n_visible, o.seed, 0);
  plan.n_thrown = in.n_thrown;
  std::vector<double> passes, steps;
  const auto once = [&] {
    passes.push_back(seconds_of([&] { return model.forward_backward(pixels, plan).mean; }));
    steps.push_back(seconds_of([&] {
      optimizer.step(1e-6);
      model.parameters_changed();
      return model.parameters().front().value.view(-1)[0];
    }));
  };
  once();  // to warm up
  passes.clear(), steps.clear();
  constexpr double enough = 5;  // seconds
  constexpr std::size_t fewest = 2, most = 100;
  for (double begun = seconds_now();
       passes.size() < fewest || (passes.size() < most && seconds_now() - begun < enough);)
    once();
  return {median(passes) / static_cast<double>(batch), median(steps)};
}

Measured measure(const EstimateOptions& o, const EstimateInput& in) {
  if (o.images_per_second > 0) return {MeasuredSpeed{1 / o.images_per_second, 0}, "as given"};
  if (!o.measure) return {{}, "not measured"};
  constexpr double flop_at_once = 4e12;
  EstimateInput sample = in;
  sample.batch_size = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(flop_at_once / estimate_arithmetic(in).flop_per_image), 1,
      in.batch_size);
  sample.images = sample.batch_size, sample.probe_images = 0, sample.masks = {};
  const double needed = estimate_memory(sample).sum(),
               free = static_cast<double>(host_memory().available);
  if (in.on_cpu && needed > free)
    return {{},
            str("not measured: a step takes ", fixed(needed / (1 << 30), 1),
                " GiB, and this machine has ", fixed(free / (1 << 30), 1),
                " GiB free; --images_per_second tells of another one")};
  try {
    open_device(o.device);
  } catch (const Error& error) {
    return {{}, str("not measured: ", error.what())};
  }
  use_threads(o.threads);
  info("measuring: some steps of ", sample.batch_size, " images of noise");
  const MeasuredSpeed speed = measure_steps(o, in, sample.batch_size);
  return {speed, str("measured here in steps of ", sample.batch_size, " images of noise, ",
                     in.on_cpu ? str(at::get_num_threads(), " threads") : o.device, ", ",
                     name_of(in.precision))};
}

// ---- Telling ------------------------------------------------------------------------------------

std::string size_text(double bytes) {
  const char* unit = "bytes";
  for (const char* larger : {"kB", "MB", "GB", "TB", "PB"}) {
    if (bytes < 1000) break;
    bytes /= 1000;
    unit = larger;
  }
  return str(fixed(bytes, bytes < 10 ? 2 : bytes < 100 ? 1 : 0), " ", unit);
}

constexpr double network_rates[] = {25, 100, 400};  // Gbit/s

std::string exchange_text(const EstimateInput& in) {
  if (in.processes == 1) return "";
  const ExchangeEstimate exchange = estimate_exchange(in);
  std::string text = "exchange of one step\n" +
                     estimate_line("summed over the processes", mib(exchange.bytes), "MiB") +
                     estimate_line("over a host's link, each way", mib(exchange.link_bytes), "MiB");
  if (hosts(in) == 1) return text + "  All processes run on one host: nothing crosses a network.\n";
  EstimateInput any = in;
  any.speed.emplace();
  for (const double rate : network_rates)
    text += estimate_line(str("time at ", rate, " Gbit/s"),
                          fixed(1000 * estimate_time(any, rate).exchange, 0), "ms");
  return text;
}

std::vector<double> rates_of(const EstimateInput& in) {
  return hosts(in) == 1 ? std::vector<double>{0}
                        : std::vector<double>(std::begin(network_rates), std::end(network_rates));
}

std::string speed_text(const EstimateInput& in, const std::string& how) {
  if (!in.speed) return "time\n  " + how + ".\n";
  const double pass = in.speed->seconds_per_image * static_cast<double>(in.batch_size);
  std::string text =
      "time (" + how + ")\n" +
      estimate_line("one pass of a batch, forward and backward", fixed(1000 * pass, 1), "ms");
  if (in.speed->seconds_per_step > 0)  // of a given speed it is a part
    text += estimate_line("AdamW's step", fixed(1000 * in.speed->seconds_per_step, 1), "ms");
  for (const double rate : rates_of(in)) {
    const TimeEstimate t = estimate_time(in, rate);
    const std::string at = rate > 0 ? str(" at ", rate, " Gbit/s") : std::string();
    text += estimate_line(
        "step" + at, fixed(1000 * t.step, 1),
        rate > 0 ? str("ms, ", fixed(1000 * t.step_unhidden, 1), " if nothing is hidden") : "ms");
    text += estimate_line("  images/s of all processes", fixed(t.images_per_second, 1), "");
    text += estimate_line("  the run", fixed(t.hours, t.hours < 10 ? 2 : 1),
                          str("hours", t.guidance_hours > 0 ? str(", ", fixed(t.guidance_hours, 2),
                                                                  " of them for masks")
                                                            : std::string()));
    text += estimate_line(in.on_cpu ? "  process-hours" : "  GPU-hours",
                          fixed(t.process_hours, t.process_hours < 10 ? 2 : 0), "");
  }
  if (hosts(in) > 1)
    text +=
        "  Sums are taken to be hidden behind backward, two thirds of a pass, but for the last "
        "bucket.\n";
  return text + "  Waiting for images, tests and checkpoints are not in it.\n";
}

std::string files_text(const EstimateInput& in) {
  const FilesEstimate f = estimate_files(in);
  std::string text = "files\n";
  const char* store = in.store == ImageStore::files    ? "of image files"
                      : in.store == ImageStore::shards ? "of tar shards"
                                                       : "of a packed data set";
  text += estimate_line(str("index ", store), size_text(f.index),
                        str("(names of ", in.name_length, " characters)"));
  if (f.maps > 0)
    text +=
        estimate_line("relevance maps", size_text(f.maps),
                      in.masks.map_passes > 1 ? str("made ", in.masks.map_passes, " times") : "");
  text += estimate_line("a checkpoint's model", size_text(f.model), "");
  text += estimate_line("  and its state", size_text(f.state), "");
  text += estimate_line("kept when the run ends", size_text(f.run), "");
  text +=
      estimate_line("image files open at once", std::to_string(f.open_images), "in each process");
  return text + estimate_line("file descriptors", std::to_string(f.descriptors), "in process 0");
}

std::string to_text(const EstimateInput& in, const std::string& how) {
  const ParameterCount count = count_parameters(in.model);
  const ArithmeticEstimate arithmetic = estimate_arithmetic(in);
  const MaeConfig& c = in.model;
  const std::int64_t step = images_per_step(in);
  std::string text = str(
      "model: ", c.height, "x", c.width, "x", c.channels, " images, patch ", c.patch_size,
      ", encoder ", c.encoder.dim, " x ", c.encoder.depth, ", decoder ", c.decoder.dim, " x ",
      c.decoder.depth, ", ", name_of(in.precision),
      "\nrun: ", counted(in.processes, "process", "processes"), " on ", counted(hosts(in), "host"),
      ", ", in.images, " images, ", counted(in.epochs, "epoch"), " of ",
      counted(in.images / step, "step"), " of ", step, " images (batch_size ", in.batch_size,
      " x accum_iter ", in.accum_iter, " x ", in.processes, " processes)\nparameters\n");
  text +=
      estimate_line("of the model", millions(count.all), "") +
      estimate_line("that are trained", millions(count.trained), "") +
      memory_text(estimate_memory(in), in.on_cpu, std::min(in.processes, in.processes_per_host)) +
      "arithmetic\n" +
      estimate_line("of one image", fixed(arithmetic.flop_per_image * 1e-9, 1), "GFLOP") +
      estimate_line("of one step of a process", fixed(arithmetic.flop_per_step * 1e-12, 2),
                    "TFLOP");
  if (in.masks.map_passes > 0)
    text += estimate_line("of guidance for one image",
                          fixed(arithmetic.map_flop_per_image * 1e-9, 1), "GFLOP");
  if (in.masks.informed_epochs > 0)
    text += estimate_line("of its masks, in informed steps",
                          fixed(arithmetic.mask_flop_per_image * 1e-9, 1), "GFLOP more");
  return text + exchange_text(in) + speed_text(in, how) + files_text(in);
}

ordered_json to_json(const EstimateInput& in, const std::string& how) {
  const ParameterCount count = count_parameters(in.model);
  const ArithmeticEstimate arithmetic = estimate_arithmetic(in);
  const ExchangeEstimate exchange = estimate_exchange(in);
  const FilesEstimate f = estimate_files(in);
  ordered_json json{{"processes", in.processes},
                    {"hosts", hosts(in)},
                    {"images", in.images},
                    {"images_per_step", images_per_step(in)},
                    {"steps_per_epoch", in.images / images_per_step(in)},
                    {"epochs", in.epochs},
                    {"precision", name_of(in.precision)},
                    {"parameters", count.all},
                    {"trained_parameters", count.trained},
                    {"memory", memory_json(estimate_memory(in), in.on_cpu)},
                    {"flop_per_image", arithmetic.flop_per_image},
                    {"flop_per_step", arithmetic.flop_per_step},
                    {"guide_passes", in.masks.map_passes},
                    {"guide_flop_per_image", arithmetic.map_flop_per_image},
                    {"mask_flop_per_image", arithmetic.mask_flop_per_image},
                    {"exchange_bytes", exchange.bytes},
                    {"link_bytes", exchange.link_bytes},
                    {"files",
                     {{"index", f.index},
                      {"maps", f.maps},
                      {"model", f.model},
                      {"state", f.state},
                      {"run", f.run},
                      {"open_images", f.open_images},
                      {"descriptors", f.descriptors}}},
                    {"speed", how}};
  json["times"] = ordered_json::array();
  if (!in.speed) return json;
  json["seconds_per_image"] = in.speed->seconds_per_image;
  json["seconds_per_optimizer_step"] = in.speed->seconds_per_step;
  for (const double rate : rates_of(in)) {
    const TimeEstimate t = estimate_time(in, rate);
    ordered_json time{{"gbit_per_s", rate > 0 ? ordered_json(rate) : ordered_json(nullptr)},
                      {"exchange_seconds", t.exchange},
                      {"step_seconds", t.step},
                      {"step_seconds_unhidden", t.step_unhidden},
                      {"img_per_s", t.images_per_second},
                      {"guidance_hours", t.guidance_hours},
                      {"hours", t.hours},
                      {"process_hours", t.process_hours}};
    json["times"].push_back(time);
  }
  return json;
}

ordered_json run_estimate(const EstimateOptions& options) {
  options.check();
  const TrainingImages images = images_of(options);
  const RunPlace place =
      planned_place(options.device, options.processes, options.processes_per_host);
  if (options.method == PretrainMethod::moco_v3)
    return estimate_moco(options, place, images.channels, images.count);
  const std::optional<ModelFile> init = read_init(options);
  EstimateInput in =
      estimate_input(options, model_config(options, images.channels, init ? &*init : nullptr),
                     images.count, place);
  const Measured measured = measure(options, in);
  in.speed = measured.speed;
  std::fputs(to_text(in, measured.how).c_str(), stderr);
  return to_json(in, measured.how);
}

}  // namespace

Command estimate_command() {
  const auto options = std::make_shared<EstimateOptions>();
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.others = {estimate_finetune_command, estimate_detect_command, estimate_segment_command};
  command.run = [options](const std::vector<std::string>&) { return run_estimate(*options); };
  return command;
}

}  // namespace sgmae
