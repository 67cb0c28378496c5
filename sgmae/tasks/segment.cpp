#include "sgmae/tasks/segment.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
#include "sgmae/base/signals.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/eval/confusion_figure.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/eval/patch_neighbours.h"
#include "sgmae/eval/segmentation_test.h"
#include "sgmae/eval/segmenter_file.h"
#include "sgmae/eval/stored_values.h"
#include "sgmae/image/draw_labels.h"
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

const RunKind segmentation{"segment", "segmentation run", "[test]", {"figures"}};

constexpr std::int64_t default_side = 512;

using SegmenterStart = Start<SegmenterFile>;

SegmenterStart start_of(const SegmentOptions& o) {
  return {o, o.eval || o.predict, holds_segmenter, read_segmenter};
}

// What a model's file has fixed may be left out, or said the same.
void check_sizes(const SegmentOptions& o, const SegmenterFile& file) {
  const SegmenterConfig& c = file.config;
  check_fixed(file.path, o, c.backbone);
  const SegmentOptions untouched;
  check_fixed(file.path, "head_channels", o.head_channels, untouched.head_channels, c.channels);
  check_fixed(file.path, "auxiliary_channels", o.auxiliary_channels, untouched.auxiliary_channels,
              c.auxiliary_channels);
  const auto taps = numbers_of<std::int64_t>(o.taps, "taps");
  check(taps.empty() || taps == c.taps, ExitCode::usage, "taps are ", o.taps, ", but ",
        file.path.string(), " reads other blocks; leave them out");
}

// What only training looks at.
void set_constants(const SegmentOptions& o, SegmenterConfig& c) {
  c.dropout = o.head_dropout;
  if (c.auxiliary_weight > 0 && o.auxiliary_weight > 0) c.auxiliary_weight = o.auxiliary_weight;
}

SegmenterConfig config_of(const SegmentOptions& o, const SegmenterStart& start,
                          std::int64_t classes, std::int64_t channels) {
  SegmenterConfig c;
  if (start.whole) {
    check_sizes(o, *start.whole);
    c = start.whole->config;
    if (o.input_size > 0) c.backbone.height = c.backbone.width = o.input_size;
  } else {
    const VitConfig encoder = chosen_encoder({o.model, o.patch_size, o.dim, o.depth, o.open.heads},
                                             start.encoder, channels);
    const std::int64_t side = o.input_size > 0 ? o.input_size : default_side;
    const bool trained = o.head == SegmentMethod::uper;
    c.backbone = segmentation_backbone(encoder, side, side, trained && o.relative_bias,
                                       trained && o.layer_scale);
    c.head = trained ? SegmentHead::uper : SegmentHead::linear;
    c.taps = numbers_of<std::int64_t>(o.taps, "taps");
    if (c.taps.empty())
      c.taps = trained ? default_taps(encoder.size.depth)
                       : std::vector<std::int64_t>{encoder.size.depth - 1};
    c.channels = o.head_channels;
    c.auxiliary_channels = o.auxiliary_channels;
    c.auxiliary_weight = trained ? o.auxiliary_weight : 0;
  }
  c.frozen_encoder = c.head == SegmentHead::linear;
  c.classes = classes;
  set_constants(o, c);
  check_config(c);
  return c;
}

LoaderOptions crop_loader(const SegmentOptions& o, const VitConfig& backbone,
                          const Normalisation& normalisation, const SegmentedImages& data) {
  LoaderOptions loader = model_loader(backbone, normalisation);
  loader.num_workers = o.data.num_workers;
  loader.batch_size = o.batch_size;
  loader.labels = &data;
  loader.fit = Fit::scale_crop;
  loader.jitter_min = o.jitter_min;
  loader.jitter_max = o.jitter_max;
  loader.max_class_share = o.max_class_share;
  loader.augment.flip = o.flip ? 0.5 : 0;
  loader.photometric = o.photometric && backbone.channels == 3;
  return loader;
}

