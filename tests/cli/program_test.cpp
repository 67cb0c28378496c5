// The program, run as a user runs it, on images made here: exit codes, messages, files.
// Oracle of `forward`: transformers' ViTMAEForPreTraining (tests/golden/mae.py).
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sgmae/base/file.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/encode.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/checkpoint.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Program : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // run_program_in

  Outcome run(const std::string& arguments) const { return run_program_in(root_, arguments); }
  void expect(const std::string& arguments, int code, const std::string& message) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  }

  // Photos stand-in: a bright square on a noisy ground, so that there is something to cut out.
  void make_images(int count) const {
    fs::create_directories(root_ / "images");
    for (int i = 0; i < count; ++i) {
      Rng rng(1, 0, static_cast<std::uint64_t>(i), Purpose::probe);
      Image image{40, 32, 3, std::vector<std::uint8_t>(40 * 32 * 3)};
      const int left = static_cast<int>(rng.below(20)), top = static_cast<int>(rng.below(16));
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 40; ++x)
          for (int c = 0; c < 3; ++c) {
            const bool inside = x >= left && x < left + 16 && y >= top && y < top + 12;
            image.pixels[(y * 40 + x) * 3 + c] =
                static_cast<std::uint8_t>((inside ? 200 : 40) + rng.below(40));
          }
      write_png(root_ / "images" / (std::to_string(i) + ".png"), image);
    }
  }

  static constexpr const char* kTiny =
      "pretrain --data_path images --output_dir run --input_size 32 --patch_size 8 --dim 32 "
      "--depth 2 "
      "--heads 2 --decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 8 --epochs 4 "
      "--warmup_epochs 1 --lr 1e-3 --norm_pix_loss --num_workers 1 --threads 1 --probe_images 8 "
      "--mask_strategy self_guided --guide_start 2 --guide_center position --json ";
  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(Program, ChoosesAModelForTheDataAndGoesOnInItsFolder) {
  make_images(70);
  const std::string line =
      "pretrain --data_path images --threads 1 --num_workers 1 --probe_images 0 --guide paper "
      "--guide_start 1 ";
  const Outcome first = run(line + "--epochs 1");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.err.find("by the recipe photos_1k for 70 images"), std::string::npos)
      << first.err;
  EXPECT_NE(first.err.find("masks: self_guided, but the run ends before"), std::string::npos);
  EXPECT_NE(first.err.find("expected: about "), std::string::npos) << first.err;
  const std::string config = read_text(root_ / "runs/images/config.toml");
  EXPECT_NE(config.find("model = \"mae_vit_tiny_patch8\""), std::string::npos) << config;
  EXPECT_NE(config.find("warmup_epochs = 0.1"), std::string::npos) << "a tenth of the run";

  // The same line goes on with what was chosen; more images later would not change that.
  EXPECT_EQ(run(line + "--epochs 1").code, 0);
  const Outcome longer = run("pretrain --resume runs/images --epochs 2");
  ASSERT_EQ(longer.code, 0) << longer.err;
  EXPECT_NE(longer.err.find("made longer, from 1 epoch to 2"), std::string::npos) << longer.err;
  EXPECT_TRUE(fs::exists(root_ / "runs/images/checkpoints/epoch-0002.safetensors"));
  EXPECT_TRUE(fs::exists(root_ / "runs/images/maps")) << "guided after the first epoch";
}

TEST_F(Program, ALineForMaesLauncherKeepsItsBatch) {
  make_images(4);
  expect(
      "pretrain --data_path images --job_dir out --nodes 8 --batch_size 64 "
      "--model mae_vit_large_patch16",
      2, "batch_size 64 x accum_iter 64");
}

