// sgmae estimate of what trains an encoder with something on top: a recipe of sgmae finetune,
// detect or segment, or MoCo v3.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/estimate_text.h"
#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/tasks/detect.h"
#include "sgmae/tasks/finetune.h"
#include "sgmae/tasks/moco.h"
#include "sgmae/tasks/segment.h"
#include "sgmae/tasks/training_estimate.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

// How the run is spread, and its images where they are not here.
struct Spread {
  std::int64_t images = 0, classes = 0, processes = 1, processes_per_host = 8;
};

template <class O>
struct TrainingEstimateOptions : O {
  Spread spread;

  void declare(Options& o) {
    O::declare(o);
    o.section("estimate");
    o.add("images", spread.images, "training images; 0: those at data_path are counted");
    o.add("processes", spread.processes, "processes that train together; on GPUs one each");
    o.add("processes_per_host", spread.processes_per_host, "how many of them run on one machine");
  }

  bool has_data() const {
    return !this->data.data_path.empty() && std::filesystem::exists(this->data.data_path);
  }

  void check() const {
    for (const auto& [name, count] :
         {std::pair{"images", spread.images}, {"classes", spread.classes}})
      need(count >= 0 && count <= largest_count,
           str(name, " must be in 0 .. ", largest_count, ", but is ", count));
    for (const auto& [name, count] : {std::pair{"processes", spread.processes},
                                      {"processes_per_host", spread.processes_per_host}})
      need(count >= 1 && count <= largest_count,
           str(name, " must be in 1 .. ", largest_count, ", but is ", count));
    need(has_data() || spread.images > 0,
         "images is missing; say how many there are, --images N, or where: --data_path FOLDER");
    O run = *this;
    if (!has_data()) run.data.data_path = ".";  // it is not looked at
    run.check();
  }

  RunPlace place() const {
    return planned_place(this->device, spread.processes, spread.processes_per_host);
  }
};

// What a run with these options is said to be, and what it takes; `of_images` says of which.
template <class O, class Config>
ordered_json tell(const O& o, const RunPlace& place, std::int64_t num_workers, const Config& config,
                  const std::string& model, std::int64_t images, const std::string& of_images) {
  const TrainingEstimate e = estimate_training(config, training_run(o, num_workers, place));
  const bool on_cpu = place.device.is_cpu();
  const std::int64_t step = o.batch_size * o.accum_iter * place.processes;
  need(step <= images, str("there are only ", images, " images, fewer than a step of ", step,
                           " needs; lower batch_size, accum_iter or processes"));
  const Precision precision = choose_precision(o.precision, place.device);
  std::int64_t parameters = 0;
  ordered_json parts = ordered_json::object();
  std::string text =
      str("model: ", model, ", ", name_of(precision),
          "\nrun: ", counted(place.processes, "process", "processes"), ", ", images, " images, ",
          counted(o.epochs, "epoch"), " of ", counted(images / step, "step"), " of ", step,
          " images (batch_size ", o.batch_size, " x accum_iter ", o.accum_iter, " x ",
          place.processes, " processes)\nparameters\n");
  for (const ModelPart& part : e.parts) {
    text += estimate_line(part.name, millions(part.parameters), "");
    parts[part.name] = part.parameters;
    parameters += part.parameters;
  }
  const double of_step =
      (e.encoder_flop + e.head_flop) * static_cast<double>(o.batch_size * o.accum_iter);
  text += estimate_line("of the model", millions(parameters), "") +
          memory_text(e.memory, on_cpu, std::min(place.processes, place.processes_per_host)) +
          "arithmetic, forward and backward\n" +
          estimate_line("of one image, encoder", fixed(e.encoder_flop * 1e-9, 1), "GFLOP");
  if (e.head_flop > 0)
    text += estimate_line("of one image, heads", fixed(e.head_flop * 1e-9, 1), "GFLOP");
  text += estimate_line("of one step of a process", fixed(of_step * 1e-12, 2), "TFLOP") + of_images;
  std::fputs(text.c_str(), stderr);
  return {{"model", model},
          {"processes", place.processes},
          {"images", images},
          {"images_per_step", step},
          {"steps_per_epoch", images / step},
          {"epochs", o.epochs},
          {"precision", name_of(precision)},
          {"parameters", parameters},
          {"parts", parts},
          {"memory", memory_json(e.memory, on_cpu)},
          {"encoder_flop_per_image", e.encoder_flop},
          {"head_flop_per_image", e.head_flop},
          {"flop_per_step", of_step}};
}