PixelClassifier classifier_of(const Segmenter& model, const Normalisation& normalisation) {
  const VitConfig& backbone = model.config().backbone;
  return {.logits = [&model](const at::Tensor& pixels) { return model.logits(pixels); },
          .side = backbone.height,
          .patch = backbone.patch_size,
          .channels = backbone.channels,
          .normalisation = normalisation};
}

std::string headline(const SegmentationTest& test) {
  const auto per_cent = [](double share) { return fixed(100 * share, 1); };
  return str("mIoU ", per_cent(test.counts.mean_iou()), ", accuracy ",
             per_cent(test.counts.accuracy()), " (mean over classes ",
             per_cent(test.counts.mean_accuracy()), ")");
}

// In per cent, as the other commands have it.
ordered_json test_log_entries(const SegmentationTest& test) {
  ordered_json entries;
  const ordered_json scores = score_entries(test.counts);
  for (const auto& [name, value] : scores.items())
    entries["test_" + name] = value.is_null() ? value : ordered_json(100 * value.get<double>());
  entries["unreadable_test_images"] = test.unreadable;
  return entries;
}

// Writes what a test leaves, and says where.
ordered_json report_test(const fs::path& folder, ordered_json result, const SegmentationTest& test,
                         const SegmentedImages& data, const PixelClassifier& classifier,
                         const SegmentViews& views) {
  constexpr std::size_t pictures = 6;
  result.update(to_json(test, data.class_names()));
  processes().leader([&] {
    make_result_folder(folder);
    write_result(folder, result);
    write_png(folder / "figures" / "confusion.png",
              confusion_figure(test.counts.confusion(), test.counts.classes(), data.class_names()));
    write_pictures(folder / "figures", classifier, data, test, views, pictures);
  });
  info(headline(test), " of ", test.images, " test images", left_out_note(test.unreadable), "; ",
       (folder / "result.json").string());
  return result;
}