TEST_F(Program, DataPackStatsVerify) {
  make_images(5);
  const Outcome stats = run("data stats images --json");
  ASSERT_EQ(stats.code, 0) << stats.err;
  const auto said = nlohmann::json::parse(stats.out);
  EXPECT_EQ(said["images"], 5);
  EXPECT_EQ(said["width"]["median"], 40);
  EXPECT_EQ(said["formats"]["png"], 5);

  write_file(root_ / "images" / "bad.jpg", "no image");
  const Outcome verify = run("data verify images --json");
  EXPECT_EQ(verify.code, 3);  // and the report is printed all the same
  EXPECT_EQ(nlohmann::json::parse(verify.out)["unreadable_count"], 1);
  EXPECT_NE(verify.err.find("1 of the 6 images of images cannot be read"), std::string::npos);

  const Outcome pack = run("data pack images train.sgpack --max-side 24 --verify --json");
  ASSERT_EQ(pack.code, 0) << pack.err;
  const auto packed = nlohmann::json::parse(pack.out);
  EXPECT_EQ(packed["images"], 5);
  EXPECT_EQ(packed["verified"], 5);
  EXPECT_EQ(packed["left_out"].size(), 1u);
  expect("data pack images train.sgpack", 2, "exists already");
  expect("data pack images train.zip", 2, ".sgpack");
  expect("data pack images", 2, "expected pack SRC DST.sgpack");
  expect("data stats images --data_format zip", 2, "data_format");
  expect("data verify images --data_format webdataset", 3, "no .tar file");

  // Training reads the pack.
  const Outcome train = run(std::string(kTiny) +
                            "--data_path train.sgpack --batch_size 4 "
                            "--epochs 1 --warmup_epochs 0 --mask_strategy random");
  EXPECT_EQ(train.code, 0) << train.err;
  std::string bytes = read_text(root_ / "train.sgpack");
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  write_file(root_ / "train.sgpack", bytes);
  expect("data verify train.sgpack", 3, "its checksum does not match");
  write_file(root_ / "train.sgpack", bytes.substr(0, 200));
  expect("data verify train.sgpack", 3, "truncated");
}

