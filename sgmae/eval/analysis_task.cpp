#include "sgmae/eval/analysis_task.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/data/source.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/objects.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/relevance_map.h"
#include "sgmae/nn/mask_plan.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/run_folder.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPositionImages = 64;  // from which position means are learned

// The checkpoints of a run folder (or of its checkpoints/), oldest first; none for other paths.
std::vector<fs::path> checkpoints_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {};
  const fs::path inside = path / "checkpoints";
  const fs::path folder = fs::is_directory(inside, ignored) ? inside : path;
  std::vector<fs::path> files;
  for (const CheckpointName& name : list_checkpoints(folder, /*resumable=*/false))
    files.push_back(folder / name.file());
  return files;
}

// The folder that tells runs apart: of runs/a/checkpoints/epoch-0010.safetensors it is runs/a.
fs::path run_of(const fs::path& checkpoint) {
  const fs::path folder = fs::weakly_canonical(checkpoint).parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path() : folder;
}

bool wants_all(const std::string& metrics) {
  return metrics == "all";
}

std::vector<std::int64_t> draw(std::int64_t images, std::int64_t count, std::uint64_t seed) {
  if (count <= 0 || count >= images) return {};
  std::vector<std::int64_t> chosen = Rng(seed, 0, 0, Purpose::probe).permutation(images);
  chosen.resize(static_cast<std::size_t>(count));
  return chosen;
}

// The first measure of `wanted` for which `member` is true; null for none.
const Measure* first_that(bool Measure::*member, const std::set<std::string>& wanted) {
  for (const Measure& measure : measures())
    if (measure.*member && wanted.count(measure.name)) return &measure;
  return nullptr;
}

// Throws Error(data) for a single image, of which no measure has a spread.
void check_spread(std::int64_t images, std::int64_t unreadable, const AnalysisTask& task) {
  check(images >= 2, ExitCode::data, "only one image of ", task.data_path, " can be read, and ",
        unreadable, " cannot; the spread over images needs at least two");
}

// Leaves out what these models cannot give, or says that it was asked for.
void restrict_measures(const std::vector<AnalysedModel>& models, const AnalysisTask& task,
                       std::set<std::string>& wanted) {
  const bool all = wants_all(task.metrics);
  if (all)
    for (const AnalysedModel& model : models)
      for (const Measure& measure : measures())
        if (measure.needs_decoder && !model.mae() && wanted.erase(measure.name))
          info(measure.name, " is left out: ", model.name, " has no decoder");
  const bool has_run = std::any_of(models.begin(), models.end(), [&](const AnalysedModel& m) {
    return &models[m.last_of_run] != &m;
  });
  while (const Measure* measure = has_run ? nullptr : first_that(&Measure::needs_run, wanted)) {
    check(all, ExitCode::usage, measure->name,
          " compares a run's checkpoints with its last one; name a run folder with several, or "
          "several files of one folder");
    wanted.erase(measure->name);
  }
}

// The relevance maps that the runs of `models` stored of these images.
class StoredMaps {
 public:
  StoredMaps() = default;
  StoredMaps(const std::vector<AnalysedModel>& models, const Source& source) {
    for (std::size_t m = 0; m < models.size(); ++m) {
      if (models[m].last_of_run != m) continue;
      const fs::path folder = RunFolder{run_of(models[m].checkpoint)}.maps();
      for (const auto& [epoch, file] : list_maps(folder)) {
        auto maps = std::make_shared<const RelevanceMaps>(file);
        const MapInfo& info = maps->info();
        const VitConfig& config = models[m].encoder().config();
        if (info.images != source.size() || info.data != data_hash(source) ||
            info.rows != config.grid_height() || info.columns != config.grid_width())
          sgmae::info(file.string(), " holds maps of other images than these and is left out");
        else
          files_.push_back({m, std::move(maps)});
      }
    }
  }