class SegmentTask : public TrainTask {
 public:
  SegmentTask(const SegmentOptions& options, const SegmenterStart& start,
              const SegmentedImages& train, const SegmentedImages& test)
      : options_(options),
        train_(train),
        test_(test),
        model_(config_of(options, start, train.classes(), train.images().native_channels()),
               options.seed),
        normalisation_(start.normalisation(static_cast<int>(model_.config().backbone.channels))),
        views_(options.views(model_.config().backbone.height)),
        start_hash_(start.hash()) {
    place(model_, options);
    model_.checkpoint_activations(options.checkpoint_activations);
    learner_ = fine_tuning_learner(
        model_.parameters(),
        layer_decay_rules(model_.parameters(), model_.config().backbone.size.depth,
                          options.layer_decay),
        options, options, device(), [this] { model_.parameters_changed(); });
    learner_.schedule.power = 1;  // mmsegmentation's poly
    if (start.whole) load_segmenter(*start.whole, model_);
    if (start.encoder) load_backbone(*start.encoder, model_);
  }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return model_.encoder().device(); }
  const Source& training_images() const override { return train_.images(); }

  LoaderOptions training_loader() const override {
    LoaderOptions loader = crop_loader(options_, model_.config().backbone, normalisation_, train_);
    loader.pinned = options_.pin_mem && !device().is_cpu();
    return loader;
  }

  // Batch norms take the statistics of all processes.
  bool passes_are_collective() const override { return true; }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const auto epoch = static_cast<std::uint64_t>(place.epoch);
    const SegmentationLosses losses = model_.forward_backward(
        batch.pixels, batch.labels,
        draw_drop_path(place.seed, epoch, batch.index, model_.config().backbone.size.depth,
                       model_.config().frozen_encoder ? 0 : options_.drop_path, device()),
        {place.seed, epoch, static_cast<std::uint64_t>(place.batch / processes().size())},
        place.loss_scale, place.ready);
    parts_.add(place.epoch, {losses.decode, losses.auxiliary, losses.accuracy.mul(100)});
    return losses.total;
  }

  ordered_json after_epoch(std::int64_t) override { return parts_.means(); }

  std::optional<EvaluationResult> evaluate(std::int64_t) override {
    last_test_ = test_segmentation(classifier(), test_, views_);
    return EvaluationResult{.headline = "mIoU",
                            .value = last_test_->counts.mean_iou(),
                            .entries = test_log_entries(*last_test_)};
  }
  bool ends_with_evaluation() const override { return true; }

  void save_model(const fs::path& path, const TrainClock& clock) const override {
    save_segmenter(path, model_, normalisation_, clock.epoch, train_.class_names());
  }
  TaskState state() const override {
    NamedTensors tensors = values_of(model_.parameters());
    for (auto& named : model_.statistics()) tensors.push_back(named);
    return {{{"loss_parts", parts_.state()}, {"start", start_hash_}}, std::move(tensors)};
  }
  void restore(const json& state, const TensorFile& file) override {
    check_same_start(state, start_hash_, options_.checkpoint);
    load_values(file, model_.parameters());
    for (const auto& [name, value] : model_.statistics())
      copy_value(options_.output_dir, name, find_or_fail(file.tensors, name, options_.output_dir),
                 value);
    parts_.restore(state.at("loss_parts"), device());
  }

  std::string expectation(const TrainClock&) override {
    return expected_training_memory(model_.config(), options_, options_.data.num_workers, device());
  }
  ordered_json facts() const override;
  double flop_per_image() const override {
    return training_flop_per_image(model_.config().backbone);
  }

  const SegmentationTest& last_test() const { return *last_test_; }
  PixelClassifier classifier() const { return classifier_of(model_, normalisation_); }

 private:
  const SegmentOptions& options_;
  const SegmentedImages &train_, &test_;
  Segmenter model_;
  Normalisation normalisation_;
  SegmentViews views_;
  std::string start_hash_;  // weights_hash
  Learner learner_;
  EpochMeans parts_{{"train_loss_decode", "train_loss_auxiliary", "train_accuracy"}};
  std::optional<SegmentationTest> last_test_;
};

ordered_json SegmentTask::facts() const {
  const SegmenterConfig& c = model_.config();
  const VitConfig& b = c.backbone;
  return {
      {"model", str(c.head == SegmentHead::uper ? "UperNet" : "a linear layer on a frozen encoder",
                    ", crops of ", b.height, "x", b.width, ", patch ", b.patch_size, ", ",
                    b.size.dim, " x ", b.size.depth, ", ", c.classes, " classes, ",
                    millions(value_count(model_.parameters())), " parameters, begun from ",
                    options_.checkpoint.empty() ? "scratch" : options_.checkpoint)},
      {"data", str(train_.images().size(), " training and ", test_.images().size(),
                   " test images, ", train_.format())},
      {"training", str(compute_name(model_.encoder()), ", layer decay ", options_.layer_decay)},
      {"precision", name_of(model_.encoder().precision())},
      {"test_images", test_.images().size()}};
}

// The model that `checkpoint` holds, ready to run.
Segmenter open_segmenter(const SegmentOptions& options, const SegmenterFile& file) {
  check_sizes(options, file);
  SegmenterConfig config = file.config;
  if (options.input_size > 0) config.backbone.height = config.backbone.width = options.input_size;
  check_config(config);
  Segmenter model(config, std::nullopt);
  load_segmenter(file, model);
  place(model, options);
  return model;
}

// Tests without training, in a command that keeps no state.
ordered_json only_test(const SegmentOptions& options, const PixelClassifier& classifier,
                       const SegmentedImages& data) {
  const SegmentViews views = options.views(classifier.side);
  const SegmentationTest test = test_segmentation(classifier, data, views);
  return report_test(options.output_dir, {{"checkpoint", options.checkpoint}}, test, data,
                     classifier, views);
}