TEST_F(Program, AResultThatCannotBePrintedIsAnError) {
  write_file(root_ / "script",
             str("exec 2> said\ndescribe() { ", SGMAE_PROGRAM, " options; }\n", "eval \"$1\""));
  const auto code_of = [&](const std::string& shell) {
    const int status =
        std::system(str("cd ", root_.string(), " && bash script '", shell, "'").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(code_of("describe > /dev/null"), 0);
  EXPECT_EQ(code_of("describe > /dev/full"), 6);
  EXPECT_NE(read_text(root_ / "said").find("No space left on device"), std::string::npos);
  EXPECT_EQ(code_of("describe >&-"), 2);
  EXPECT_NE(read_text(root_ / "said").find("standard output"), std::string::npos);
  EXPECT_EQ(code_of("set -o pipefail; (sleep 0.3; describe) | true"), 141)
      << "as if SIGPIPE had ended it";
  EXPECT_EQ(read_text(root_ / "said"), "");
}

TEST_F(Program, SaysWhatItCanDo) {
  const Outcome outcome = run("--help");
  EXPECT_EQ(outcome.code, 0);
  for (const char* command : {"pretrain", "knn", "linprobe", "finetune", "study", "mask",
                              "reconstruct", "analyze", "report", "data", "forward", "recipes"})
    EXPECT_NE(outcome.out.find(command), std::string::npos) << command;
  EXPECT_NE(run("pretrain --help").out.find("--mask_ratio"), std::string::npos);
  EXPECT_NE(
      run("--version --verbose").out.find(str("instructions ", name_of(instruction_set()), " ")),
      std::string::npos);
}

TEST_F(Program, UnderstandsMaesFinetuningLine) {
  expect(
      "finetune --job_dir run --nodes 4 --use_volta32 --batch_size 32 --model vit_base_patch16 "
      "--finetune absent.pth --epochs 100 --blr 5e-4 --layer_decay 0.65 --weight_decay 0.05 "
      "--drop_path 0.1 --reprob 0.25 --mixup 0.8 --cutmix 1.0 --dist_eval --data_path images",
      4, "absent.pth");
}

TEST_F(Program, TrainsInOneProcessUnlessAStarterSaysOtherwise) {
  const std::string line = " --world_size 1 --local_rank -1 --dist_url env:// --nodes 1 --ngpus 1 ";
  expect("pretrain --data_path absent" + line, 3, "absent");
  expect("finetune --finetune absent.pth --data_path images" + line, 4, "absent.pth");
  expect("linprobe --job_dir run --finetune absent.pth --data_path images" + line, 4, "absent.pth");
  expect("pretrain --data_path absent --world_size 8", 2, "launch --nproc 8");
  expect("finetune --data_path absent --world_size 8", 2, "launch --nproc 8");
  expect("linprobe --finetune absent.pth --data_path absent --world_size 8", 2, "launch --nproc 8");
  expect("pretrain --data_path absent --dist_on_itp", 2, "OMPI_COMM_WORLD_RANK is missing");
}

// A suite, so an environment, of its own.
class OneOfSeveral : public Program {};

TEST_F(OneOfSeveral, IsRefusedWhereACommandRunsInOneProcess) {
  for (const auto& [name, value] : {std::pair{"RANK", "1"},
                                    {"WORLD_SIZE", "2"},
                                    {"MASTER_ADDR", "127.0.0.1"},
                                    {"MASTER_PORT", "1"}})
    setenv(name, value, 1);
  expect("report run", 2, "this command runs in one process, but this is one of 2");
  setenv("RANK", "x", 1);
  setenv("TORCHELASTIC_ERROR_FILE", folder_.path("error.json").c_str(), 1);
  expect("pretrain --data_path absent", 2, "RANK is 'x'");
  const auto left = nlohmann::json::parse(read_text(folder_.root() / "error.json"));
  EXPECT_NE(left.at("message").at("message").get<std::string>().find("RANK is 'x'"),
            std::string::npos)
      << "for torchrun to show";
}

TEST_F(Program, FinetuningRecipesFitTheCommand) {
  const auto listed = nlohmann::json::parse(run("recipes list --json").out);
  int recipes = 0;
  for (const auto& [name, summary] : listed.items())
    if (name.starts_with("finetune_")) {
      expect("finetune --config " + name + " --data_path absent", 3, "absent");
      ++recipes;
    }
  EXPECT_GE(recipes, 6);
}

TEST_F(Program, WrongUsageIsExitTwoAndTeaches) {
  expect("pretrian", 2, "did you mean 'pretrain'");
  expect("pretrain --mask_ration 0.5", 2, "did you mean 'mask_ratio'");
  expect("pretrain --epochs many", 2, "'many' is not an integer");
  expect("pretrain --config fashion_mnist_mea", 2, "did you mean 'fashion_mnist_mae'");
  expect("pretrain --set mask.mask_ratio", 2, "--set section.key=value");
  make_images(8);
  expect(std::string(kTiny) + "--patch_size 7", 2, "does not divide");
  expect(std::string(kTiny) + "--mask_ratio 0", 2, "mask");
}

// A suite, so a process, of its own, which has not asked for the instruction set itself.
class Instructions : public Program {};

TEST_F(Instructions, FollowTheEnvironment) {
  make_images(8);
  setenv("SGMAE_ISA", "avx1024", 1);
  expect("recipes", 2, "SGMAE_ISA is 'avx1024'; this processor has: baseline");
  setenv("SGMAE_ISA", "baseline", 1);
  const std::string train = std::string(kTiny) + "--epochs 1 --mask_strategy random ";
  expect(train, 0, "1 threads, fp32");  // --precision auto
}

TEST_F(Program, ReadsRecipeThenSetThenFlags) {
  // Accepted options reach the data, which is missing; the last word on mask_ratio is the flag's.
  expect("pretrain --data-path=nowhere --set mask.mask-ratio=7 --mask_ratio 0.5 --no_norm_pix_loss",
         3, "nowhere");
  expect("pretrain --mask_ratio 0.5 --set mask.mask_ratio=7 --data_path nowhere", 3, "nowhere");
  expect("pretrain --set mask.mask_ratio=7 --data_path nowhere", 2, "mask_ratio");
  expect("pretrain --output_dir --json", 2, "--output_dir needs a value");
  expect("pretrain --no_epochs", 2, "unknown option");
  expect("pretrain stray", 2, "stray");
  expect("pretrain --no_norm_pix_loss=false", 2, "takes no value");
  expect("recipes --json=1", 2, "takes no value");
}

TEST_F(Program, EveryRecipeFitsTheOptionsAndCanBeCopied) {
  const Outcome list = run("recipes list --json");
  const auto recipes = nlohmann::json::parse(list.out);
  EXPECT_GE(recipes.size(), 10u);
  for (const auto& [name, summary] : recipes.items()) {
    if (name.starts_with("linprobe_"))
      expect("linprobe --checkpoint nowhere --config " + name, 4, "nowhere");
    else if (name.starts_with("detect_"))
      expect("detect --data_path nowhere --config " + name, 3, "nowhere");
    else if (name.starts_with("segment_"))
      expect("segment --data_path nowhere --config " + name, 3, "nowhere");
    else if (!name.starts_with("finetune_"))  // tested above
      expect("pretrain --data_path nowhere --config " + name, 3, "nowhere");
    EXPECT_FALSE(summary.get<std::string>().empty()) << name;
  }
  expect("recipes copy fashion_mnist_mae mine.toml", 0, "mine.toml");
  EXPECT_EQ(read_text(root_ / "mine.toml"), run("recipes show fashion_mnist_mae").out);
  expect("pretrain --config mine.toml --data_path nowhere", 3, "nowhere");
  expect("recipes copy caltech101_64_mae mine.toml", 2, "exists already");
  write_file(root_ / "bad.toml", "[optim]\nepoch = 3\n");
  expect("pretrain --config bad.toml", 2, "bad.toml:2: unknown option 'optim.epoch'; did you mean");
}

TEST_F(Program, BadDataIsExitThree) {
  expect(std::string(kTiny) + "--data_path nowhere", 3, "nowhere");
  fs::create_directories(root_ / "images");
  expect(kTiny, 3, "images");
  write_file(root_ / "images" / "a.jpg", "this is a text file");
  write_file(root_ / "images" / "b.jpg", "");
  expect(std::string(kTiny) + "--batch_size 2", 3, "");
}

TEST_F(Program, BadCheckpointIsExitFour) {
  make_images(1);
  write_file(root_ / "x.safetensors", "garbage");
  expect("reconstruct images/0.png --checkpoint x.safetensors", 4, "x.safetensors");
  expect("reconstruct images/0.png --checkpoint none.safetensors", 4, "none.safetensors");
}

TEST_F(Program, ReportNeedsARun) {
  expect("report", 2, "give one or more run folders");
  expect("report nowhere", 3, "nowhere: no such folder");
  fs::create_directories(root_ / "empty");
  expect("report empty", 3, "is not a run folder");
  write_file(root_ / "empty/log.txt", "{\"epoch\":0,\"train_loss\":1}\n{\"epo");
  expect("report empty --figures 0", 2, "figures");
  expect("report empty --output missing/r.html", 2, "missing/r.html");
  EXPECT_FALSE(fs::exists(root_ / "report.html"));
  expect("report empty", 0, "report.html");
}

// The golden model of transformers as a checkpoint of ours.
struct Reference {
  TensorFile golden = read_safetensors(SGMAE_TEST_DATA "/nn/mae_square.safetensors");

  explicit Reference(const fs::path& checkpoint) {
    ModelInfo info;
    MaeConfig config;
    config.height = config.width = 32;
    config.patch_size = 8;
    config.encoder = {32, 2, 4};
    config.decoder = {16, 2, 2};
    config.norm_pix_loss = true;
    info.mean = info.std = {0.5f, 0.5f, 0.5f};
    Mae model(config, 0);
    for (Parameter& p : model.parameters()) p.value.copy_(*golden.find("param." + p.name));
    save_mae(checkpoint, model, info);
  }
  const at::Tensor& operator[](const std::string& name) const { return *golden.find(name); }
};

// An untrained encoder on two classes that colour tells apart.
TEST_F(Program, TestsAnEncoderByNeighboursAndByALinearLayer) {
  for (const std::string part : {"train", "test"})
    for (int i = 0; i < 24; ++i) {
      const fs::path folder = root_ / "data" / part / (i % 2 ? "dark" : "bright");
      fs::create_directories(folder);
      const auto grey = static_cast<std::uint8_t>((i % 2 ? 20 : 180) + i);
      write_png(folder / (std::to_string(i) + ".png"), blank_image({16, 16}, {grey, grey, grey}));
    }
  MaeConfig config = tiny_mae();
  config.channels = 3;
  ModelInfo model_info;
  model_info.mean = {0.5f, 0.5f, 0.5f};
  model_info.std = {0.25f, 0.25f, 0.25f};
  save_mae(root_ / "model.safetensors", Mae(config, 1), model_info);

  const std::string rest = " --checkpoint model.safetensors --data_path data --threads 1 --json";
  const auto knn = nlohmann::json::parse(run("knn --k 3 --output_dir knn" + rest).out);
  EXPECT_EQ(knn["knn_acc1"], 1.0);
  EXPECT_EQ(nlohmann::json::parse(read_text(root_ / "knn/result.json")), knn);
  EXPECT_TRUE(fs::exists(root_ / "knn/figures/confusion.png"));
  const auto probe =
      nlohmann::json::parse(run("linprobe --cached_features --output_dir probe" + rest).out);
  EXPECT_EQ(probe["acc1"], 1.0);
  EXPECT_EQ(nlohmann::json::parse(read_text(root_ / "probe/result.json")), probe);

  expect("knn --k 25" + rest, 0, "k is 24, not 25");
  expect("knn --checkpoint nowhere --data_path data", 4, "nowhere");
  expect("linprobe --data_path data", 2, "--checkpoint");
  expect("linprobe --batch_size 8 --output_dir probe" + rest, 2, "different linear probe");
  fs::create_directories(root_ / "data/test/unseen");
  write_png(root_ / "data/test/unseen/1.png", blank_image({16, 16}, {9, 9, 9}));
  for (const char* command : {"knn", "linprobe"})
    expect(command + (" --output_dir none" + rest), 3, "unseen");
  EXPECT_FALSE(fs::exists(root_ / "none"));
  expect("study", 2, "STUDY.toml");
  expect("study nowhere.toml", 2, "nowhere.toml");
  write_file(root_ / "study.toml", R"([study]
recipe = "caltech101_64_mae"
output_dir = "study"
seeds = [0]
reference = "left"
[[variant]]
name = "left"
image_key = "left.png"
)");
  expect("study study.toml --data_path data", 2, "left reads images in another way than the tests");
}

// 1e-5: both sides sum in fp32, in different orders.
TEST_F(Program, ForwardEqualsTransformers) {
  const Reference reference(root_ / "model.safetensors");
  write_safetensors(root_ / "in.safetensors",
                    {{"pixels", reference["pixels"]}, {"noise", reference["noise"]}});
  const std::string forward = "forward --checkpoint model.safetensors --threads 1 ";
  expect(forward +
             "--input in.safetensors --output out.safetensors "
             "--taps encoder.*.attention,decoder.1.block_out",
         0, "wrote 8 tensors");
  const TensorFile out = read_safetensors(root_ / "out.safetensors");
  for (const char* name : {"latent", "pred", "mask"}) {
    const at::Tensor &ours = *out.find(name), &theirs = reference[name];
    ASSERT_EQ(ours.sizes(), theirs.sizes()) << name;
    EXPECT_LT(ours.sub(theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>()) << name;
  }
  const double loss = reference["norm_pix.loss"].item<double>();
  EXPECT_NEAR(out.find("loss")->item<double>(), loss, 1e-5 * loss);
  EXPECT_EQ(out.find("encoder.1.attention")->sizes(), (std::vector<std::int64_t>{3, 4, 5, 5}));
  EXPECT_EQ(out.find("decoder.1.block_out")->sizes(), (std::vector<std::int64_t>{3, 17, 16}));

  // Without noise the encoder alone runs, on every patch.
  write_safetensors(root_ / "whole.safetensors", {{"pixels", reference["pixels"]}});
  expect(forward + "--input whole.safetensors --output out.safetensors", 0, "wrote 1 tensors");
  EXPECT_EQ(read_safetensors(root_ / "out.safetensors").find("latent")->sizes(),
            (std::vector<std::int64_t>{3, 17, 32}));

  const std::string in = "--input in.safetensors --output x.safetensors ";
  expect(forward + in + "--taps encoder.2.attention", 2, "no block 2");
  expect(forward + in + "--taps attention", 2, "PART.BLOCK.WHAT");
  expect(forward + in + "--mask_ratio 2", 2, "mask_ratio");
  expect(forward + "--input whole.safetensors --output x.safetensors --taps decoder.0.key", 2,
         "noise");
  fs::create_directories(root_ / "folder");
  expect(forward + "--input in.safetensors --output folder", 2, "directory");
  const auto refused = [&](const NamedTensors& tensors, int code, const std::string& message) {
    write_safetensors(root_ / "bad.safetensors", tensors);
    expect(forward + "--input bad.safetensors --output x.safetensors", code, message);
  };
  refused({{"images", reference["pixels"]}}, 3, "pixels");
  refused({{"pixels", at::zeros({})}}, 3, "pixels");
  refused({{"pixels", at::zeros({0, 3, 32, 32})}}, 3, "pixels");
  refused({{"pixels", at::zeros({1, 3, 16, 32})}}, 2, "3x32x32");
  refused({{"pixels", reference["pixels"]}, {"noise", at::zeros({3, 9})}}, 3, "[3, 16]");
  refused({{"pixels", reference["pixels"]}, {"noise", at::full({3, 16}, NAN)}}, 3, "finite");
  EXPECT_FALSE(fs::exists(root_ / "x.safetensors"));
}

// Of equal noise the lower index comes first, however many patches there are: 64, where torch's own
// argsort would scramble more than 16.
TEST_F(Program, ForwardKeepsTheOrderOfEqualNoise) {
  MaeConfig config = tiny_mae();
  config.height = config.width = 64;
  ModelInfo info;
  info.mean = {0.5f};
  info.std = {0.25f};
  save_mae(root_ / "tiny.safetensors", Mae(config, 1), info);
  at::Tensor noise = at::zeros({1, 64});
  noise[0][63] = -1.0f;
  write_safetensors(root_ / "in.safetensors",
                    {{"pixels", at::zeros({1, 1, 64, 64})}, {"noise", noise}});
  expect(
      "forward --checkpoint tiny.safetensors --threads 1 --input in.safetensors "
      "--output out.safetensors",
      0, "wrote 5 tensors");
  const at::Tensor places = *read_safetensors(root_ / "out.safetensors").find("ids_restore");
  EXPECT_EQ(places[0][63].item<std::int64_t>(), 0);
  for (std::int64_t i = 0; i < 63; ++i) EXPECT_EQ(places[0][i].item<std::int64_t>(), i + 1);
}

// Orders are permutations whose visible part holds no patch of high relevance but the hints.
TEST_F(Program, MaskWritesTheTensorsOfItsDecision) {
  const Reference reference(root_ / "model.safetensors");
  write_safetensors(root_ / "in.safetensors", {{"pixels", reference["pixels"]}});
  for (const bool cuts : {false, true}) {
    expect(str("mask --checkpoint model.safetensors --input in.safetensors --output m.safetensors "
               "--hint_ratio 0.07 --threads 1 --guide ",
               cuts ? "paper" : "hardest"),
           0, "m.safetensors");
    const TensorFile out = read_safetensors(root_ / "m.safetensors");
    EXPECT_EQ(out.find("similarity")->sizes(), (std::vector<std::int64_t>{3, 16, 16}));
    ASSERT_EQ(out.find("eigenvector") != nullptr, cuts);
    if (cuts) {
      EXPECT_EQ(out.find("eigenvector")->sizes(), (std::vector<std::int64_t>{3, 16}));
    }
    const at::Tensor side = *out.find("object_side"), order = *out.find("order");
    EXPECT_TRUE(side.le(1).all().item<bool>());
    const at::Tensor by_place = std::get<0>(order.sort(1));
    const at::Tensor ranked = out.find("relevance")->gather(1, order);
    for (std::int64_t b = 0; b < 3; ++b) {
      for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(by_place[b][i].item<std::int64_t>(), i);
      // 4 of 16 stay visible, the last of them a hint (round(0.07 * 16) = 1).
      const double visible = ranked[b].narrow(0, 0, 3).max().item<double>();
      EXPECT_LE(visible, ranked[b].narrow(0, 3, 13).min().item<double>());
    }
  }
  // An encoder alone has no error of its own to go by.
  expect("convert model.safetensors encoder.safetensors --to timm", 0, "");
  expect("mask --checkpoint encoder.safetensors --input in.safetensors --output m.safetensors", 0,
         "has no decoder");
  EXPECT_NE(read_safetensors(root_ / "m.safetensors").find("eigenvector"), nullptr);
  expect(
      "mask --checkpoint encoder.safetensors --input in.safetensors --output m.safetensors "
      "--guide_object hardest",
      2, "no decoder");
  expect("mask --checkpoint model.safetensors --input in.safetensors x.png", 2, "not both");
}

TEST_F(Program, InspectsConvertsAndExtracts) {
  make_images(3);
  const Reference reference(root_ / "model.safetensors");
  const Outcome inspected = run("inspect model.safetensors --json");
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_NE(inspected.err.find("a model of sgmae"), std::string::npos);
  const auto json = nlohmann::json::parse(inspected.out);
  EXPECT_EQ(json.at("family"), "sgmae");
  EXPECT_EQ(json.at("has_decoder"), true);
  EXPECT_EQ(json.at("norm_pix_loss"), true);

  // The same features whatever the family, from either kind of source.
  expect("convert model.safetensors hf --to hf_vit_mae", 0, "");
  expect("convert hf timm.safetensors --to timm", 0, "");
  expect(
      "embed --checkpoint model.safetensors --data_path images --fit squash --features cls "
      "--output a.safetensors --precision fp32",
      0, "");
  expect(
      "embed --checkpoint timm.safetensors images/0.png images/1.png images/2.png "
      "--features cls --output b.safetensors --precision fp32",
      0, "");
  const at::Tensor a = *read_safetensors(root_ / "a.safetensors").find("features");
  EXPECT_EQ(a.sizes(), (at::IntArrayRef{3, 32}));
  EXPECT_TRUE(a.equal(*read_safetensors(root_ / "b.safetensors").find("features")));
  expect("embed --checkpoint hf images/0.png --input_size 48 --features patches --output c.npy", 0,
         "[1, 36, 32]");
  expect("reconstruct images/0.png --checkpoint timm.safetensors", 4, "encoder only");

  expect("convert model.safetensors x --to pytorch", 2, "hf_vit_mae");
  expect("convert model.safetensors x --to hf_dinov2", 2, "LayerScale");
  expect("convert model.safetensors model.safetensors --to timm", 2, "the checkpoint itself");
  expect("inspect images/0.png", 4, "image");
  expect("embed --checkpoint hf images/0.png --output c.txt", 2, ".npy");
  expect("embed --checkpoint hf --data_path images --data_format webdataset --output c.npy", 3,
         "no .tar file");
}

TEST_F(Program, EncoderOnlyFilesAreNotReconstructed) {
  make_images(1);
  const Reference reference(root_ / "model.safetensors");
  const TensorFile whole = read_safetensors(root_ / "model.safetensors");
  NamedTensors encoder;
  for (const auto& [name, tensor] : whole.tensors)
    if (!name.starts_with("decoder") && name != "mask_token") encoder.emplace_back(name, tensor);
  write_safetensors(root_ / "encoder.safetensors", encoder, whole.metadata);
  expect("reconstruct images/0.png --checkpoint encoder.safetensors", 4, "encoder only");
}

TEST_F(Program, PretrainsGuidesDrawsAndContinues) {
  make_images(24);
  write_file(root_ / "images" / "broken.png", "not a picture");
  const Outcome outcome = run(kTiny);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto result = nlohmann::json::parse(outcome.out.substr(outcome.out.rfind('{')));
  EXPECT_EQ(result.at("guide_start"), 2);
  EXPECT_NE(outcome.err.find("guidance began after epoch 2"), std::string::npos);
  EXPECT_NE(outcome.err.find("broken.png"), std::string::npos);
  for (const char* file : {"run/config.toml", "run/env.json", "run/log.txt", "run/maps"})
    EXPECT_TRUE(fs::exists(root_ / file)) << file;
  EXPECT_TRUE(fs::exists(root_ / "run/figures/masks_after_epoch_0004.png"));

  // The page that pretrain wrote is the page that report writes.
  expect("report run --output again.html", 0, "again.html");
  const std::string page = read_text(root_ / "run/report.html");
  EXPECT_NE(page.find("began after epoch T = 2"), std::string::npos);
  EXPECT_NE(page.find("Time in training steps"), std::string::npos);  // train.log is understood
  EXPECT_NE(page.find("data:image/png;base64,"), std::string::npos);
  EXPECT_EQ(page, read_text(root_ / "again.html"));

  // What is found in its folder is on its page.
  expect(
      "analyze --checkpoint run --data_path images --output_dir run/analysis --metrics variance "
      "--images 2 --threads 1",
      0, "report.html");
  EXPECT_NE(read_text(root_ / "run/report.html").find("<strong>Table 1</strong>"),
            std::string::npos);

  // A finished run does nothing more; another one is refused its folder.
  EXPECT_EQ(run(kTiny).code, 0);
  expect(std::string(kTiny) + "--mask_ratio 0.5", 2, "");

  EXPECT_EQ(run("mask images/0.png images/1.png --checkpoint run --output m --threads 1").code, 0);
  EXPECT_TRUE(fs::exists(root_ / "m/masks.png"));
  EXPECT_TRUE(fs::exists(root_ / "m/masks.safetensors"));
  // Its position means are those of one tap.
  expect("mask images/0.png --checkpoint run --output m --threads 1 --guide_features key", 0,
         "position means are of encoder.1.attention_out, not of encoder.1.key");

  const Outcome verified = run("inspect --verify run --json");
  EXPECT_EQ(verified.code, 0) << verified.err;
  EXPECT_GE(nlohmann::json::parse(verified.out)["intact"], 5) << "models, states and maps";
  const fs::path maps = root_ / "run/maps/relevance-2.safetensors";
  std::string bytes = read_text(maps);
  bytes[bytes.size() - 9] ^= 4;
  write_file(maps, bytes);
  expect("inspect --verify run", 4, "1 of ");
  expect("inspect --verify images", 4, "no .safetensors");
  const Outcome odd =
      run("reconstruct images/0.png --checkpoint run --output \"$(printf 'r\\377.png')\" --json");
  EXPECT_EQ(odd.code, 0) << odd.err;  // a path that is not UTF-8
  const Outcome drawn = run("reconstruct images/0.png --checkpoint run --output r.png");
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_NE(drawn.err.find("true mean"), std::string::npos);  // says what the picture leaks
}

}  // namespace
}  // namespace sgmae
