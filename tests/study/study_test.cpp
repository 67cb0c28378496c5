// Oracles: pretrain() alone on the same options, byte by byte, for what branches come to; the
// unbroken study for one that is killed and called again.
#include "sgmae/study/study.h"

#include <gtest/gtest.h>

#include <map>

#include "sgmae/base/log.h"
#include "sgmae/train/checkpoint.h"
#include "tests/data/folder.h"
#include "tests/eval/striped_data.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Six steps an epoch. Widths of 16 and more: with 8 (32 bytes) MKL's smallest matrix products were
// seen to differ in the last bit between runs of one process, by where memory lies.
const std::string recipe = R"([model]
model = "mae_vit_tiny_patch4"
input_size = 16
dim = 32
depth = 2
heads = 2
decoder_dim = 16
decoder_depth = 1
decoder_heads = 2
[data]
num_workers = 1
[optim]
batch_size = 10
epochs = 4
warmup_epochs = 1
blr = 0.02
[run]
probe_images = 8
precision = "fp32"
threads = 1
save_every = 4
)";

// early goes on from mae after 2 epochs, late after 3; found begins anew.
const std::string variants = R"([study]
recipe = "tiny"
output_dir = "replaced"
seeds = [1, 2]
reference = "mae"
evaluate_epochs = [3, 4]
[[variant]]
name = "early"
mask_strategy = "self_guided"
guide_start = 2
guide_center = "position"
[[variant]]
name = "mae"
mask_strategy = "random"
[[variant]]
name = "late"
mask_strategy = "self_guided"
guide_start = 3
hint_ratio = 0.1
)";

class Study : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    striped::write_part(folder_.path(), "train", 60, true);
    striped::write_part(folder_.path(), "t10k", 30, true);
    data_.data_path = folder_.path();
    data_.num_workers = 1;
  }
  StudyFile study(const std::string& name, const std::string& text = variants) const {
    StudyFile file = parse_study(text, "study.toml");
    file.output_dir = folder_.path(name);
    file.options.emplace_back("data_path", folder_.path());
    return file;
  }
  // What a call did, as "mae-s1": steps, and "mae-s1 tests": tests.
  nlohmann::ordered_json run(const StudyFile& file, std::map<std::string, int>& done) const {
    StudyHooks hooks;
    const auto name = [](const StudyCell& cell) { return str(cell.variant, "-s", cell.seed); };
    hooks.after_step = [&](const StudyCell& cell, const StepDone&) { ++done[name(cell)]; };
    hooks.after_test = [&](const StudyCell& cell, std::int64_t) { ++done[name(cell) + " tests"]; };
    return run_study(file, recipe, data_, hooks);
  }
  std::string model(const std::string& run, int epoch) const {
    return read_text(folder_.path(run) + str("/checkpoints/epoch-000", epoch + 1, ".safetensors"));
  }

  Folder folder_;
  LabelledData data_;
};

TEST_F(Study, PlansTrunksAndBranches) {
  const auto cells = plan_study(study("s"), recipe);
  ASSERT_EQ(cells.size(), 6u);
  for (const std::size_t seed : {0u, 1u}) {
    const std::size_t first = 3 * seed;
    EXPECT_EQ(cells[first].variant, "mae");
    EXPECT_FALSE(cells[first].trunk);
    EXPECT_EQ(cells[first + 1].variant, "late");
    EXPECT_EQ(cells[first + 1].trunk, first);
    EXPECT_EQ(cells[first + 1].branch_epoch, 3);
    EXPECT_EQ(cells[first + 2].variant, "early");
    EXPECT_EQ(cells[first + 2].trunk, first);
    EXPECT_EQ(cells[first + 2].branch_epoch, 2);
  }
}

TEST_F(Study, SharesNothingBetweenRunsThatDiffer) {
  std::string text = variants;
  text.replace(text.find("guide_start = 2"), 15, "guide_start = \"auto\"");
  text.replace(text.find("hint_ratio = 0.1"), 16, "mask_ratio = 0.5");
  for (const StudyCell& cell : plan_study(study("s", text), recipe)) EXPECT_FALSE(cell.trunk);
  PretrainOptions a, b;
  a.seed = 1;
  EXPECT_EQ(prefix_difference(a, b), "seed is 1 there, 0 here");

  // What may change on resuming changes bits all the same, unless it only tells of the run.
  for (const auto& [name, value] : {std::pair{"precision", "bf16"},
                                    {"threads", "2"},
                                    {"accum_iter", "2"},
                                    {"save_every", "1"}}) {
    StudyFile file = study("s");
    file.variants.resize(2);
    file.variants[1].options.emplace_back(name, value);
    for (const StudyCell& cell : plan_study(file, recipe))
      EXPECT_EQ(cell.trunk.has_value(),
                cell.variant == "early" && name == std::string("save_every"))
          << name;
  }
}

