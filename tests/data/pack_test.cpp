// Oracle: the source that was packed; the layout of docs/data.md, built by hand for what is
// damaged.
#include "sgmae/data/pack.h"

#include <gtest/gtest.h>

#include <cstring>

#include "folder.h"
#include "sgmae/base/rng.h"
#include "sgmae/data/pack_layout.h"

namespace sgmae {
namespace {

// A pack of three images in two classes.
class Pack : public testing::Test {
 protected:
  void SetUp() override {
    folder_.image("set/ant/a.png", 1);
    folder_.image("set/bee/b.png", 2);
    folder_.image("set/bee/c.png", 3);
    write_pack(*open_source(folder_.path("set")), folder_.path("train.sgpack"), {});
    bytes_ = read_text(folder_.path("train.sgpack"));
  }
  std::string error_with(const std::string& bytes) const {
    folder_.write("x.sgpack", bytes);
    return error_of(ExitCode::data, [&] { open_source(folder_.path("x.sgpack")); });
  }
  Folder folder_;
  std::string bytes_;
  int frames_ = 0;  // damaged bytes that no reader looks at
};

TEST_F(Pack, IsItsSource) {
  const auto source = open_source(folder_.path("set"));
  for (const std::string& path : {folder_.path(), folder_.path("train.sgpack")}) {
    if (path == folder_.path()) std::filesystem::rename(folder_.path("set"), folder_.path("away"));
    if (path != folder_.path()) std::filesystem::rename(folder_.path("away"), folder_.path("set"));
    const auto pack = open_source(path);
    EXPECT_EQ(pack->labels(), (Ids{0, 1, 1}));
    EXPECT_EQ(pack->class_names(), (Names{"ant", "bee"}));
    EXPECT_EQ(names_in(*pack, folder_)[1], "train.sgpack/bee/b.png");
    EXPECT_EQ(pack->native_channels(), 3);
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(red_of(*pack, i), i + 1);
  }
  OpenedImage from_pack, from_file;
  open_source(folder_.path("train.sgpack"))->open(2, from_pack);
  source->open(2, from_file);
  EXPECT_EQ(from_pack.bytes, from_file.bytes);
}

TEST_F(Pack, SplitsLieBesideEachOther) {
  EXPECT_NE(error_of(ExitCode::data, [&] { open_source(folder_.path("train.sgpack"), "val"); })
                .find("expected val.sgpack"),
            std::string::npos);
  write_pack(*open_source(folder_.path("set/bee")), folder_.path("val.sgpack"), {});
  for (const std::string& path : {folder_.path(), folder_.path("train.sgpack")}) {
    EXPECT_EQ(open_source(path, "test")->size(), 2);
    EXPECT_EQ(open_source(path, "train")->size(), 3);
  }
}

// Whatever byte is changed: opening fails, or just that image does.
TEST_F(Pack, EveryDamagedByteIsNoticed) {
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    std::string damaged = bytes_;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    std::ofstream(folder_.path("x.sgpack")) << damaged;
    int unreadable = 0;
    bool opened = false;
    try {
      const auto pack = open_source(folder_.path("x.sgpack"));
      opened = true;
      for (std::int64_t k = 0; k < pack->size(); ++k) {
        OpenedImage image;
        try {
          pack->open(k, image);
        } catch (const Error&) {
          ++unreadable;
        }
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
    }
    // A frame's own size and checksum serve resuming alone; the index repeats both.
    const bool in_frame = opened && unreadable == 0;
    EXPECT_TRUE(!opened || unreadable == 1 || in_frame);
    frames_ += in_frame;
  }
  EXPECT_EQ(frames_, 3 * 8);
}

TEST_F(Pack, Truncated) {
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{10}, std::size_t{64}, std::size_t{200}, bytes_.size() - 1})
    EXPECT_NE(error_with(bytes_.substr(0, length)).find("create it again"), std::string::npos);
}

TEST_F(Pack, SaysWhatIsWrong) {
  EXPECT_NE(
      error_with("SGPACK" + std::string(100, 'x')).find("does not start with the magic bytes"),
      std::string::npos);
  std::string newer = bytes_;
  newer[8] = 2;
  EXPECT_NE(error_with(newer).find("its version is 2 and this program reads version 1"),
            std::string::npos);
  EXPECT_NE(error_with(bytes_.substr(0, 64)).find("truncated"), std::string::npos);
}

// Numbers that would lead outside of the file or ask for memory that it does not fill.
TEST(PackIndex, HostileNumbers) {
  PackHeader header;
  header.index_offset = 1000;
  const auto error = [&](const std::vector<std::uint64_t>& words) {
    std::vector<std::uint8_t> bytes(words.size() * 8);
    std::memcpy(bytes.data(), words.data(), bytes.size());
    header.index_size = bytes.size();
    header.index_crc = [&] {  // CRC-32 by its definition
      std::uint32_t crc = 0xffffffff;
      for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
      }
      return ~crc;
    }();
    return error_of(ExitCode::data, [&] { read_pack_index(bytes, header); });
  };
  const std::uint64_t no_label = 0xffffffff;
  EXPECT_NE(error({std::uint64_t{1} << 63}).find("a count of 9223372036854775808"),
            std::string::npos);
  EXPECT_NE(error({2, 0, 0, 0}).find("a count of 2"), std::string::npos);
  EXPECT_NE(error({1, std::uint64_t{1} << 63, 0, no_label, 0}).find("outside"), std::string::npos);
  EXPECT_NE(error({1, 999, 2, no_label, 0}).find("outside"), std::string::npos);
  EXPECT_NE(error({0, 0}).find("no image"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
