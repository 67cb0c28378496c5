// No value of an option ends in a bug: whole commands on tiny data, with options that a hand chose
// and such that chance draws. The oracle is the exit code alone.
//
// SGMAE_FUZZ_SECONDS=600 SGMAE_FUZZ_SEED=7 build/test_cli --gtest_filter='Commands.*' draws for
// longer; ./dev fuzz SECONDS commands does so.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/encode.h"
#include "tests/eval/striped_data.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr int too_long = 142;  // 128 + SIGALRM: a run of a billion epochs is no fault

class Commands : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the limit on memory leaves no room for the sanitizer's";
#endif
    at::set_num_threads(1);  // see run_program_in
    fs::create_directories(root_ / "data");
    striped::write_part(root_ / "data", "train", 24, true);
    striped::write_part(root_ / "data", "t10k", 9, true);
    write_png(root_ / "image.png", blank_image({20, 16}, {9, 99, 199}));
    ASSERT_EQ(run(with(base("pretrain"), {"--output_dir", "model", "--guide_start", "1"})).code, 0)
        << said_;
    fs::rename(root_ / "model", root_ / "trained");
  }

  // A command that succeeds, and takes a moment.
  static Words base(const std::string& command) {
    const Words model{"--checkpoint", "trained"}, data{"--data_path", "data", "--num_workers", "0"};
    Words words{command};
    const auto add = [&](const Words& more) {
      words.insert(words.end(), more.begin(), more.end());
    };
    if (command == "pretrain") {
      add(data);
      add({"--output_dir",   "out", "--input_size",    "16",          "--patch_size",    "4",
           "--dim",          "16",  "--depth",         "2",           "--heads",         "2",
           "--decoder_dim",  "16",  "--decoder_depth", "1",           "--decoder_heads", "2",
           "--batch_size",   "8",   "--epochs",        "2",           "--warmup_epochs", "0",
           "--probe_images", "8",   "--mask_strategy", "self_guided", "--guide_start",   "1",
           "--hint_ratio",   "0.1", "--blr",           "0.01"});
    } else if (command == "mask" || command == "reconstruct") {
      add(model);
      add({"image.png", "--output", "out.png"});
    } else if (command == "embed") {
      add(model);
      add(data);
      add({"--output", "out.npy"});
    } else if (command == "inspect") {
      add({"trained"});
    } else {
      add(model);
      add(data);
      add({"--output_dir", "out"});
      if (command != "knn" && command != "analyze") add({"--epochs", "2", "--batch_size", "8"});
    }
    if (command != "inspect") add({"--threads", "1"});
    return words;
  }

  static Words with(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  Outcome run(const Words& words) const {
    fs::remove_all(root_ / "out");
    const pid_t child = fork();
    if (child == 0) {
      fs::current_path(root_);
      const rlimit memory{rlim_t{8} << 30, rlim_t{8} << 30};
      setrlimit(RLIMIT_AS, &memory);
      alarm(120);  // on a busy machine, filling the memory takes long
      for (const auto& [stream, name] : {std::pair{1, "stdout"}, std::pair{2, "stderr"}})
        dup2(open((root_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), stream);
      leave(run_program(words));
    }
    int status = -1;
    waitpid(child, &status, 0);
    said_ = read_text(root_ / "stderr");
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), "", said_};
  }

  static std::string line(const Words& words) {
    std::string text = "sgmae";
    for (const std::string& word : words) text += " " + (word.empty() ? "''" : word);
    return text;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
  mutable std::string said_;
};