TEST_F(Study, BranchesAreWhatTheyWouldBeAlone) {
  std::map<std::string, int> done;
  const auto table = run(study("s"), done);
  const std::map<std::string, int> expected{
      {"mae-s1", 24},       {"mae-s2", 24},       {"late-s1", 6},        {"late-s2", 6},
      {"early-s1", 12},     {"early-s2", 12},     {"mae-s1 tests", 2},   {"mae-s2 tests", 2},
      {"late-s1 tests", 2}, {"late-s2 tests", 2}, {"early-s1 tests", 2}, {"early-s2 tests", 2}};
  EXPECT_EQ(done, expected);
  for (const StudyCell& cell : plan_study(study("alone"), recipe)) {
    if (cell.seed != 1) continue;
    pretrain(cell.options);
    const std::string run = "/cells/" + cell.variant + "-s1";
    EXPECT_TRUE(model("s" + run, 3) == model("alone" + run, 3)) << cell.variant;
  }
  // 3 variants x 2 epochs x 6 metrics, over two seeds.
  EXPECT_EQ(table["rows"].size(), 36u);
  for (const auto& row : table["rows"]) EXPECT_EQ(row["count"], 2);
  EXPECT_GT(table["train_seconds"]["early"], 0.0);
  EXPECT_EQ(nlohmann::json::parse(read_text(folder_.path("s/table.json"))), nlohmann::json(table));
  EXPECT_NE(read_text(folder_.path("s/table.md")).find("## After 4 epochs"), std::string::npos);
}

// Masks of these strategies are random before they start, whichever of them is the trunk.
TEST_F(Study, BranchesOffTrunksOfAnyStrategy) {
  const auto starting = [](const std::string& strategy, const char* epoch) {
    const std::string start = strategy == "self_guided" ? "guide_start" : strategy + "_start";
    return StudyVariant{strategy, {{"mask_strategy", strategy}, {start, epoch}}};
  };
  for (const char* trunk : {"amt", "semmae", "attmask", "self_guided"}) {
    StudyFile file = study(str("of_", trunk)), alone = study(str("alone_", trunk));
    file.seeds = {1};
    file.evaluate_epochs = {4};
    file.reference = trunk;
    file.variants = {starting(trunk, "3")};
    for (const char* branch : {"amt", "semmae", "attmask", "self_guided"})
      if (branch != std::string(trunk)) file.variants.push_back(starting(branch, "2"));
    file.variants.back() = starting(file.variants.back().name, "3");
    std::map<std::string, int> done;
    run(file, done);
    alone.variants = file.variants;
    alone.seeds = file.seeds;
    for (const StudyCell& cell : plan_study(alone, recipe)) {
      EXPECT_EQ(done[cell.variant + "-s1"], cell.trunk ? 6 * (4 - cell.branch_epoch) : 24)
          << cell.variant << " off " << trunk;
      pretrain(cell.options);
      const std::string run = "/cells/" + cell.variant + "-s1";
      EXPECT_TRUE(model(str("of_", trunk, run), 3) == model(str("alone_", trunk, run), 3))
          << cell.variant << " off " << trunk;
    }
  }
}

// Of an epoch before the branch point the branch has no checkpoint, and needs none.
TEST_F(Study, TestsTheTrunkForEpochsThatAreShared) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.evaluate_epochs = {1, 2};
  file.finetune = OptionTexts{{"epochs", "1"}, {"batch_size", "10"}};
  std::map<std::string, int> done;
  const auto table = run(file, done);
  const std::map<std::string, int> expected{
      {"mae-s1", 24}, {"late-s1", 6}, {"early-s1", 12}, {"mae-s1 tests", 2}, {"early-s1 tests", 1}};
  EXPECT_EQ(done, expected);
  EXPECT_FALSE(fs::exists(folder_.path("s/cells/late-s1/finetune-2")));
  EXPECT_TRUE(fs::exists(folder_.path("s/cells/early-s1/finetune-2")));
  std::map<std::string, std::map<std::string, double>> scores;
  for (const auto& cell : table["cells"])
    scores[str(cell["variant"].get<std::string>(), cell["epoch"].get<int>())] =
        cell["metrics"].get<std::map<std::string, double>>();
  EXPECT_EQ(scores["mae1"].size(), 6u);
  EXPECT_EQ(scores["mae2"].size(), 8u);
  for (const char* same : {"late1", "early1"}) EXPECT_EQ(scores[same], scores["mae1"]) << same;
  EXPECT_EQ(scores["late2"], scores["mae2"]);
}

