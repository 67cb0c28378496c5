#include "sgmae/study/study.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

#include "sgmae/base/counted.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/features.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/eval/logistic.h"
#include "sgmae/mask/relevance_map.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/study/study_data.h"
#include "sgmae/study/table.h"
#include "sgmae/tasks/finetune.h"
#include "sgmae/tasks/settle.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/run_folder.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::int64_t test_batch = 256;

// What has no effect on a run before guidance begins.
bool is_of_guidance(const OptionInfo& option) {
  return option.section == "mask" && option.name != "mask_ratio";
}

// A trunk may have been trained elsewhere, and in another way as far as a run may go on so.
bool may_differ_in_folder(const OptionInfo& option) {
  return option.changeable || is_of_guidance(option);
}

// Of variants, others that may change on resuming count too: with another precision or number of
// threads not a bit is the same.
bool may_differ_in_plan(const OptionInfo& option) {
  static const std::set<std::string> of_telling{"output_dir", "log_dir",          "knn_every",
                                                "save_every", "keep_checkpoints", "log_every"};
  return is_of_guidance(option) || of_telling.count(option.name) > 0;
}

fs::path prefix_folder(const StudyCell& trunk, std::int64_t epochs) {
  return fs::path(trunk.options.output_dir) / str("prefix", epochs);
}

fs::path prefix_checkpoint(const StudyCell& trunk, std::int64_t epochs) {
  return checkpoint_at(prefix_folder(trunk, epochs), {epochs});
}

fs::path state_beside(const fs::path& model) {
  return model.parent_path() / parse_checkpoint_name(model.filename().string())->state();
}

fs::path evaluation_file(const StudyCell& cell, std::int64_t epoch) {
  return fs::path(cell.options.output_dir) / "evaluation" / str("epoch-", epoch, ".json");
}

fs::path model_file(const StudyCell& cell, std::int64_t epoch) {
  return checkpoint_at(RunFolder{cell.options.output_dir}.checkpoints(), {epoch});
}

fs::path finetune_file(const StudyCell& cell, std::int64_t epoch) {
  return fs::path(cell.options.output_dir) / "evaluation" / str("finetune-", epoch, ".json");
}

// The run of fine-tuning. Older versions had one folder for all epochs, which is still found where
// it began from this one.
fs::path finetune_folder(const StudyCell& cell, std::int64_t epoch) {
  const fs::path older = fs::path(cell.options.output_dir) / "finetune";
  if (const fs::path config = RunFolder{older}.config(); fs::exists(config)) {
    FinetuneOptions there;
    declared(there).load_toml(read_text(config), config.string());
    if (fs::path(there.checkpoint).filename() == model_file(cell, epoch).filename()) return older;
  }
  return fs::path(cell.options.output_dir) / str("finetune-", epoch);
}

// What process 0 finds in the folder of the study, which it alone writes.
bool found_by_leader(const std::function<bool()>& find) {
  bool found = false;
  processes().leader([&] { found = find(); });
  return processes().of_leader(found ? "yes" : "") == "yes";
}

// What `read` takes from the result of a test.
template <class Read>
auto from_result(const fs::path& file, const Read& read) {
  try {
    return read(ordered_json::parse(read_text(file, ExitCode::data)));
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::data, file.string(), ": damaged; delete it to have the test done again");
  }
}

// Adds the metrics of a test to the others; nothing where it has not been done yet.
void add_metrics(const fs::path& file, std::map<std::string, double>& metrics) {
  if (!fs::exists(file)) return;
  metrics.merge(from_result(file, [](const ordered_json& entry) {
    return entry.at("metrics").get<std::map<std::string, double>>();
  }));
}

// What a result depends on, by name, as TOML.
template <class O>
ordered_json named(O options) {
  ordered_json values = ordered_json::object();
  for (const Options known = declared(options); const OptionInfo& option : known.all())
    if (!option.changeable) values[option.name] = option.print();
  return values;
}

// The options that a result was made with; null where an older version made it, which did not say.
ordered_json options_of_result(const fs::path& file) {
  return from_result(
      file, [](const ordered_json& entry) { return entry.value("options", ordered_json()); });
}