  // Of the images of a batch, as the model sees them.
  std::vector<StoredRelevance> of(const Batch& batch) const {
    std::vector<StoredRelevance> stored;
    for (const auto& [model, maps] : files_)
      stored.push_back({model, maps->info().epoch, sample_maps(*maps, batch)});
    return stored;
  }

 private:
  struct File {
    std::size_t model;
    std::shared_ptr<const RelevanceMaps> maps;
  };
  std::vector<File> files_;
};

}  // namespace

void AnalysisTask::declare(Options& o) {
  o.section("model");
  o.add("checkpoint", checkpoints,
        "model file, or run folder for all its saved epochs; may be given several times");
  open.declare(o);
  o.section("data");
  o.add("data_path", data_path, "images: folder, list file or IDX file");
  declare_data_format(o, data_format);
  o.add("data_root", data_root,
        "what paths in a list file are relative to; empty: the list's folder");
  o.add("split", split, "part of the data set: train, val or test");
  o.add("images", images, "number of images, drawn at random; 0: all");
  o.add("squash", squash,
        "squash whole images to the model's size in place of the centre crop (images that have "
        "that size are taken as they are)");
  o.add("objects", objects,
        "where objects are marked: folder of masks, YOLO or Pascal VOC files by the images' names; "
        "JSON file of COCO's; alpha; foreground, which is above 0 in grey images; empty: what "
        "docs/analysis.md says lies beside the images");
  o.add("batch_size", batch_size, "images read at a time");
  o.add("num_workers", num_workers, "threads that decode images");
  o.section("analysis");
  std::string names;
  for (const Measure& measure : measures()) names += (names.empty() ? "" : ", ") + measure.name;
  o.add("metrics", metrics, "what to measure, separated by commas: all, or of " + names);
  o.add("mask_ratio", survey.mask_ratio, "fraction of patches to mask, where a mask is needed");
  o.add("seed", survey.seed, "of the choice of images and of random masks");
  o.add("features", survey.features,
        {{"attention_out", GuideFeatures::attention_out},
         {"block_out", GuideFeatures::block_out},
         {"key", GuideFeatures::key}},
        "tokens whose similarity is M and which are clustered");
  o.add("guide_layer", survey.guide_layer,
        "encoder block whose cut says what is object; negative: from the end");
  declare_guide_center(o, survey.center);
  declare_guide_object(o, survey.object);
  o.add("hint_ratio", survey.hint_ratio,
        "share of patches that an informed mask shows as hints; at most those that it shows");
}

void AnalysisTask::check() const {
  sgmae::check(!data_path.empty(), ExitCode::usage, "data_path is missing; name images to look at");
  sgmae::check(images >= 0, ExitCode::usage, "images must not be negative, but is ", images,
               "; 0 takes all");
  sgmae::check(images != 1, ExitCode::usage,
               "images is 1; the spread over images needs at least two");
  sgmae::check(batch_size >= 1, ExitCode::usage, "batch_size must be at least 1, not ", batch_size);
  sgmae::check(num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
               num_workers);
  sgmae::check(survey.mask_ratio > 0 && survey.mask_ratio < 1, ExitCode::usage,
               "mask_ratio must be between 0 and 1, but is ", survey.mask_ratio);
  sgmae::check(survey.hint_ratio >= 0 && survey.hint_ratio < 1, ExitCode::usage,
               "hint_ratio must be between 0 and 1, but is ", survey.hint_ratio);
  parse_measures(metrics);
}

std::set<std::string> parse_measures(const std::string& text) {
  std::vector<std::string> names;
  for (const Measure& measure : measures()) names.push_back(measure.name);
  if (wants_all(text)) return {names.begin(), names.end()};
  std::set<std::string> wanted;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    word.erase(std::remove(word.begin(), word.end(), ' '), word.end());
    if (word.empty()) continue;
    if (std::find(names.begin(), names.end(), word) == names.end()) {
      const std::string nearest = nearest_word(word, names);
      std::string list;
      for (const std::string& name : names) list += ", " + name;
      fail(ExitCode::usage, "metrics: unknown metric '", word, "'",
           nearest.empty() ? "; there are all" + list : "; did you mean '" + nearest + "'?");
    }
    wanted.insert(word);
  }
  check(!wanted.empty(), ExitCode::usage, "metrics is empty; name measures, or all");
  return wanted;
}