TEST_F(Study, GoesOnAfterAKillAndRepeatsNothing) {
  StudyFile file = study("whole");
  file.seeds = {1};
  std::map<std::string, int> unbroken;
  const auto expected = run(file, unbroken);

  file.output_dir = folder_.path("broken");
  // Killed in the trunk, in a branch, and between two tests.
  int calls = 0;
  for (const auto& [variant, step] : {std::pair{"mae", 20}, {"early", 3}}) {
    StudyHooks hooks;
    int steps = 0;
    hooks.after_step = [&, variant = std::string(variant), step = step](const StudyCell& cell,
                                                                        const StepDone&) {
      if (cell.variant == variant && ++steps == step) throw std::runtime_error("killed");
    };
    EXPECT_THROW(run_study(file, recipe, data_, hooks), std::runtime_error) << ++calls;
  }
  StudyHooks hooks;
  hooks.after_test = [](const StudyCell&, std::int64_t) { throw std::runtime_error("killed"); };
  EXPECT_THROW(run_study(file, recipe, data_, hooks), std::runtime_error);
  std::map<std::string, int> left;
  const auto table = run(file, left);
  EXPECT_EQ(left, (std::map<std::string, int>{{"early-s1 tests", 1}}));
  // But for the time taken.
  for (const char* key : {"rows", "reference"}) EXPECT_EQ(table[key], expected[key]);

  std::map<std::string, int> again;
  EXPECT_EQ(run(file, again), table);
  EXPECT_TRUE(again.empty());
}

TEST_F(Study, TakesAFinishedRunForACell) {
  StudyFile file = study("s");
  file.seeds = {1};
  // Trained by itself, its state after the second epoch put aside.
  const auto cells = plan_study(file, recipe);
  PretrainOptions options = cells[0].options;
  options.save_every = 1;
  PretrainHooks hooks;
  const fs::path folder = options.output_dir;
  hooks.after_save = [&](const ModelView& view, const fs::path& path) {
    if (view.info.epoch != 2) return;
    fs::create_directories(folder / "prefix2");
    for (const char* name : {"epoch-0002.safetensors", "epoch-0002.state.safetensors"})
      fs::copy_file(path.parent_path() / name, folder / "prefix2" / name);
  };
  pretrain(options, hooks);
  std::map<std::string, int> done;
  run(file, done);
  EXPECT_EQ(done.count("mae-s1"), 0u);
  EXPECT_EQ(done["early-s1"], 12);
  EXPECT_EQ(done["late-s1"], 24);  // its branch point was not put aside
}

TEST_F(Study, FineTunesTheLastCheckpointWhereAsked) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.variants.resize(2);
  std::map<std::string, int> done;
  run(file, done);
  file.finetune = OptionTexts{
      {"epochs", "1"}, {"batch_size", "10"}, {"warmup_epochs", "0"}, {"num_workers", "1"}};
  std::map<std::string, int> again;
  const auto table = run(file, again);
  EXPECT_TRUE(again.empty());
  int rows = 0;
  for (const auto& row : table["rows"])
    if (row["metric"] == "finetune") {
      EXPECT_EQ(row["epoch"], 4);
      EXPECT_GE(row["mean"], 0.0);
      ++rows;
    }
  EXPECT_EQ(rows, 2);
  const std::string log = read_text(folder_.path("s/cells/early-s1/finetune-4/log.txt"));
  EXPECT_EQ(run(file, again), table);
  EXPECT_EQ(read_text(folder_.path("s/cells/early-s1/finetune-4/log.txt")), log);
  file.finetune = OptionTexts{{"epoch", "1"}};
  EXPECT_NE(error_of(ExitCode::usage, [&] { run(file, done); }).find("did you mean 'epochs'"),
            std::string::npos);
}