constexpr const char* filled =
    "  Of images that fill canvas or crop, with as many objects as are drawn at most.\n";

std::string sizes(const VitConfig& c) {
  return str(c.height, "x", c.width, ", patch ", c.patch_size, ", encoder ", c.size.dim, " x ",
             c.size.depth);
}

ordered_json estimate(const TrainingEstimateOptions<DetectOptions>& o) {
  o.check();
  ObjectClasses classes;
  std::int64_t images = o.spread.images;
  if (o.has_data()) {
    const auto data = o.data.open_training_part();
    classes = object_classes(*data);
    if (images == 0) images = data->images().size();
  }
  if (o.spread.classes > 0) classes.count = o.spread.classes;
  const MaskRcnnConfig model = detector_config(o, classes);
  return tell(o, o.place(), o.data.num_workers, model,
              str(model.masks ? "Mask R-CNN" : "Faster R-CNN", ", canvas ", sizes(model.backbone),
                  ", ", model.classes, " classes"),
              images, filled);
}

ordered_json estimate(const TrainingEstimateOptions<SegmentOptions>& o) {
  need(o.head != SegmentMethod::knn, "head knn trains nothing that could be estimated");
  o.check();
  constexpr std::int64_t of_ade20k = 150;
  std::int64_t images = o.spread.images, channels = 3;
  std::int64_t classes = o.data.coding.classes > 0 ? o.data.coding.classes : of_ade20k;
  if (o.has_data()) {
    const auto data = o.data.open_training_part();
    classes = data->classes();
    channels = data->images().native_channels();
    if (images == 0) images = data->images().size();
  }
  const SegmenterConfig model = segmenter_config(o, classes, channels);
  return tell(o, o.place(), o.data.num_workers, model,
              str(model.head == SegmentHead::uper ? "UperNet" : "a linear layer", ", crops ",
                  sizes(model.backbone), ", ", model.classes, " classes"),
              images, filled);
}

ordered_json estimate(const TrainingEstimateOptions<FinetuneOptions>& o) {
  o.check();
  std::int64_t images = o.spread.images, channels = 3;
  constexpr std::int64_t of_imagenet = 1000;
  std::int64_t classes = o.nb_classes > 0 ? o.nb_classes : of_imagenet;
  if (o.has_data()) {
    const LabelledSources sources = open_classes(o.data, o.nb_classes);
    classes = sources.classes;
    channels = sources.train->native_channels();
    if (images == 0) images = sources.train->size();
  }
  const std::optional<Pretrained> start =
      o.checkpoint.empty() ? std::nullopt : std::optional(read_pretrained(o.checkpoint, o.open));
  const VitConfig model = classifier_config(o, start, channels, classes);
  return tell(o, o.place(), o.data.num_workers, model,
              str("a classifier, ", sizes(model), ", ", classes, " classes"), images, "");
}

template <class O>
Command command_of(const std::shared_ptr<TrainingEstimateOptions<O>>& options) {
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.run = [options](const std::vector<std::string>&) { return estimate(*options); };
  return command;
}

}  // namespace

ordered_json estimate_moco(const PretrainOptions& o, const RunPlace& place, std::int64_t channels,
                           std::int64_t images) {
  const MocoConfig model = moco_config(o, channels);
  return tell(o, place, o.num_workers, model, str("MoCo v3, ", sizes(model.encoder)), images,
              "  Of both views, and of the key network.\n");
}

Command estimate_finetune_command() {
  return command_of(std::make_shared<TrainingEstimateOptions<FinetuneOptions>>());
}

Command estimate_detect_command() {
  const auto options = std::make_shared<TrainingEstimateOptions<DetectOptions>>();
  Command command = command_of(options);
  command.options.add("classes", options->spread.classes,
                      "classes of objects; 0: those at data_path, else COCO's 80");
  return command;
}

Command estimate_segment_command() {
  return command_of(std::make_shared<TrainingEstimateOptions<SegmentOptions>>());
}

}  // namespace sgmae