ordered_json evaluate_only(const SegmentOptions& options, const SegmenterFile& file) {
  const Segmenter model = open_segmenter(options, file);
  const auto data = options.data.open_test_part(file.classes);
  return only_test(options, classifier_of(model, file.normalisation), *data);
}

ordered_json by_neighbours(const SegmentOptions& options) {
  OpenOptions open = options.open;
  open.height = open.width = options.input_size > 0 ? options.input_size : default_side;
  options.views(open.height);  // refused before anything is opened
  OpenedModel opened = open_model(options.checkpoint, open);
  opened.move_to(open_device(options.device, processes().local_rank()));
  opened.set_precision(choose_precision(options.precision, opened.encoder().device()));
  const auto train = options.data.open_training_part();
  const auto test = options.data.open_test_part(train->class_names());
  LoaderOptions loader =
      crop_loader(options, opened.encoder().config(), opened.info.normalisation(), *train);
  loader.jitter_min = loader.jitter_max = 1;
  loader.augment.flip = 0;
  loader.photometric = false;
  loader.shuffle = false;
  loader.drop_last = false;
  loader.seed = options.seed;
  loader.unreadable = Unreadable::leave_out;
  info("looking at ", train->images().size(), " training images");
  const PixelClassifier classifier =
      classify_by_neighbours(opened.encoder(), train->images(), train->classes(), loader,
                             {{options.knn_k, options.knn_temperature}, options.knn_patches});
  return only_test(options, classifier, *test);
}

// The classes of every pixel of each image: labels/NAME.png, and figures/NAME.png.
ordered_json predict_images(const SegmentOptions& options, const SegmenterFile& file,
                            const std::vector<std::string>& images) {
  const Segmenter model = open_segmenter(options, file);
  const PixelClassifier classifier = classifier_of(model, file.normalisation);
  const SegmentViews views = options.views(classifier.side);
  const fs::path folder = options.output_dir;
  make_result_folder(folder, {"figures", "labels"});
  std::set<std::string> names;
  for (const std::string& image : images) {
    if (stop_requested()) throw StopRequested();
    const Image photo = read_image(image, static_cast<int>(classifier.channels));
    const LabelMap labels = segment_photo(classifier, view(photo), views);
    const std::string name = picture_name(image, names);
    const std::vector<std::uint8_t> png = encode_label_png(labels);
    write_file(folder / "labels" / (name + ".png"),
               {reinterpret_cast<const char*>(png.data()), png.size()});
    write_png(folder / "figures" / (name + ".png"), draw_labels(view(photo), labels, file.classes));
  }
  info(images.size(), " images; classes of their pixels in ", (folder / "labels").string(),
       ", pictures in ", (folder / "figures").string());
  return {{"images", images.size()}, {"labels", (folder / "labels").string()}};
}

}  // namespace

SegmenterConfig segmenter_config(const SegmentOptions& options, std::int64_t classes,
                                 std::int64_t channels) {
  return config_of(options, start_of(options), classes, channels);
}

SegmentOptions::SegmentOptions() {
  batch_size = 16;
  epochs = 127;
  usual_epochs = 127, usual_warmup = 1.2;
  blr = 1.6e-3;  // 1e-4 for 16 images
  weight_decay = 0.05;
}

