// Oracle: numpy's own reading of the arrays (tests/golden/data.py); the binary layout by hand.
#include "sgmae/data/cifar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "folder.h"

namespace sgmae {
namespace {

const std::string golden_folder = std::string(SGMAE_TEST_DATA) + "/data/";

void expect_equal(const Source& source, const nlohmann::json& expected) {
  EXPECT_EQ(source.labels(), expected["labels"].get<Ids>());
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < source.size(); ++i) {
    OpenedImage opened;
    source.open(i, opened);
    ASSERT_EQ(opened.size, (ImageSize{32, 32}));
    for (int y = 0; y < 2; ++y)
      for (int x = 0; x < 2; ++x)
        for (int c = 0; c < 3; ++c)
          EXPECT_EQ(opened.raw.row(y)[x * 3 + c],
                    expected["corner"][static_cast<std::size_t>(i)][static_cast<std::size_t>(y)]
                            [static_cast<std::size_t>(x)][static_cast<std::size_t>(c)]);
    sum = std::accumulate(opened.raw.data, opened.raw.data + 32 * 32 * 3, sum);
  }
  EXPECT_EQ(sum, expected["sum"]);
}

TEST(Cifar, PythonArchives) {
  const auto golden = nlohmann::json::parse(read_text(golden_folder + "golden.json"));
  for (const char* split : {"train", "test"}) {
    const auto ten = open_source(golden_folder + "cifar-10-python.tar.gz", split);
    expect_equal(*ten, golden["cifar10"][split]);
    EXPECT_EQ(ten->class_names(), (Names{"airplane", "automobile", "bird"}));
    const auto hundred = open_source(golden_folder + "cifar-100-python.tar.gz", split);
    expect_equal(*hundred, golden["cifar100"][split]);
    EXPECT_EQ(hundred->class_names(), (Names{"apple", "train"}));
  }
  EXPECT_EQ(open_source(golden_folder)->size(), 10);  // found in its folder, CIFAR-10 first
}

std::string record(std::string labels, char red) {
  return labels + std::string(1024, red) + std::string(1024, '\2') + std::string(1024, '\3');
}

TEST(Cifar, BinaryFiles) {
  Folder folder;
  for (int i = 1; i <= 5; ++i)
    folder.write(str("cifar-10-batches-bin/data_batch_", i, ".bin"),
                 record({static_cast<char>(i % 2)}, static_cast<char>(i)));
  folder.write("cifar-10-batches-bin/test_batch.bin",
               record({'\0'}, '\x9') + record({'\1'}, '\x8'));
  folder.write("cifar-10-batches-bin/batches.meta.txt", "cat\r\ndog\n\n");
  for (const std::string& path : {folder.path(), folder.path("cifar-10-batches-bin")}) {
    const auto train = open_source(path);
    EXPECT_EQ(train->labels(), (Ids{1, 0, 1, 0, 1}));
    EXPECT_EQ(train->class_names(), (Names{"cat", "dog"}));
    EXPECT_EQ(red_of(*train, 3), 4);
    EXPECT_EQ(open_source(path, "val")->labels(), (Ids{0, 1}));
  }
  // CIFAR-100: coarse and fine label; a class called train in a folder of its own format.
  folder.write("h/train.bin", record({'\x7', '\1'}, '\5'));
  folder.write("h/test.bin", record({'\x7', '\0'}, '\6'));
  folder.write("h/fine_label_names.txt", "apple\ntrain\n");
  EXPECT_EQ(open_source(folder.path("h"))->labels(), Ids{1});
  EXPECT_EQ(red_of(*open_source(folder.path("h"), "test"), 0), 6);
}

TEST(Cifar, DamagedFiles) {
  Folder folder;
  const auto why = [&](const std::string& batch) {
    for (int i = 1; i <= 5; ++i) folder.write(str("data_batch_", i, ".bin"), batch);
    return error_of(ExitCode::data, [&] { open_source(folder.path()); });
  };
  folder.write("batches.meta.txt", "cat\n");
  EXPECT_NE(why(record({'\0'}, '\1').substr(1)).find("not a whole number of records"),
            std::string::npos);
  EXPECT_NE(why("").find("not a whole number of records"), std::string::npos);
  EXPECT_NE(why(record({'\1'}, '\1')).find("a label 1, but batches.meta.txt names 1 classes"),
            std::string::npos);
  folder.write("x.tar.gz", "not gzip, not tar");
  EXPECT_NE(error_of(ExitCode::data, [&] { open_source(folder.path("x.tar.gz")); })
                .find("incomplete download"),
            std::string::npos);
  // A truncated download.
  const std::string whole = read_text(golden_folder + "cifar-10-python.tar.gz");
  folder.write("cut.tar.gz", whole.substr(0, whole.size() / 2));
  error_of(ExitCode::data, [&] { open_source(folder.path("cut.tar.gz")); });
}

}  // namespace
}  // namespace sgmae