TEST_F(Study, FineTunesWhereAndHowItTrains) {
  StudyFile file = study("s");
  file.options.insert(file.options.end(), {{"precision", "bf16"}, {"device", "cuda:1"}});
  const PretrainOptions training = cell_options(file, file.variants[0], 1, recipe);
  FinetuneOptions options = finetune_options(file, training);
  EXPECT_EQ(options.device, "cuda:1");
  EXPECT_EQ(options.precision, PrecisionChoice::bf16);
  EXPECT_EQ(options.threads, 1);
  file.finetune = OptionTexts{{"precision", "fp32"}};
  options = finetune_options(file, training);
  EXPECT_EQ(options.device, "cuda:1");
  EXPECT_EQ(options.precision, PrecisionChoice::fp32);

  file.options.pop_back();
  file.seeds = {1};
  file.variants.resize(2);
  file.evaluate_epochs = {4};
  file.finetune = OptionTexts{{"epochs", "1"}, {"batch_size", "10"}};
  std::map<std::string, int> done;
  run(file, done);
  EXPECT_NE(
      read_text(folder_.path("s/cells/mae-s1/finetune-4/config.toml")).find("precision = \"bf16\""),
      std::string::npos);
}

// Each epoch is fine-tuned in its own folder; older versions had one for all.
TEST_F(Study, FineTunesTheEpochThatIsAsked) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.variants = {{"mae", {}}};
  file.finetune = OptionTexts{{"epochs", "1"}, {"batch_size", "10"}};
  std::map<std::string, int> done;
  run(file, done);
  const fs::path cell = folder_.path("s/cells/mae-s1");
  const auto config = [&](const char* folder) { return read_text(cell / folder / "config.toml"); };
  EXPECT_NE(config("finetune-4").find("epoch-0004.safetensors"), std::string::npos);

  // As it was left then.
  fs::rename(cell / "finetune-4", cell / "finetune");
  const auto forget_options = [&](const char* name) {
    auto entry = nlohmann::ordered_json::parse(read_text(cell / "evaluation" / name));
    entry.erase("options");
    write_file(cell / "evaluation" / name, entry.dump());
  };
  forget_options("finetune-4.json");
  run(file, done);
  EXPECT_FALSE(fs::exists(cell / "finetune-4"));

  file.evaluate_epochs = {3};
  run(file, done);
  EXPECT_NE(config("finetune-3").find("epoch-0003.safetensors"), std::string::npos);
  // A result of which nothing is known.
  fs::remove_all(cell / "finetune-3");
  run(file, done);
  forget_options("finetune-3.json");
  EXPECT_NE(error_of(ExitCode::data, [&] { run(file, done); }).find("older version"),
            std::string::npos);
}

TEST_F(Study, RefusesResultsOfOtherOptions) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.variants = {{"mae", {}}};
  file.finetune = OptionTexts{{"epochs", "1"}, {"batch_size", "10"}};
  std::map<std::string, int> done;
  const auto table = run(file, done);
  const auto refusal = [&] { return error_of(ExitCode::usage, [&] { run(file, done); }); };
  const auto expect_refused = [&](const std::string& difference, const std::string& cure) {
    const std::string said = refusal();
    EXPECT_NE(said.find(difference), std::string::npos) << said;
    EXPECT_NE(said.find(cure), std::string::npos) << said;
  };
  data_.fit = Fit::squash;
  expect_refused("fit is \"auto\" there, \"squash\" here", "delete it");
  data_.fit = Fit::automatic;
  data_.train_split = "test";
  expect_refused("there, \"test\" here", "delete it");
  data_.train_split = "train";

  file.finetune = OptionTexts{{"epochs", "2"}, {"batch_size", "10"}};
  expect_refused("epochs is 1 there, 2 here", "finetune-4 to have it done again");
  const fs::path cell = folder_.path("s/cells/mae-s1");
  fs::remove(cell / "evaluation/finetune-4.json");
  expect_refused("epochs is 1 there, 2 here", "finetune-4.json to have it done again");
  fs::remove_all(cell / "finetune-4");
  run(file, done);
  EXPECT_NE(read_text(cell / "finetune-4/log.txt").find("\"epoch\":2"), std::string::npos);
}

TEST_F(Study, TrainsOnWhatItTests) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.variants.resize(2);
  data_.data_format.values = DataFormat::eight_bit;
  std::map<std::string, int> done;
  run(file, done);
  EXPECT_NE(read_text(folder_.path("s/cells/mae-s1/config.toml")).find("values = \"8bit\""),
            std::string::npos);
}

