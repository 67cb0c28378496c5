// Pictures that commands leave, as a user gets them: their bytes also lie in TensorBoard's events,
// and they say which images they show.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sgmae/base/error.h"
#include "sgmae/image/decode.h"
#include "tests/data/folder.h"
#include "tests/support/program.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Pictures : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    for (int i = 0; i < 4; ++i) folder_.image(str("images/", i, ".png"), 60 * i, 16, 16);
  }
  void run(const std::string& arguments) {
    const Outcome outcome = run_program_in(folder_.path(), arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  void pretrain(const std::string& more) {
    run("pretrain --data_path images --output_dir run --input_size 16 --patch_size 4 --dim 16 "
        "--depth 2 --heads 2 --decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 4 "
        "--epochs 2 --warmup_epochs 0 --lr 1e-3 --num_workers 0 --threads 1 --save_every 1 "
        "--mask_strategy random " +
        more);
  }
  // All event files of a folder, one after the other.
  std::string events(const std::string& in) const {
    std::string bytes;
    for (const auto& entry : fs::directory_iterator(folder_.path(in)))
      if (entry.path().filename().string().starts_with("events.out.tfevents."))
        bytes += read_text(entry.path());
    return bytes;
  }

  Folder folder_;
};

TEST_F(Pictures, SheetsOfPretrainingAreEvents) {
  pretrain("");
  const std::string written = events("run/figures");
  int sheets = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path("run/figures"))) {
    if (entry.path().extension() != ".png") continue;
    ++sheets;
    EXPECT_NE(written.find(read_text(entry.path())), std::string::npos) << entry.path();
  }
  EXPECT_EQ(sheets, 3);  // before training, and after each epoch
}

TEST_F(Pictures, EventsOfSheetsFollowLogDir) {
  pretrain("--log_dir logs");
  EXPECT_EQ(events("run/figures"), "");
  EXPECT_NE(events("logs/figures").find("PNG"), std::string::npos);
}

TEST_F(Pictures, SheetsNameTheirImages) {
  pretrain("");
  fs::copy(folder_.path("images/0.png"), folder_.path("images/zero.png"));
  for (const std::string command : {"mask", "reconstruct"}) {
    const auto drawn = [&](const std::string& image) {
      run(command + " images/" + image + " --checkpoint run --output made" +
          (command == "mask" ? "" : ".png"));
      return read_file(folder_.path(command == "mask" ? "made/masks.png" : "made.png"));
    };
    // The same pixels under two names.
    const auto first = drawn("0.png"), second = drawn("zero.png");
    EXPECT_NE(first, second) << command;
    EXPECT_EQ(decode_image(first, 3).size(), decode_image(second, 3).size()) << command;
  }
}

}  // namespace
}  // namespace sgmae