// Refuses a result of other options than `wanted`. `files` are to be deleted for another one.
void check_result(const fs::path& file, const ordered_json& wanted, const std::string& files) {
  const ordered_json there = options_of_result(file);
  for (const auto& [name, value] : wanted.items())
    if (const auto other = there.find(name); other != there.end() && *other != value)
      fail(ExitCode::usage, file.string(), " was found with other options: ", name, " is ",
           json_value<std::string>(*other).value_or("unknown"), " there, ",
           value.get<std::string>(), " here; change that back, or delete ", files,
           " to have it done again");
}

bool is_trained(const StudyCell& cell) {
  return fs::exists(model_file(cell, cell.options.epochs));
}

// A second name for the file, or where the file system has none, a copy.
void keep(const fs::path& file, const fs::path& folder) {
  const fs::path kept = folder / file.filename();
  if (fs::exists(kept)) return;
  std::error_code error;
  fs::create_hard_link(file, kept, error);
  if (error) fs::copy_file(file, kept);
}

// Keeps a checkpoint of the trunk, while its state is there. The state goes last and the model
// first, as a branch needs both and looks for the state.
void keep_prefix(const StudyCell& trunk, std::int64_t epochs) {
  const fs::path checkpoints = RunFolder{trunk.options.output_dir}.checkpoints();
  const fs::path model = checkpoint_at(checkpoints, {epochs});
  fs::create_directories(prefix_folder(trunk, epochs));
  keep(model, prefix_folder(trunk, epochs));
  keep(state_beside(model), prefix_folder(trunk, epochs));
}

// Whether a checkpoint between two epochs knows of other masks than random ones: from an epoch
// before, or as maps for the next.
bool is_guided(const ModelView& view) {
  const auto start = json_value<std::int64_t>(view.info.guide, "start");
  if (!start) return false;
  return *start < view.info.epoch || fs::exists(view.folder.maps() / maps_name(view.info.epoch));
}

bool has_prefix(const StudyCell& trunk, std::int64_t epochs) {
  const fs::path model = prefix_checkpoint(trunk, epochs);
  return fs::exists(model) && fs::exists(state_beside(model));
}

// Whether the run has gone on beyond `epoch`, so that its checkpoint is there already or never will
// be.
bool is_past(const StudyCell& cell, std::int64_t epoch) {
  const auto names = list_checkpoints(RunFolder{cell.options.output_dir}.checkpoints(),
                                      /*resumable=*/!is_trained(cell));
  return !names.empty() && names.back().epoch >= epoch;
}

// Refuses a folder that holds another run than the cell, before any work is done.
void check_folder(const StudyCell& cell) {
  const RunFolder folder{cell.options.output_dir};
  if (!fs::exists(folder.config())) return;
  PretrainOptions there, here = cell.options;
  Options stored = declared(there);
  const std::string other =
      config_difference(folder.config(), stored, declared(here), may_change_on_resume);
  check(other.empty(), ExitCode::usage, folder.root.string(), " contains a run that is not ",
        cell.variant, ": ", other, "; change the study file or move the folder away");
}

// Before branching off: what the trunk's folder says it was trained with, held against the branch.
void check_prefix(const StudyCell& trunk, const StudyCell& cell) {
  PretrainOptions there, here = cell.options;
  Options stored = declared(there);
  const RunFolder folder{trunk.options.output_dir};
  const std::string other =
      config_difference(folder.config(), stored, declared(here), may_differ_in_folder);
  check(other.empty(), ExitCode::usage, cell.variant, " cannot go on from ", folder.root.string(),
        ": ", other, "; change the study file or move the folder away");
  check(random_epochs(there) >= cell.branch_epoch, ExitCode::usage, cell.variant,
        " cannot go on from ", folder.root.string(), ", whose masks were guided before epoch ",
        cell.branch_epoch, "; change the study file or move the folder away");
}

class StudyRun {
 public:
  StudyRun(const StudyFile& study, const std::string& recipe_text, const LabelledData& data,
           const StudyHooks& hooks)
      : study_(study),
        data_(data),
        hooks_(hooks),
        cells_(plan_study(study, recipe_text)),
        sources_(open_labelled(data)) {
    finetune_options(study_, {});  // refused before the work, not after
    for (const StudyCell& cell : cells_) cell.options.check();
    processes().leader([&] {
      for (const StudyCell& cell : cells_) {
        check_folder(cell);
        for (const std::int64_t epoch : epochs_of(cell)) check_found(tested(cell, epoch), epoch);
      }
    });
  }

