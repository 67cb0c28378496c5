#include "sgmae/tasks/detect.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "sgmae/base/counted.h"
#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
#include "sgmae/base/signals.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/data/canvas_objects.h"
#include "sgmae/eval/detection_pictures.h"
#include "sgmae/eval/detection_scores.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/image/encode.h"
#include "sgmae/nn/drop_path.h"
#include "sgmae/optim/layer_decay.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/tasks/classifier.h"
#include "sgmae/tasks/picture_name.h"
#include "sgmae/tasks/settle.h"
#include "sgmae/tasks/training_estimate.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/epoch_means.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const RunKind detection{"detect", "detection run", "[test]", {"figures"}};

constexpr std::int64_t default_canvas = 1024;

using DetectorStart = Start<DetectorFile>;

DetectorStart start_of(const DetectOptions& o) {
  return {o, o.eval || o.predict, holds_detector, read_detector};
}

// What only training and testing look at.
void set_constants(const DetectOptions& o, MaskRcnnConfig& c) {
  c.rois.lowest_score = o.min_score;
  c.rois.nms = o.nms;
  c.rois.detections = o.max_detections;
  c.rois.samples = o.roi_samples;
  c.proposals.samples = o.anchor_samples;
}

// Options of sizes that a detector's file has fixed may be left out, or say the same.
void check_sizes(const DetectOptions& o, const DetectorFile& file) {
  const MaskRcnnConfig& c = file.config;
  check_fixed(file.path, o, c.backbone);
  const DetectOptions untouched;
  check_fixed(file.path, "head_channels", o.head_channels, untouched.head_channels, c.channels);
  check_fixed(file.path, "box_hidden", o.box_hidden, untouched.box_hidden, c.box_hidden);
  check_fixed(file.path, "proposal_convs", o.proposal_convs, untouched.proposal_convs,
              c.proposal_convs);
  check_fixed(file.path, "box_convs", o.box_convs, untouched.box_convs, c.box_convs);
  check_fixed(file.path, "mask_convs", o.mask_convs, untouched.mask_convs, c.mask_convs);
  check_fixed(file.path, "anchor_scale", o.anchor_scale, untouched.anchor_scale,
              c.proposals.anchors.scale);
  check_fixed(file.path, "mask", o.mask, untouched.mask, c.masks);
}

MaskRcnnConfig config_of(const DetectOptions& o, const DetectorStart& start,
                         const ObjectClasses& data) {
  MaskRcnnConfig c;
  if (start.whole) {
    check_sizes(o, *start.whole);
    c = start.whole->config;
    const std::int64_t side = o.input_size > 0 ? o.input_size : c.backbone.height;
    c.backbone.height = c.backbone.width = side;
  } else {
    const VitConfig encoder = chosen_encoder({o.model, o.patch_size, o.dim, o.depth, o.open.heads},
                                             start.encoder, data.channels);
    const std::int64_t side = o.input_size > 0 ? o.input_size : default_canvas;
    c.backbone = detection_backbone(encoder, side, side, o.window,
                                    numbers_of<std::int64_t>(o.global_blocks, "global_blocks"));
    c.masks = o.mask && data.masks;
    c.channels = o.head_channels;
    c.box_hidden = o.box_hidden;
    c.proposal_convs = o.proposal_convs;
    c.box_convs = o.box_convs;
    c.mask_convs = o.mask_convs;
    c.proposals.anchors.scale = o.anchor_scale;
  }
  c.classes = data.count;
  set_constants(o, c);
  check_config(c);
  return c;
}

// Layer decay, and ViTDet's exemptions from weight decay: norms, LayerScale and positions, but not
// the biases of linear layers and convolutions.
std::vector<ParameterRule> detector_rules(const std::vector<Parameter>& parameters,
                                          std::int64_t depth, double layer_decay) {
  std::vector<ParameterRule> rules = layer_decay_rules(parameters, depth, layer_decay);
  for (std::size_t i = 1; i < parameters.size(); ++i)
    if (parameters[i].name.ends_with(".bias") && parameters[i - 1].value.dim() > 1)
      rules[i].decayed = true;
  return rules;
}

LoaderOptions canvas_loader(const DetectOptions& o, const VitConfig& backbone,
                            const Normalisation& normalisation) {
  LoaderOptions loader = model_loader(backbone, normalisation);
  loader.num_workers = o.data.num_workers;
  loader.batch_size = o.batch_size;
  return loader;
}

LoaderOptions test_loader(const DetectOptions& o, const MaskRcnn& model,
                          const Normalisation& normalisation) {
  LoaderOptions loader = whole_images(canvas_loader(o, model.config().backbone, normalisation));
  loader.fit = Fit::inside;
  return loader;
}