// Of MoCo v3 there is an encoder to be tested, and nothing of it is shared.
TEST_F(Study, ComparesWithMocoV3) {
  StudyFile file = study("s");
  file.seeds = {1};
  file.variants = {{"mae", {{"mask_strategy", "random"}}},
                   {"moco",
                    {{"method", "moco_v3"},
                     {"decoder_dim", "0"},
                     {"decoder_depth", "0"},
                     {"decoder_heads", "0"},
                     {"moco_mlp_dim", "16"},
                     {"moco_dim", "8"}}}};
  for (const StudyCell& cell : plan_study(file, recipe)) EXPECT_FALSE(cell.trunk);
  std::map<std::string, int> done;
  const auto table = run(file, done);
  EXPECT_EQ(done["moco-s1"], 24);
  EXPECT_EQ(done["moco-s1 tests"], 2);
  int rows = 0;
  for (const auto& row : table["rows"]) rows += row["variant"] == "moco";
  EXPECT_EQ(rows, 2 * 6);
  EXPECT_EQ(open_model(folder_.path("s/cells/moco-s1")).mae(), nullptr);
}

TEST_F(Study, RefusesFoldersOfOtherRunsAndMissingCheckpoints) {
  StudyFile file = study("s");
  file.seeds = {1};
  const auto cells = plan_study(file, recipe);
  PretrainOptions options = cells[0].options;
  options.epochs = 5;
  pretrain(options);
  std::map<std::string, int> done;
  EXPECT_NE(error_of(ExitCode::usage, [&] { run(file, done); }).find("epochs is 5"),
            std::string::npos);
  EXPECT_TRUE(done.empty());

  // Of the second seed, saved after epoch 4 alone: said before the first is trained.
  fs::remove_all(folder_.path("s"));
  file.seeds = {2, 1};
  options.epochs = 4;
  pretrain(options);
  EXPECT_NE(error_of(ExitCode::checkpoint, [&] { run(file, done); }).find("evaluate_epochs"),
            std::string::npos);
  EXPECT_TRUE(done.empty());

  file.evaluate_epochs = {5};
  EXPECT_NE(error_of(ExitCode::usage, [&] { run(file, done); }).find("trains for 4"),
            std::string::npos);
}

// Runs as pretrain() in as many processes makes them, tests as one process makes them.
TEST_F(Study, SharesTrainingsAndTestsAmongProcesses) {
  StudyFile file = study("s", variants + "[finetune]\nepochs = 1\nbatch_size = 10\n");
  file.seeds = {1};
  file.options.emplace_back("batch_size", "5");
  expect_in_processes(2, [&] {
    std::map<std::string, int> done;
    run(file, done);
    EXPECT_EQ(done, (std::map<std::string, int>{{"mae-s1", 24},
                                                {"late-s1", 6},
                                                {"early-s1", 12},
                                                {"mae-s1 tests", 2},
                                                {"late-s1 tests", 2},
                                                {"early-s1 tests", 2}}));
    done.clear();
    run(file, done);
    EXPECT_TRUE(done.empty());
  });
  StudyFile alone = file;
  alone.output_dir = folder_.path("alone");
  const auto cells = plan_study(alone, recipe);
  expect_in_processes(2, [&] {
    for (const StudyCell& cell : cells) pretrain(cell.options);
  });
  for (const StudyCell& cell : cells) {
    const std::string run = "/cells/" + cell.variant + "-s1";
    EXPECT_TRUE(model("s" + run, 3) == model("alone" + run, 3)) << cell.variant;
  }
  const auto rows = [&] {
    return nlohmann::json::parse(read_text(folder_.path("s/table.json"))).at("rows");
  };
  const nlohmann::json shared = rows();
  EXPECT_EQ(shared.size(), 42u);  // 3 variants x 2 epochs x 6 metrics, and 2 of fine-tuning
  for (const StudyCell& cell : cells)
    for (const int epoch : {3, 4})
      fs::remove(
          folder_.path(str("s/cells/", cell.variant, "-s1/evaluation/epoch-", epoch, ".json")));
  expect_in_processes(1, [&] {
    std::map<std::string, int> done;
    run(file, done);
  });
  EXPECT_EQ(rows(), shared);
}

}  // namespace
}  // namespace sgmae