  ordered_json run() {
    for (const StudyCell& cell : cells_) {
      train(cell);
      use_threads(cell.options.threads);
      for (const std::int64_t epoch : epochs_of(cell))
        if (&tested(cell, epoch) == &cell) test(cell, epoch);
      const std::int64_t last = epochs_of(cell).back();
      if (is_fine_tuned(cell, last) && &tested(cell, last) == &cell) finetune_from(cell, last);
    }
    ordered_json table;
    processes().leader([&] { table = write_table(); });
    info("table: ", (fs::path(study_.output_dir) / "table.md").string());
    return table;
  }

 private:
  std::vector<std::int64_t> epochs_of(const StudyCell& cell) const {
    if (study_.evaluate_epochs.empty()) return {cell.options.epochs};
    return study_.evaluate_epochs;
  }

  // Whose checkpoint of that epoch is tested: the trunk's, while it is the same run.
  const StudyCell& tested(const StudyCell& cell, std::int64_t epoch) const {
    return cell.trunk && epoch < cell.branch_epoch ? cells_[*cell.trunk] : cell;
  }

  bool is_fine_tuned(const StudyCell& cell, std::int64_t epoch) const {
    return study_.finetune && epoch == epochs_of(cell).back();
  }

  // Of an epoch that is to be tested: what was found there before must be of the present options,
  // and where something is left to be found, the checkpoint must not be lost.
  void check_found(const StudyCell& cell, std::int64_t epoch) const {
    const fs::path file = evaluation_file(cell, epoch), checkpoint = model_file(cell, epoch);
    if (fs::exists(file)) check_result(file, test_options(), "it");
    if (study_.finetune) check_finetuning(cell, epoch);
    const bool tuned = !is_fine_tuned(cell, epoch) || fs::exists(finetune_file(cell, epoch));
    if (fs::exists(file) && tuned) return;
    check(fs::exists(checkpoint) || !is_past(cell, epoch), ExitCode::checkpoint,
          checkpoint.string(), " does not exist and cannot be tested; remove epoch ", epoch,
          " from evaluate_epochs, or move the run folder away to train it again");
  }

  void check_finetuning(const StudyCell& cell, std::int64_t epoch) const {
    FinetuneOptions there, here = finetuning(cell, epoch);
    const fs::path file = finetune_file(cell, epoch);
    const RunFolder run{here.output_dir};
    const bool begun = fs::exists(run.config());
    if (fs::exists(file)) {
      check(begun || !options_of_result(file).is_null(), ExitCode::data, file.string(),
            " was written by an older version, maybe of another epoch; delete it to have the "
            "fine-tuning done again");
      check_result(file, named(here), str("it and ", run.root.string()));
    }
    if (!begun || !(is_fine_tuned(cell, epoch) || fs::exists(file))) return;
    Options stored = declared(there);
    const std::string other =
        config_difference(run.config(), stored, declared(here), may_change_on_resume);
    check(other.empty(), ExitCode::usage, run.root.string(),
          " was fine-tuned with other options: ", other,
          "; change [finetune] back, or delete it and ", file.string(), " to have it done again");
  }

  ordered_json test_options() const {
    ordered_json options = named(data_);
    options["digest of the images"] = data_hash(*sources_.train) + data_hash(*sources_.test);
    return options;
  }

  // The epochs after which other cells branch off.
  std::set<std::int64_t> branches_of(const StudyCell& cell) const {
    std::set<std::int64_t> epochs;
    for (const StudyCell& other : cells_)
      if (other.trunk && &cells_[*other.trunk] == &cell) epochs.insert(other.branch_epoch);
    return epochs;
  }

  void train(const StudyCell& cell) const {
    if (found_by_leader([&] { return is_trained(cell); })) return;
    PretrainOptions options = cell.options;
    options.keep_checkpoints = 0;
    const fs::path checkpoints = RunFolder{options.output_dir}.checkpoints();
    const bool begun =
        found_by_leader([&] { return !list_checkpoints(checkpoints, /*resumable=*/true).empty(); });
    if (!begun && cell.trunk) {
      const StudyCell& trunk = cells_[*cell.trunk];
      const bool branches_off = found_by_leader([&] {
        if (!has_prefix(trunk, cell.branch_epoch)) return false;
        check_prefix(trunk, cell);
        return true;
      });
      if (branches_off) {
        options.resume = prefix_checkpoint(trunk, cell.branch_epoch).string();
      } else if (processes().leads()) {
        warn(prefix_folder(trunk, cell.branch_epoch).string(),
             " does not exist; this variant is trained from the start");
      }
    }
    info("study: ", cell.variant, ", seed ", cell.seed);
    const std::set<std::int64_t> branches = branches_of(cell);
    PretrainHooks hooks;
    hooks.save_after = branches;
    for (const std::int64_t epoch : epochs_of(cell)) hooks.save_after.insert(epoch);
    hooks.after_step = [&](const StepDone& progress) {
      if (hooks_.after_step) hooks_.after_step(cell, progress);
    };
    hooks.after_save = [&](const ModelView& view, const fs::path&) {
      if (view.info.step == 0 && branches.count(view.info.epoch) > 0 && !is_guided(view))
        keep_prefix(cell, view.info.epoch);
    };
    pretrain(options, hooks);
  }