// [n, 4] fp32.
template <class Boxes>
at::Tensor box_tensor(const Boxes& boxes) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(boxes.size()), 4}, at::kFloat);
  float* to = tensor.data_ptr<float>();
  for (const PixelBox& box : boxes)
    for (const double side : {box.left, box.top, box.right, box.bottom})
      *to++ = static_cast<float>(side);
  return tensor;
}

// An image of a batch with what there is to find in it. The loader's canvas is not looked at
// beyond the image.
DetectionExample example_of(const Batch& batch, std::size_t i, const AnnotatedImages& data,
                            bool masks) {
  const Placement& placed = batch.placed[i];
  CanvasObjects seen = on_canvas(data.objects(batch.index[i]), batch.source_size[i], placed,
                                 batch.flipped[i] != 0, masks);
  DetectionExample example;
  example.pixels = batch.pixels[static_cast<std::int64_t>(i)]
                       .narrow(1, 0, placed.content.height)
                       .narrow(2, 0, placed.content.width);
  DetectionTargets& targets = example.targets;
  std::vector<PixelBox> boxes;
  targets.labels = at::empty({static_cast<std::int64_t>(seen.objects.size())}, at::kLong);
  for (std::size_t n = 0; n < seen.objects.size(); ++n) {
    CanvasObject& object = seen.objects[n];
    boxes.push_back(object.box);
    targets.labels.data_ptr<std::int64_t>()[n] = object.category;
    if (masks) targets.masks.push_back(std::move(object.mask));
  }
  targets.boxes = box_tensor(boxes);
  targets.crowds = box_tensor(seen.crowds);
  return example;
}

// In per cent, as the other commands have it.
ordered_json test_log_entries(const DetectionTest& test) {
  ordered_json entries;
  const ordered_json scores = score_entries(test);
  for (const auto& [name, value] : scores.items())
    entries["test_" + name] = value.is_null() ? value : ordered_json(100 * value.get<double>());
  entries["unreadable_test_images"] = test.unreadable;
  return entries;
}

std::string headline(const DetectionTest& test) {
  const auto per_cent = [](const CocoScores& scores) {
    const auto stats = scores.stats();
    if (stats[0] < 0) return std::string("of no objects");
    return str(fixed(100 * stats[0], 1), " (", fixed(100 * stats[1], 1), " at 0.5)");
  };
  std::string text = str("box AP ", per_cent(test.boxes));
  if (test.masks) text += str(", mask AP ", per_cent(*test.masks));
  if (const std::int64_t boxed = test.without_outline(); boxed > 0)
    text += str(", in which ", counted(boxed, "object"), " without outline ",
                boxed == 1 ? "does" : "do", " not count");
  return text;
}

// Writes what a test leaves, and says where.
ordered_json report_test(const fs::path& folder, ordered_json result, const DetectionTest& test,
                         const AnnotatedImages& data, const MaskRcnn& model,
                         const LoaderOptions& loader) {
  constexpr std::size_t pictures = 6;
  result.update(to_json(test, data.class_names()));
  processes().leader([&] {
    make_result_folder(folder);
    write_detections(folder / "detections.json", test.found);
    write_result(folder, result);
    write_pictures(folder / "figures", model, data, test, loader, pictures);
  });
  info(headline(test), " of ", test.images, " test images", left_out_note(test.unreadable), "; ",
       (folder / "result.json").string());
  return result;
}