void SegmentOptions::declare(Options& o) {
  EncoderOptions::declare(o);
  o.add("input_size", input_size,
        "side of training crops and of test windows, in pixels; 0: a segmentation model's own, "
        "else 512");
  o.add("head", head,
        {{"uper", SegmentMethod::uper},
         {"linear", SegmentMethod::linear},
         {"knn", SegmentMethod::knn}},
        "UperNet, all of it trained; a batch norm and a linear layer on the frozen encoder; or no "
        "training at all: classes of the most similar patches of training images");
  o.add("taps", taps,
        "blocks that the head reads, from 0: \"3,5,7,11\"; empty: those after a third, half, two "
        "thirds and all of them (UperNet), the last one (linear)");
  o.add("relative_bias", relative_bias,
        "a learned relative position bias in every block, zero at first (UperNet)");
  o.add("layer_scale", layer_scale,
        "branches of blocks multiplied by a learned vector, one at first (UperNet)");
  o.add("drop_path", drop_path,
        "probability that the last block's branches are left out for an image; rises linearly "
        "from 0 at the first");
  o.add("head_channels", head_channels, "channels of UperNet");
  o.add("head_dropout", head_dropout, "share of channels left out before UperNet's last layer");
  o.add("auxiliary_weight", auxiliary_weight, "of the auxiliary head's loss; 0: no such head");
  o.add("auxiliary_channels", auxiliary_channels, "channels of the auxiliary head");
  data.declare(o);
  OptimOptions::declare(o, "of AdamW; biases, norms, class token, positions are exempt");
  o.add("layer_decay", layer_decay, "learning rate of a layer over that of the layer above it");
  MemoryOptions::declare(o);
  o.section("augment");
  o.add("jitter_min", jitter_min,
        "smallest shorter side of a training image, in terms of the crop's");
  o.add("jitter_max", jitter_max, "largest");
  o.add("max_class_share", max_class_share,
        "of ten random crops the first of which no class has more than this share; 1: the first");
  o.add("flip", flip, "mirror half of the training images");
  o.add("photometric", photometric, "random brightness, contrast, saturation and hue");
  o.section("test");
  o.add("whole", whole, "test images whole, as large as fits the window, instead of by windows");
  o.add("stride", stride, "of the test window, in pixels; 0: two thirds of it");
  o.add("windows", windows, "windows that are looked at together").may_change_on_resume();
  o.add(
      "scales", scales,
      "sizes of a test image's shorter side, in terms of the window's: \"0.75,1,1.25\"; empty: 1");
  o.add("test_flip", test_flip, "each test view mirrored as well");
  o.add("knn_k", knn_k, "head knn: neighbours of a patch");
  o.add("knn_temperature", knn_temperature,
        "head knn: each votes exp(cosine / temperature); 0: one vote each");
  o.add("knn_patches", knn_patches, "head knn: patches of training images, about as many of each");
  RunOptions::declare(o, "eval_every",
                      "epochs between tests; 0: none but that of the last epoch, which is always "
                      "tested");
  o.add("eval", eval, "only test the checkpoint's model");
  o.add("predict", predict, "only run the checkpoint's model on the images named")
      .may_change_on_resume();
  ComputeOptions::declare(o);
  launch.declare(o);
}