  void test(const StudyCell& cell, std::int64_t epoch) {
    const fs::path file = evaluation_file(cell, epoch);
    if (found_by_leader([&] { return fs::exists(file); })) return;
    const auto begun = std::chrono::steady_clock::now();
    OpenedModel opened = open_model(model_file(cell, epoch));
    place(opened, cell.options);
    const auto encode = [&](const Source& source) {
      const Encoder& encoder = opened.encoder();
      return extract_features(encoder, source,
                              evaluation_loader(data_, source, encoder.config(),
                                                opened.info.normalisation(), test_batch));
    };
    const Features train = encode(*sources_.train), test = encode(*sources_.test);

    KnnTask knn;
    knn.plain_k = "";
    const KnnScore neighbours = score_knn(train, test, sources_.classes, knn);
    ordered_json metrics;
    for (const KnnRow& row : neighbours.rows)
      metrics[row.features == FeatureKind::mean ? "knn_mean" : "knn_cls"] = row.counts.top1();
    for (const FeatureKind kind : {FeatureKind::mean, FeatureKind::cls}) {
      const LogisticFit fit = fit_logistic(features_of(train, kind), train.label, sources_.classes);
      ClassificationCounts counts(sources_.classes);
      counts.add(fit.head.scores(features_of(test, kind)), test.label);
      const std::string name = kind == FeatureKind::mean ? "probe_mean" : "probe_cls";
      metrics[name] = counts.top1();
      metrics[name + "_class_mean"] = counts.class_mean();
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
    processes().leader([&] {
      fs::create_directories(file.parent_path());
      write_file(file, ordered_json{{"epoch", epoch},
                                    {"model", model_hash(opened.parameters())},
                                    {"train_images", train.label.size()},
                                    {"unreadable_train_images", train.unreadable},
                                    {"test_images", test.label.size()},
                                    {"unreadable_test_images", test.unreadable},
                                    {"options", test_options()},
                                    {"metrics", metrics},
                                    {"seconds", seconds.count()}}
                               .dump(1) +
                           "\n");
      write_table();
    });
    info("study: ", cell.variant, ", seed ", cell.seed, ", epoch ", epoch, ": probe ",
         fixed(100 * metrics["probe_mean"].get<double>(), 2), " %, 20-NN ",
         fixed(100 * metrics["knn_mean"].get<double>(), 2), " % of ", test.label.size(),
         " test images", left_out_note(test.unreadable));
    if (hooks_.after_test) hooks_.after_test(cell, epoch);
  }

  FinetuneOptions finetuning(const StudyCell& cell, std::int64_t epoch) const {
    FinetuneOptions options = finetune_options(study_, cell.options);
    options.checkpoint = model_file(cell, epoch).string();
    options.data = data_;
    options.output_dir = "";
    options.seed = cell.seed;
    settle(options, finetune_folder(cell, epoch).string());
    return options;
  }

  // The run has a folder of its own and goes on when interrupted.
  void finetune_from(const StudyCell& cell, std::int64_t epoch) {
    const fs::path file = finetune_file(cell, epoch);
    if (found_by_leader([&] { return fs::exists(file); })) return;
    info("study: fine-tuning ", cell.variant, ", seed ", cell.seed);
    const FinetuneOptions options = finetuning(cell, epoch);
    const ordered_json result = finetune(options);
    processes().leader([&] {
      write_file(file, ordered_json{{"epoch", epoch},
                                    {"options", named(options)},
                                    {"metrics",
                                     {{"finetune", result.at("acc1")},
                                      {"finetune_class_mean", result.at("class_mean")}}}}
                               .dump(1) +
                           "\n");
      write_table();
    });
  }

  // Seconds of training steps by log.txt, the shared epochs counted in; 0 where there is no log.
  double training_seconds(const StudyCell& cell) const {
    const std::int64_t step = cell.options.images_per_step();
    const double images = static_cast<double>(sources_.train->size() / step * step);
    double seconds = 0;
    std::int64_t first = cell.options.epochs;
    const auto add_log = [&](const StudyCell& from, std::int64_t end) {
      const fs::path log = RunFolder{from.options.output_dir}.log();
      if (!fs::exists(log)) return;
      for (const ordered_json& entry : read_log(log)) {
        const std::int64_t epoch = json_value<std::int64_t>(entry, "epoch").value_or(0);
        const double rate = json_value<double>(entry, "img_per_s").value_or(0);
        if (epoch < 1 || epoch > end || rate <= 0) continue;
        first = std::min(first, epoch - 1);
        seconds += images / rate;
      }
    };
    add_log(cell, cell.options.epochs);
    if (cell.trunk && first > 0) add_log(cells_[*cell.trunk], first);
    return seconds;
  }

  ordered_json write_table() const {
    std::vector<CellResult> results;
    for (const StudyCell& cell : cells_)
      for (const std::int64_t epoch : epochs_of(cell)) {
        CellResult result{cell.variant, cell.seed, epoch, {}, 0};
        const StudyCell& found = tested(cell, epoch);
        if (&found != &cell && !is_trained(cell)) continue;
        add_metrics(evaluation_file(found, epoch), result.metrics);
        if (study_.finetune) add_metrics(finetune_file(found, epoch), result.metrics);
        if (result.metrics.empty()) continue;
        result.train_seconds = training_seconds(cell);
        results.push_back(std::move(result));
      }
    std::vector<std::string> variants;
    for (const StudyVariant& variant : study_.variants) variants.push_back(variant.name);
    const StudyTable table = make_table(results, variants, study_.reference);
    ordered_json result = to_json(table);
    result["title"] = study_.title;
    write_file(fs::path(study_.output_dir) / "table.md", to_markdown(table, study_.title));
    write_file(fs::path(study_.output_dir) / "table.json", result.dump(1) + "\n");
    return result;
  }

  const StudyFile& study_;
  const LabelledData& data_;
  const StudyHooks& hooks_;
  std::vector<StudyCell> cells_;
  LabelledSources sources_;
};

}  // namespace