class DetectTask : public TrainTask {
 public:
  DetectTask(const DetectOptions& options, const DetectorStart& start, const AnnotatedImages& train,
             const AnnotatedImages& test)
      : options_(options),
        train_(train),
        test_(test),
        model_(config_of(options, start, object_classes(train)), options.seed),
        normalisation_(start.normalisation(static_cast<int>(model_.config().backbone.channels))),
        start_hash_(start.hash()) {
    place(model_, options);
    model_.checkpoint_activations(options.checkpoint_activations);
    learner_ =
        fine_tuning_learner(model_.parameters(),
                            detector_rules(model_.parameters(), model_.config().backbone.size.depth,
                                           options.layer_decay),
                            options, options, device(), [this] { model_.parameters_changed(); });
    for (const double share : numbers_of<double>(options.lr_steps, "lr_steps"))
      learner_.schedule.steps.push_back(share * static_cast<double>(options.epochs));
    if (start.whole) load_detector(*start.whole, model_);
    if (start.encoder) load_backbone(*start.encoder, model_);
  }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return model_.encoder().device(); }
  const Source& training_images() const override { return train_.images(); }

  LoaderOptions training_loader() const override {
    LoaderOptions loader = canvas_loader(options_, model_.config().backbone, normalisation_);
    loader.pinned = options_.pin_mem && !device().is_cpu();
    loader.fit = Fit::jitter;
    loader.jitter_min = options_.jitter_min;
    loader.jitter_max = options_.jitter_max;
    loader.augment.flip = options_.flip ? 0.5 : 0;
    return loader;
  }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const auto epoch = static_cast<std::uint64_t>(place.epoch);
    const MaskRcnnConfig& config = model_.config();
    std::vector<DetectionExample> examples;
    for (std::size_t i = 0; i < batch.index.size(); ++i) {
      examples.push_back(example_of(batch, i, train_, config.masks));
      examples.back().drop_path =
          draw_drop_path(place.seed, epoch, {batch.index[i]}, config.backbone.size.depth,
                         options_.drop_path, device());
      examples.back().draw = random_draw(place.seed, epoch, batch.index[i]);
    }
    const DetectionLosses losses = model_.forward_backward(examples, place.loss_scale, place.ready);
    parts_.add(place.epoch, {losses.objectness, losses.proposal_box, losses.classification,
                             losses.box, losses.mask});
    return losses.total();
  }

  ordered_json after_epoch(std::int64_t) override { return parts_.means(); }

  std::optional<EvaluationResult> evaluate(std::int64_t) override {
    last_test_ = test_detector(model_, test_, test_images_loader());
    return EvaluationResult{.headline = "box AP",
                            .value = std::max(0.0, last_test_->boxes.stats()[0]),
                            .entries = test_log_entries(*last_test_)};
  }
  bool ends_with_evaluation() const override { return true; }

  void save_model(const fs::path& path, const TrainClock& clock) const override {
    save_detector(path, model_, normalisation_, clock.epoch, classes_of(train_));
  }
  TaskState state() const override {
    return {{{"loss_parts", parts_.state()}, {"start", start_hash_}},
            values_of(model_.parameters())};
  }
  void restore(const json& state, const TensorFile& file) override {
    check_same_start(state, start_hash_, options_.checkpoint);
    load_values(file, model_.parameters());
    parts_.restore(state.at("loss_parts"), device());
  }

  std::string expectation(const TrainClock&) override {
    return expected_training_memory(model_.config(), options_, options_.data.num_workers, device());
  }
  ordered_json facts() const override;
  double flop_per_image() const override {
    return training_flop_per_image(model_.config().backbone);
  }

  const DetectionTest& last_test() const { return *last_test_; }
  const MaskRcnn& model() const { return model_; }
  LoaderOptions test_images_loader() const { return test_loader(options_, model_, normalisation_); }

 private:
  const DetectOptions& options_;
  const AnnotatedImages &train_, &test_;
  MaskRcnn model_;
  Normalisation normalisation_;
  std::string start_hash_;  // weights_hash
  Learner learner_;
  EpochMeans parts_{{"train_loss_objectness", "train_loss_proposal_box",
                     "train_loss_classification", "train_loss_box", "train_loss_mask"}};
  std::optional<DetectionTest> last_test_;
};

ordered_json DetectTask::facts() const {
  const MaskRcnnConfig& c = model_.config();
  const VitConfig& b = c.backbone;
  return {{"model",
           str(c.masks ? "Mask R-CNN" : "Faster R-CNN", " on a canvas of ", b.height, "x", b.width,
               ", patch ", b.patch_size, ", ", b.size.dim, " x ", b.size.depth, ", ", c.classes,
               " classes, ", millions(value_count(model_.parameters())), " parameters, begun from ",
               options_.checkpoint.empty() ? "scratch" : options_.checkpoint)},
          {"data", str(train_.images().size(), " training and ", test_.images().size(),
                       " test images, ", train_.format(), train_.has_masks() ? ", outlines" : "")},
          {"training", str(compute_name(model_.encoder()), ", layer decay ", options_.layer_decay)},
          {"precision", name_of(model_.encoder().precision())},
          {"test_images", test_.images().size()}};
}

// The detector that `checkpoint` holds, ready to run.
MaskRcnn open_detector(const DetectOptions& options, const DetectorFile& file) {
  check_sizes(options, file);
  MaskRcnnConfig config = file.config;
  if (options.input_size > 0) config.backbone.height = config.backbone.width = options.input_size;
  set_constants(options, config);
  check_config(config);
  MaskRcnn model(config, std::nullopt);
  load_detector(file, model);
  place(model, options);
  return model;
}