TEST_F(Commands, ValuesThatOnceEndedInABug) {
  const std::vector<std::pair<Words, std::set<int>>> cases{
      // Random masks have no hints.
      {with(base("pretrain"), {"--mask_strategy", "random", "--mask_ratio", "0.9"}), {0}},
      {with(base("pretrain"), {"--mask_strategy", "random", "--hint_ratio", "0.9"}), {0}},
      {with(base("pretrain"), {"--mask_ratio", "0.9"}), {2}},  // two hints, one visible patch
      {with(base("pretrain"), {"--mask_ratio", "0.99"}), {2}},
      {with(base("pretrain"), {"--lr", "-1"}), {2}},
      {with(base("pretrain"), {"--batch_size", "9223372036854775807"}), {2}},
      {with(base("pretrain"), {"--lr", "5"}), {0, 5}},
      {with(base("pretrain"), {"--lr", "1e12"}), {5}},
      {with(base("pretrain"), {"--lr", "1e38", "--mask_source", "online"}), {5}},
      {with(base("pretrain"), {"--lr", "1e300"}), {2}},
      {with(base("pretrain"), {"--patch_size", "16"}), {2}},  // a single patch
      {with(base("pretrain"), {"--channels", "9223372036854775807"}), {2}},
      {with(base("pretrain"), {"--dim", "16384", "--depth", "4096"}), {1}},
      {with(base("mask"), {"--threads", "-1"}), {2}},
      {with(base("mask"), {"--mask_ratio", "1e300"}), {2}},
      {with(base("linprobe"), {"--blr", "1e300"}), {2}},
      {with(base("linprobe"), {"--blr", "1e38"}), {0, 5}},
      {with(base("finetune"), {"--lr", "1e20"}), {5}},
  };
  for (const auto& [words, codes] : cases) {
    const int code = run(words).code;
    EXPECT_TRUE(codes.contains(code)) << line(words) << "\nended with " << code << ": " << said_;
  }
}

TEST_F(Commands, NoDrawnValueEndsInABug) {
  const char* const asked = std::getenv("SGMAE_FUZZ_SECONDS");
  const char* const seed = std::getenv("SGMAE_FUZZ_SEED");
  const double seconds = asked ? std::atof(asked) : 0;  // 0: a few
  constexpr int few = 60;
  const Words integers{"-1",
                       "0",
                       "1",
                       "2",
                       "3",
                       "7",
                       "16",
                       "17",
                       "1000",
                       "9223372036854775807",
                       "-9223372036854775808",
                       "1073741824",
                       "x",
                       ""};
  const Words numbers{"-1",    "0",      "1e-300", "1e-3", "0.05", "0.5",  "0.95", "0.9999999",
                      "1",     "1.5",    "2",      "100",  "1e5",  "1e10", "1e30", "3.4e38",
                      "1e300", "-1e300", "nan",    "inf",  "x",    ""};
  const Words texts{"",  "x",         "auto",      "none", "0",    "-1",  "1,2", "trained", "data",
                    "/", "nowhere/x", "image.png", "key",  "\xff", "a b", "[",   "{",       "2.5"};
  // Those that reach beyond the temporary folder, ask for another device or end at once.
  const std::set<std::string> left{"output_dir", "log_dir", "device", "threads", "num_workers"};
  const std::vector<std::string> names{"pretrain",    "pretrain", "pretrain", "mask",
                                       "reconstruct", "linprobe", "finetune", "knn",
                                       "analyze",     "embed",    "inspect"};
  std::map<std::string, Command> commands_by_name;
  for (const CommandEntry& entry : commands()) commands_by_name.emplace(entry.name, entry.make());

  Rng rng(seed ? std::strtoull(seed, nullptr, 10) : 1, 0, 0, Purpose::probe);
  const auto one_of = [&](const auto& list) -> const std::string& {
    return list[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(list.size())))];
  };
  const auto begun = std::chrono::steady_clock::now();
  int runs = 0;
  std::map<int, int> ended;
  for (;; ++runs) {
    const double passed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (seconds > 0 ? passed > seconds : runs >= few) break;
    const std::string command = one_of(names);
    Words words = base(command);
    const auto& all = commands_by_name.at(command).options.all();
    for (std::int64_t i = 1 + rng.below(2); i > 0; --i) {
      const OptionInfo& option =
          all[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(all.size())))];
      if (left.contains(option.name)) continue;
      const std::string value = option.type == "integer"  ? one_of(integers)
                                : option.type == "number" ? one_of(numbers)
                                : option.is_flag          ? one_of(Words{"true", "false"})
                                : option.type == "text"   ? one_of(texts)
                                                          : one_of(choices_of(option));
      words.push_back("--" + option.name + "=" + value);
    }
    const int code = run(words).code;
    ++ended[code];
    if (code == too_long) std::printf("stopped after 20 s: %s\n", line(words).c_str());
    EXPECT_TRUE((std::set<int>{0, 1, 2, 3, 4, 5, too_long}).contains(code))
        << line(words) << "\nended with " << code << ": " << said_;
  }
  std::string counts;
  for (const auto& [code, count] : ended) counts += str("  exit ", code, ": ", count);
  std::printf("%d commands:%s\n", runs, counts.c_str());
  EXPECT_GT(ended[0], 0);
  EXPECT_GT(ended[2], 0);
}

}  // namespace
}  // namespace sgmae