std::vector<AnalysedModel> open_models(const std::vector<std::string>& paths, Precision precision,
                                       const OpenOptions& options) {
  std::vector<AnalysedModel> models;
  for (const std::string& path : paths) {
    std::vector<fs::path> files = checkpoints_of(path);
    if (files.empty()) files = {path};  // a single file, or load_mae says what is wrong
    for (const fs::path& file : files) {
      OpenedModel opened = open_model(file, options);
      check_use(Use::analyze, opened);
      opened.set_precision(precision);
      // Only our own files say after how many epochs they were written.
      const bool dated = !opened.info.version.empty();
      const std::int64_t epoch = opened.info.epoch;
      models.push_back({.name = dated
                                    ? str(run_of(opened.path).filename().string(), " epoch ", epoch)
                                    : opened.path.stem().string(),
                        .family = name_of(opened.family),
                        .checkpoint = opened.path,
                        .epoch = dated ? std::optional(epoch) : std::nullopt,
                        .last_of_run = 0,
                        .opened = std::move(opened)});
    }
  }
  for (AnalysedModel& model : models) {
    // The latest of the same run, the later named on ties.
    std::size_t last = models.size();
    for (std::size_t other = 0; other < models.size(); ++other)
      if (run_of(models[other].checkpoint) == run_of(model.checkpoint) &&
          (last == models.size() || models[other].epoch >= models[last].epoch))
        last = other;
    model.last_of_run = last;
  }
  return models;
}