std::int64_t random_epochs(const PretrainOptions& options) {
  return options.mask.chosen().random_epochs(options.epochs);
}

std::string prefix_difference(const PretrainOptions& there, const PretrainOptions& here) {
  PretrainOptions a = there, b = here;
  return options_difference(declared(a), declared(b), may_differ_in_plan);
}

std::vector<StudyCell> plan_study(const StudyFile& study, const std::string& recipe_text) {
  std::vector<StudyCell> cells;
  for (const std::uint64_t seed : study.seeds) {
    std::vector<StudyCell> of_seed;
    for (const StudyVariant& variant : study.variants)
      of_seed.push_back(
          {variant.name, seed, cell_options(study, variant, seed, recipe_text), std::nullopt, 0});
    // Whoever is guided last comes first, so that the others find their trunk done.
    std::stable_sort(of_seed.begin(), of_seed.end(), [](const StudyCell& a, const StudyCell& b) {
      return random_epochs(a.options) > random_epochs(b.options);
    });
    const std::size_t first = cells.size();
    for (StudyCell& cell : of_seed) {
      for (const std::int64_t epoch : study.evaluate_epochs)
        check(epoch >= 1 && epoch <= cell.options.epochs, ExitCode::usage, study.where,
              ": evaluate_epochs has ", epoch, ", and ", cell.variant, " trains for ",
              counted(cell.options.epochs, "epoch"));
      const std::int64_t shared = random_epochs(cell.options);
      for (std::size_t i = first; i < cells.size() && !cell.trunk && shared > 0; ++i)
        if (!cells[i].trunk && shared < cell.options.epochs &&
            prefix_difference(cells[i].options, cell.options).empty()) {
          cell.trunk = i;
          cell.branch_epoch = shared;
        }
      cells.push_back(std::move(cell));
    }
  }
  return cells;
}

ordered_json run_study(StudyFile study, const std::string& recipe_text, LabelledData data,
                       const StudyHooks& hooks) {
  share_data(study, recipe_text, data);
  return StudyRun(study, recipe_text, data, hooks).run();
}

}  // namespace sgmae