ordered_json evaluate_only(const DetectOptions& options, const DetectorFile& file) {
  const MaskRcnn model = open_detector(options, file);
  const auto data = options.data.open_test_part(file.classes.names);
  const LoaderOptions loader = test_loader(options, model, file.normalisation);
  const DetectionTest test = test_detector(model, *data, loader);
  return report_test(options.output_dir, {{"checkpoint", options.checkpoint}}, test, *data, model,
                     loader);
}

// What the detector finds in each image: figures/NAME.png, and detections.json.
ordered_json predict_images(const DetectOptions& options, const DetectorFile& file,
                            const std::vector<std::string>& images) {
  const MaskRcnn model = open_detector(options, file);
  const VitConfig& backbone = model.config().backbone;
  const fs::path folder = options.output_dir;
  make_result_folder(folder);
  std::string entries;
  std::int64_t objects = 0, number = 0;
  std::set<std::string> names;
  for (const std::string& image : images) {
    if (stop_requested()) throw StopRequested();
    const LoadedImage loaded =
        load_image(image, static_cast<int>(backbone.height), static_cast<int>(backbone.width),
                   static_cast<int>(backbone.channels), file.normalisation, Fit::inside);
    const std::vector<DetectedObject> found =
        find_objects(model, loaded.pixels[0], loaded.image.size(), loaded.placed);
    entries +=
        result_entries({{"image_id", ++number}, {"file_name", image}}, found, file.classes.ids);
    objects += std::count_if(found.begin(), found.end(), [](const DetectedObject& object) {
      return object.score >= shown_score;
    });
    write_png(folder / "figures" / (picture_name(image, names) + ".png"),
              picture_of(view(loaded.image), found, file.classes.names));
  }
  const fs::path detections = folder / "detections.json";
  write_detections(detections, std::move(entries));
  info(objects, " objects with a score of at least ", shown_score, " in ", images.size(),
       " images; ", detections.string(), ", pictures in ", (folder / "figures").string());
  return {{"images", images.size()}, {"objects", objects}, {"detections", detections.string()}};
}

}  // namespace

ObjectClasses object_classes(const AnnotatedImages& data) {
  return {static_cast<std::int64_t>(data.class_names().size()), data.has_masks(),
          data.images().native_channels()};
}

MaskRcnnConfig detector_config(const DetectOptions& options, const ObjectClasses& classes) {
  return config_of(options, start_of(options), classes);
}

DetectOptions::DetectOptions() {
  batch_size = 2;
  epochs = 50;
  usual_epochs = 50, usual_warmup = 1;
  blr = 4e-4;  // 1e-4 for 64 images
  weight_decay = 0.1;
}

void DetectOptions::declare(Options& o) {
  EncoderOptions::declare(o);
  o.add("input_size", input_size,
        "side of the square canvas on which images are laid, in pixels; 0: a detector's own, else "
        "1024");
  o.add("window", window, "side, in patches, of the windows in which most blocks attend; 0: none");
  o.add("global_blocks", global_blocks,
        "blocks that attend to all of the image, from 0: \"2,5,8,11\"; empty: the last of every "
        "quarter");
  o.add("drop_path", drop_path,
        "probability that the last block's branches are left out for an image; rises linearly "
        "from 0 at the first");
  o.add("mask", mask, "a mask head, where the data have outlines: Mask R-CNN, else Faster R-CNN");
  o.add("head_channels", head_channels, "channels of the pyramid and of the heads");
  o.add("box_hidden", box_hidden, "width of the box head's dense layer");
  o.add("proposal_convs", proposal_convs, "convolutions of the region proposal network");
  o.add("box_convs", box_convs, "convolutions of the box head");
  o.add("mask_convs", mask_convs, "convolutions of the mask head, before its deconvolution");
  o.add("anchor_scale", anchor_scale, "side of an anchor, in cells of its level");
  o.add("anchor_samples", anchor_samples, "anchors of an image that the losses are taken of");
  o.add("roi_samples", roi_samples, "proposals of an image that the losses are taken of");
  data.declare(o);
  OptimOptions::declare(o, "of AdamW; norms and positions are exempt");
  o.add("layer_decay", layer_decay, "learning rate of a layer over that of the layer above it");
  o.add("lr_steps", lr_steps,
        "shares of the run after which the learning rate falls to a tenth: \"0.889,0.963\"; empty: "
        "half a cosine");
  MemoryOptions::declare(o);
  o.section("augment");
  o.add("jitter_min", jitter_min,
        "smallest size of a training image, in terms of the canvas (large-scale jitter)");
  o.add("jitter_max", jitter_max, "largest; what does not fit the canvas is cut off");
  o.add("flip", flip, "mirror half of the training images");
  o.section("test");
  o.add("min_score", min_score, "lowest score of a detection");
  o.add("nms", nms, "overlap beyond which the better of two detections of a class stays");
  o.add("max_detections", max_detections, "most detections of an image");
  RunOptions::declare(o, "eval_every",
                      "epochs between tests; 0: none but that of the last epoch, which is always "
                      "tested");
  o.add("eval", eval, "only test the checkpoint's detector");
  o.add("predict", predict, "only run the checkpoint's detector on the images named")
      .may_change_on_resume();
  ComputeOptions::declare(o);
  launch.declare(o);
}

