// Oracle: files written by hand, and the messages that a wrong one must bring.
#include "sgmae/study/study_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sgmae/base/file.h"
#include "sgmae/mask/self_guided.h"

#include "tests/data/folder.h"

namespace sgmae {
namespace {

const std::string good = R"([study]
title = "Guidance"
recipe = "some_recipe"
output_dir = "runs/study"
seeds = [0, 7]
reference = "mae"
evaluate_epochs = [8, 4]

[options]
epochs = 8
blr = 1.5e-4
norm_pix_loss = true

[[variant]]
name = "mae"
mask_strategy = "random"

[[variant]]
name = "guided"
mask_strategy = "self_guided"
guide_start = 2
blr = 2e-4
)";

TEST(StudyFile, SaysWhatIsInIt) {
  const StudyFile study = parse_study(good, "study.toml");
  EXPECT_EQ(study.title, "Guidance");
  EXPECT_EQ(study.recipe, "some_recipe");
  EXPECT_EQ(study.seeds, (std::vector<std::uint64_t>{0, 7}));
  EXPECT_EQ(study.evaluate_epochs, (std::vector<std::int64_t>{4, 8}));
  ASSERT_EQ(study.variants.size(), 2u);
  EXPECT_EQ(study.variants[1].name, "guided");

  const std::string recipe = "[optim]\nepochs = 100\nmin_lr = 1e-6\n[data]\ndata_path = \"here\"\n";
  const PretrainOptions o = cell_options(study, study.variants[1], 7, recipe);
  EXPECT_EQ(o.data_path, "here");                              // recipe
  EXPECT_EQ(o.min_lr, 1e-6);                                   // recipe
  EXPECT_EQ(o.epochs, 8);                                      // study over recipe
  EXPECT_TRUE(o.norm_pix_loss);                                // study
  EXPECT_EQ(o.blr, 2e-4);                                      // variant over study
  EXPECT_EQ(o.mask.of<SelfGuidedOptions>().guide_start, "2");  // variant
  EXPECT_EQ(o.seed, 7u);
  EXPECT_EQ(o.output_dir, "runs/study/cells/guided-s7");
  EXPECT_EQ(cell_options(study, study.variants[0], 0, recipe).blr, 1.5e-4);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(StudyFile, RefusesWhatItCannotMean) {
  const auto refused = [](const std::string& from, const std::string& to,
                          const std::string& message) {
    const std::string said = error_of(ExitCode::usage, [&] {
      const StudyFile study = parse_study(replaced(good, from, to), "study.toml");
      for (const StudyVariant& variant : study.variants) cell_options(study, variant, 0, "");
    });
    EXPECT_NE(said.find(message), std::string::npos) << said;
    EXPECT_NE(said.find("study.toml"), std::string::npos) << said;
  };
  refused("seeds = [0, 7]", "seeds = []", "no seeds");
  refused("seeds = [0, 7]", "seeds = [7, 7]", "twice");
  refused("seeds = [0, 7]", "seeds = 7", "list");
  refused("seeds = [0, 7]", "seeds = [-1]", "0 or more");
  refused("seeds = [0, 7]", "seads = [0]", "did you mean 'seeds'");
  refused("seeds = [0, 7]", "seeds = [0, 7", "study.toml:");
  refused("reference = \"mae\"", "reference = \"mea\"", "not the name of a variant");
  refused("recipe = \"some_recipe\"", "", "has no recipe");
  refused("name = \"guided\"", "name = \"mae\"", "two variants");
  refused("name = \"guided\"", "name = \"a/b\"", "must not contain '/'");
  refused("name = \"guided\"", "", "no name");
  refused("guide_start = 2", "guide_strat = 2", "did you mean 'guide_start'");
  refused("guide_start = 2", "hint_decay = \"cubic\"", "cubic");
  refused("guide_start = 2", "guide_start = [2]", "expected text");
  refused("epochs = 8", "seed = 3", "belong in [study]");
  refused("[options]", "[option]", "not one of [study]");
}

// Those of docs/results: every variant is a run that could begin.
TEST(StudyFile, CommittedOnesHold) {
  const std::filesystem::path root = SGMAE_TEST_DATA "/../../..";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs/results")) {
    if (entry.path().extension() != ".toml") continue;
    const StudyFile study = parse_study(read_text(entry.path()), entry.path().string());
    const std::string recipe = read_text(root / "recipes" / (study.recipe + ".toml"));
    for (const StudyVariant& variant : study.variants) {
      PretrainOptions o = cell_options(study, variant, study.seeds.front(), recipe);
      o.data_path = "images";
      EXPECT_NO_THROW(o.check()) << entry.path() << " " << variant.name;
    }
    ++files;
  }
  EXPECT_GE(files, 4);
}

}  // namespace
}  // namespace sgmae