Analysis run_analysis(const std::vector<AnalysedModel>& models, const AnalysisTask& task,
                      std::int64_t examples) {
  SGMAE_ASSERT(!models.empty());
  task.check();
  SurveyOptions options = task.survey;
  options.measures = parse_measures(task.metrics);
  restrict_measures(models, task, options.measures);

  std::vector<Subject> subjects;
  for (const AnalysedModel& model : models) {
    const std::int64_t n = model.encoder().config().n_patches();
    check_hints({.ratio = 0}, n, visible_count(n, options.mask_ratio));  // is there a mask at all?
    subjects.push_back({.name = model.name,
                        .encoder = &model.encoder(),
                        .mae = model.mae(),
                        .normalisation = model.opened.info.normalisation(),
                        .epoch = model.epoch,
                        .last_of_run = model.last_of_run});
  }
  for (const Subject& subject : subjects)
    check(subject.normalisation.stored.has_value() ==
              subjects.front().normalisation.stored.has_value(),
          ExitCode::usage, "one pass shows all models the same images, but only one of ",
          subjects.front().name, " and ", subject.name,
          " takes values as stored; analyse them one by one");
  const auto source = open_source(task.data_path, task.split, task.data_root,
                                  task.data_format.read_as(subjects.front().normalisation));
  check(source->size() >= 2, ExitCode::data, task.data_path,
        " contains one image; the spread over images needs at least two");
  const VitConfig& config = models.front().encoder().config();
  LoaderOptions load = whole_images(model_loader(config, subjects.front().normalisation));
  load.batch_size = task.batch_size;
  load.num_workers = task.num_workers;
  load.fit = task.squash ? Fit::squash : Fit::automatic;
  load.subset = draw(source->size(), task.images, task.survey.seed);
  if (options.center == GuideCenter::position && first_that(&Measure::cuts, options.measures)) {
    LoaderOptions some = load;
    some.subset = draw(source->size(), kPositionImages, task.survey.seed);
    PositionMeans means(subjects, options.features);
    const SharedPass learned = shared_rounds("position means", *source, some,
                                             [&](const Batch& batch) { means.add(batch.pixels); });
    check_spread(learned.images, learned.unreadable, task);
    means.hand_to(subjects);
  }
  const Measure* const of_objects = first_that(&Measure::needs_objects, options.measures);
  std::optional<ObjectMarks> marks;
  if (of_objects) marks.emplace(*source, task.objects);
  Survey survey(subjects, options);
  const StoredMaps stored = of_objects ? StoredMaps(models, *source) : StoredMaps();

  Analysis analysis;
  std::vector<at::Tensor> kept;
  std::int64_t kept_images = 0;
  const std::size_t common = common_folder(*source);
  const SharedPass pass = shared_rounds("analysis", *source, load, [&](const Batch& batch) {
    std::vector<std::optional<MarkedObjects>> objects;
    std::vector<StoredRelevance> maps;
    processes().together([&] {
      if (batch.size() == 0) return;
      if (marks)
        for (std::int64_t i = 0; i < batch.size(); ++i)
          objects.push_back(marks->of(batch.index[i], batch.source_size[i], batch.crop[i]));
      maps = stored.of(batch);
    });
    survey.add(batch.pixels, batch.index, objects, maps);
    if (kept_images >= examples) return;
    const at::Tensor none = at::empty({0, config.channels, config.height, config.width});
    const std::vector<at::Tensor> pixels =
        processes().gather(batch.size() > 0 ? batch.pixels.slice(0, 0, examples) : none);
    const std::vector<at::Tensor> positions =
        processes().gather(at::tensor(batch.index, at::kLong).slice(0, 0, examples));
    for (std::size_t rank = 0; rank < pixels.size(); ++rank) {
      const std::int64_t more = std::min(pixels[rank].size(0), examples - kept_images);
      if (more > 0) kept.push_back(pixels[rank].slice(0, 0, more).clone());
      for (std::int64_t i = 0; i < more; ++i)
        analysis.example_names.push_back(
            source->name(positions[rank][i].item<std::int64_t>()).substr(common));
      kept_images += more;
    }
  });
  check_spread(pass.images, pass.unreadable, task);
  if (of_objects && survey.images_with_objects() == 0) {
    check(task.objects.empty(), ExitCode::data, "objects: ", task.objects,
          " marks nothing in the images of ", task.data_path, " that were measured");
    check(wants_all(task.metrics), ExitCode::data, of_objects->name,
          " needs marked objects, and no image of ", task.data_path,
          " has a file of boxes (labels/…/NAME.txt), a mask (masks/…/NAME.png) or the like; "
          "--objects says where they are");
    info(of_objects->name, " is left out: no image has boxes or a mask beside it");
  }
  if (!kept.empty()) analysis.examples = at::cat(kept);

  analysis.subjects = std::move(subjects);
  analysis.options = std::move(options);

  nlohmann::ordered_json& json = analysis.json;
  json["schema"] = 1;
  json["data"] = {{"path", task.data_path},
                  {"split", task.split},
                  {"fit", task.squash ? "squash" : "auto"},
                  {"seed", task.survey.seed},
                  {"mask_ratio", task.survey.mask_ratio},
                  {"guide_layer", task.survey.guide_layer},
                  {"guide_center", to_string(task.survey.center)},
                  {"guide_object", to_string(task.survey.object)},
                  {"images_with_objects", survey.images_with_objects()}};
  json["images"] = survey.images();
  json["unreadable_images"] = pass.unreadable;
  json["models"] = nlohmann::ordered_json::array();
  for (const AnalysedModel& model : models)
    json["models"].push_back(
        {{"name", model.name},
         {"checkpoint", model.checkpoint.string()},
         {"epoch", model.epoch ? nlohmann::ordered_json(*model.epoch) : nullptr},
         {"family", model.family}});
  json["metrics"] = survey.metrics();
  return analysis;
}

}  // namespace sgmae