void DetectOptions::check() const {
  need(!(eval && predict), "give --eval or --predict, not both");
  need(!(eval || predict) || !checkpoint.empty(),
       str(eval ? "eval tests" : "predict uses",
           " a detector; name it with --checkpoint PATH, a run of sgmae detect"));
  EncoderOptions::check();
  OptimOptions::check();
  RunOptions::check();
  ComputeOptions::check();
  if (!predict) data.check();
  for (const auto& [name, size] : {std::pair{"input_size", input_size}, {"window", window}})
    need(size >= 0, str(name, " must not be negative, but is ", size));
  need(layer_decay > 0 && layer_decay <= 1,
       str("layer_decay must be greater than 0 and at most 1, but is ", layer_decay));
  need(drop_path >= 0 && drop_path < 1,
       str("drop_path must be at least 0 and less than 1, but is ", drop_path));
  need(jitter_min > 0 && jitter_min <= jitter_max && jitter_max <= 16,
       str("jitter_min and jitter_max must be greater than 0, in this order and at most 16, but "
           "are ",
           jitter_min, " and ", jitter_max));
  need(anchor_scale > 0 && anchor_scale <= 1000,
       str("anchor_scale must be greater than 0 and at most 1000, but is ", anchor_scale));
  need(min_score >= 0 && min_score < 1,
       str("min_score must be at least 0 and less than 1, but is ", min_score));
  need(nms > 0 && nms <= 1, str("nms must be greater than 0 and at most 1, but is ", nms));
  need(max_detections >= 1 && max_detections <= 100000,
       str("max_detections must be between 1 and 100000, but is ", max_detections));
  for (const auto& [name, count] :
       {std::pair{"anchor_samples", anchor_samples}, {"roi_samples", roi_samples}})
    need(count >= 1 && count <= largest_count,
         str(name, " must be in 1 .. ", largest_count, ", but is ", count));
  numbers_of<std::int64_t>(global_blocks, "global_blocks");
  for (const double share : numbers_of<double>(lr_steps, "lr_steps"))
    need(share > 0 && share < 1,
         str("lr_steps must be between 0 and 1, shares of the run, but are ", lr_steps));
}

ordered_json detect(DetectOptions options, const std::vector<std::string>& images,
                    const EngineHooks& hooks) {
  options.check();
  settle(options, evaluation_folder(options.output_dir, options.checkpoint, "detect"));
  check(options.predict == !images.empty(), ExitCode::usage,
        options.predict ? "name images to look for objects in"
                        : "images are named for --predict alone; data sets with --data_path");
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  const DetectorStart start = start_of(options);
  if (options.eval || options.predict) try {
      return options.eval ? evaluate_only(options, *start.whole)
                          : predict_images(options, *start.whole, images);
    } catch (const StopRequested&) {
      fail(ExitCode::interrupted, nothing_written);
    }
  const auto train = options.data.open_training_part();
  const auto test = options.data.open_test_part(train->class_names());
  whole_steps(train->images().size(), options);  // what is refused before leaves no trace
  DetectTask task(options, start, *train, *test);
  task.training_loader();
  const RunFolder folder = open_run_folder(options, detection);
  const EngineResult run = Engine(task,
                                  {.optim = options,
                                   .run = options,
                                   .config = config_toml(options),
                                   .kind = detection.command,
                                   .layout = CheckpointLayout::best_and_last},
                                  folder, hooks)
                               .run();
  ordered_json result{{"checkpoint", options.checkpoint}};
  if (options.checkpoint.empty()) result["checkpoint"] = nullptr;
  result.update({{"train_images", train->images().size()},
                 {"test_images", task.last_test().images},
                 {"epochs", options.epochs},
                 {"best_box_ap", run.clock.best},
                 {"best_epoch", run.clock.best_epoch},
                 {"skipped_steps", run.skipped_steps},
                 {"rollbacks", run.clock.rollbacks}});
  return report_test(folder.root, result, task.last_test(), *test, task.model(),
                     task.test_images_loader());
}

}  // namespace sgmae
