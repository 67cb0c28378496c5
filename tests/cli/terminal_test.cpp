// The live progress bar, as a person sees it: the built program on a pseudo-terminal.
// Oracle: a small terminal that understands what is written to it, and train.log.
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>

#include "sgmae/base/file.h"
#include "sgmae/image/encode.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Rows of text, with carriage return, line feed, "erase to the end of the row" and wrapping.
class Screen {
 public:
  explicit Screen(std::size_t columns) : columns_(columns) {}

  void write(const std::string& text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.compare(i, 3, "\033[K") == 0) {
        rows_.back().resize(column_);
        i += 2;
      } else if (text[i] == '\r') {
        column_ = 0;
      } else if (text[i] == '\n') {
        rows_.emplace_back();
        column_ = 0;
      } else {
        put(text[i]);
      }
    }
  }
  const std::vector<std::string>& rows() const { return rows_; }

 private:
  void put(char c) {
    if (column_ == columns_) {
      rows_.emplace_back();
      column_ = 0;
    }
    std::string& row = rows_.back();
    if (row.size() <= column_) row.resize(column_ + 1, ' ');
    row[column_++] = c;
  }

  std::size_t columns_, column_ = 0;
  std::vector<std::string> rows_{""};
};

// Runs the command with all of its output on a terminal of that width; returns what was written.
// Ctrl-C is pressed once `interrupt_at` has been written.
std::string on_terminal(const std::string& command, unsigned short columns, int& code,
                        std::string interrupt_at = "") {
  struct winsize size {
    .ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0
  };
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  std::string written;
  char buffer[4096];
  for (ssize_t count; (count = read(terminal, buffer, sizeof buffer)) > 0;) {
    written.append(buffer, static_cast<std::size_t>(count));
    if (interrupt_at.empty() || written.find(interrupt_at) == std::string::npos) continue;
    EXPECT_EQ(write(terminal, "\x03", 1), 1);
    interrupt_at.clear();
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(terminal);
  code = WEXITSTATUS(status);
  return written;
}

// Greys, and the arguments of a short pre-training on them.
void make_images(const fs::path& root) {
  fs::create_directories(root / "images");
  for (int i = 0; i < 24; ++i) {
    const auto grey = static_cast<std::uint8_t>(10 * i);
    write_png(root / "images" / (std::to_string(i) + ".png"),
              Image{16, 16, 1, std::vector<std::uint8_t>(256, grey)});
  }
}
constexpr const char* kPretrain =
    " pretrain --data_path images --output_dir run --input_size 16 --patch_size 4 --dim 16 "
    "--depth 2 --heads 2 --decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 4 "
    "--warmup_epochs 1 --lr 1e-3 --num_workers 1 --threads 1 --probe_images 0 ";

class Terminal : public testing::TestWithParam<unsigned short> {};

TEST_P(Terminal, TheBarIsRedrawnInPlaceAndLeavesNoTrace) {
  const unsigned short columns = GetParam();
  const TemporaryFolder folder;
  const fs::path& root = folder.root();
  make_images(root);
  int code = 0;
  const std::string written = on_terminal(
      str("cd ", root.string(), " && " SGMAE_PROGRAM, kPretrain, "--epochs 2 --log_every 1"),
      columns, code);
  ASSERT_EQ(code, 0) << written;

  // Every step but an epoch's last redraws the bar, which fills up; even --log_every 1 prints no
  // line in its place.
  const std::regex bar(R"(\r\x1b\[K(epoch (\d)/2 \[(#*)\.*\] (\d)/6  loss [^\r]*))");
  int bars = 0;
  for (std::sregex_iterator at(written.begin(), written.end(), bar), end; at != end; ++at, ++bars) {
    EXPECT_EQ((*at)[2], std::to_string(1 + bars / 5));
    EXPECT_EQ((*at)[4], std::to_string(bars % 5 + 1));
    EXPECT_EQ((*at)[3].length(), 4 * (bars % 5 + 1));  // of 24
    EXPECT_LT((*at)[1].length(), columns);
  }
  EXPECT_EQ(bars, 10);

  // What stays on the screen is what train.log holds, wrapped, and the lines that follow training.
  Screen seen(columns), expected(columns);
  seen.write(written);
  const std::string log = read_text(root / "run/train.log");
  EXPECT_NE(log.find("Epoch: [2]  [5/6]"), std::string::npos);
  expected.write(std::regex_replace(log, std::regex("\n"), "\r\n"));
  ASSERT_GE(seen.rows().size(), expected.rows().size());
  for (std::size_t i = 0; i + 1 < expected.rows().size(); ++i)
    EXPECT_EQ(seen.rows()[i], expected.rows()[i]) << "row " << i;
  for (const std::string& row : seen.rows()) EXPECT_FALSE(row.starts_with("epoch ")) << row;
}

TEST(TerminalSignal, CtrlCIsAnsweredAtOnceAndTheRunIsSaved) {
  const TemporaryFolder folder;
  make_images(folder.root());
  int code = 0;
  const std::string written =
      on_terminal(str("cd ", folder.root().string(), " && exec " SGMAE_PROGRAM, kPretrain,
                      "--epochs 100000 --save_every 100000"),
                  100, code, "epoch 3/");
  EXPECT_EQ(code, 130);
  const std::regex said(
      "\r\x1b\\[Kfinishing this step, then saving; again to stop now, losing \\d+ steps\r\n");
  EXPECT_TRUE(std::regex_search(written, said)) << written;
  EXPECT_NE(written.find("the same command resumes from there"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Widths, Terminal, testing::Values(60, 80, 200));

}  // namespace
}  // namespace sgmae