void SegmentOptions::check() const {
  need(!(eval && predict), "give --eval or --predict, not both");
  need(!(eval || predict) || !checkpoint.empty(),
       str(eval ? "eval tests" : "predict uses",
           " a segmentation model; name it with --checkpoint PATH, a run of sgmae segment"));
  need(head != SegmentMethod::knn || !checkpoint.empty(),
       "head knn needs an encoder; name it with --checkpoint PATH");
  need(head != SegmentMethod::knn || !(eval || predict),
       "head knn keeps no model that could be used with --eval or --predict; leave these out");
  EncoderOptions::check();
  OptimOptions::check();
  RunOptions::check();
  ComputeOptions::check();
  if (!predict) data.check();
  for (const auto& [name, size] : {std::pair{"input_size", input_size}, {"stride", stride}})
    need(size >= 0, str(name, " must not be negative, but is ", size));
  for (const auto& [name, count] : {std::pair{"head_channels", head_channels},
                                    {"auxiliary_channels", auxiliary_channels},
                                    {"windows", windows},
                                    {"knn_k", knn_k},
                                    {"knn_patches", knn_patches}})
    need(count >= 1 && count <= largest_count,
         str(name, " must be in 1 .. ", largest_count, ", but is ", count));
  need(layer_decay > 0 && layer_decay <= 1,
       str("layer_decay must be greater than 0 and at most 1, but is ", layer_decay));
  for (const auto& [name, share] :
       {std::pair{"drop_path", drop_path}, {"head_dropout", head_dropout}})
    need(share >= 0 && share < 1, str(name, " must be at least 0 and less than 1, but is ", share));
  need(jitter_min > 0 && jitter_min <= jitter_max && jitter_max <= 16,
       str("jitter_min and jitter_max must be greater than 0, in this order and at most 16, but "
           "are ",
           jitter_min, " and ", jitter_max));
  need(max_class_share > 0 && max_class_share <= 1,
       str("max_class_share must be greater than 0 and at most 1, but is ", max_class_share));
  need(auxiliary_weight >= 0,
       str("auxiliary_weight must not be negative, but is ", auxiliary_weight));
  numbers_of<std::int64_t>(taps, "taps");
  for (const double scale : numbers_of<double>(scales, "scales"))
    need(scale > 0 && scale <= 16,
         str("scales must be greater than 0 and at most 16, but are ", scales));
  need(!whole || scales.empty(), "whole test images have one scale; leave out scales or whole");
}

SegmentViews SegmentOptions::views(std::int64_t window) const {
  need(stride <= window, str("stride must not be greater than the test window, which is of ",
                             window, " pixels, but is ", stride));
  SegmentViews views{.whole = whole, .stride = stride, .batch_size = windows, .flip = test_flip};
  if (!scales.empty()) views.scales = numbers_of<double>(scales, "scales");
  return views;
}

ordered_json segment(SegmentOptions options, const std::vector<std::string>& images,
                     const EngineHooks& hooks) {
  options.check();
  settle(options,
         evaluation_folder(options.output_dir, options.checkpoint,
                           options.head == SegmentMethod::knn ? "segment_knn" : "segment"));
  check(options.predict == !images.empty(), ExitCode::usage,
        options.predict ? "name images whose pixels to label"
                        : "images are named for --predict alone; data sets with --data_path");
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  if (options.head == SegmentMethod::knn || options.eval || options.predict) try {
      if (options.head == SegmentMethod::knn) return by_neighbours(options);
      const SegmenterStart start = start_of(options);
      if (options.eval) return evaluate_only(options, *start.whole);
      return predict_images(options, *start.whole, images);
    } catch (const StopRequested&) {
      fail(ExitCode::interrupted, nothing_written);
    }
  const SegmenterStart start = start_of(options);
  const auto train = options.data.open_training_part();
  const auto test = options.data.open_test_part(train->class_names());
  need(options.batch_size * processes().size() > 1 || options.head == SegmentMethod::linear,
       "batch_size is 1, and UperNet's batch norms need more than one image; give a larger one");
  whole_steps(train->images().size(), options);  // what is refused before leaves no trace
  SegmentTask task(options, start, *train, *test);
  task.training_loader();
  const RunFolder folder = open_run_folder(options, segmentation);
  const EngineResult run = Engine(task,
                                  {.optim = options,
                                   .run = options,
                                   .config = config_toml(options),
                                   .kind = segmentation.command,
                                   .layout = CheckpointLayout::best_and_last},
                                  folder, hooks)
                               .run();
  ordered_json result{{"checkpoint", options.checkpoint}};
  if (options.checkpoint.empty()) result["checkpoint"] = nullptr;
  result.update({{"train_images", train->images().size()},
                 {"epochs", options.epochs},
                 {"best_miou", run.clock.best},
                 {"best_epoch", run.clock.best_epoch},
                 {"skipped_steps", run.skipped_steps},
                 {"rollbacks", run.clock.rollbacks}});
  return report_test(folder.root, result, task.last_test(), *test, task.classifier(),
                     options.views(task.classifier().side));
}

}  // namespace sgmae
