// Oracle: CRC-32C check values of RFC 3720, the definition bit by bit, and files with single bits
// turned over.
#include "sgmae/io/checksum.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::uint32_t bit_by_bit(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~0u;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

TEST(Crc32c, CheckValues) {
  for (const auto crc : {crc32c, crc32c_by_table}) {
    EXPECT_EQ(crc(bytes_of("123456789"), 0), 0xE3069283u);
    EXPECT_EQ(crc(std::vector<std::uint8_t>(32, 0), 0), 0x8A9136AAu);
    EXPECT_EQ(crc(std::vector<std::uint8_t>(32, 0xff), 0), 0x62A8AB43u);
    EXPECT_EQ(crc({}, 0), 0u);
  }
}

TEST(Crc32c, OfEveryLengthAndInParts) {
  Rng rng(1, 0, 0, Purpose::probe);
  std::vector<std::uint8_t> bytes(67);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(rng.below(256));
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const std::span<const std::uint8_t> part(bytes.data(), length);
    const std::uint32_t expected = bit_by_bit(part);
    for (const auto crc : {crc32c, crc32c_by_table}) {
      EXPECT_EQ(crc(part, 0), expected) << length;
      EXPECT_EQ(crc(part.subspan(length / 3), crc(part.first(length / 3), 0)), expected) << length;
    }
  }
}

class ChecksumOfFile : public testing::Test {
 protected:
  ChecksumOfFile() {
    write_safetensors(path_, {{"a", at::arange(300, at::kFloat)}, {"b", at::arange(7)}},
                      {{"trainer", R"({"crc32c":"12345678"})"}, {"z", "last"}});
    text_ = read_text(path_);
  }
  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.root() / "model.safetensors";
  std::string text_;
};

TEST_F(ChecksumOfFile, IsRightAsWrittenAndATextAmongTheMetadata) {
  EXPECT_EQ(check_checksum(bytes_of(text_)), Checksum::right);
  EXPECT_NO_THROW(require_intact(path_, ""));
  EXPECT_EQ(read_safetensors(path_).metadata.at(checksum_key).size(), 8u);
  EXPECT_EQ(read_safetensors(path_).metadata.at("z"), "last");
}

// A bit of the entry's own name makes a file without a checksum, whose contents are whole; one of
// its last quote, as one of the header's length, makes a header that cannot be read.
TEST_F(ChecksumOfFile, NoticesEveryBit) {
  const std::size_t name = text_.find("\"crc32c\":\"");
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (i < 8 || (i >= name && i < name + 10) || i == name + 18) continue;
    for (int bit = 0; bit < 8; bit += i < 600 ? 1 : 7) {
      std::string damaged = text_;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_EQ(check_checksum(bytes_of(damaged)), Checksum::wrong) << i << ", bit " << bit;
    }
  }
}

TEST_F(ChecksumOfFile, OfADamagedFileIsAnErrorWithItsCure) {
  text_.back() ^= 1;
  write_file(path_, text_);
  const std::string message =
      error_of(ExitCode::checkpoint, [&] { require_intact(path_, "take another"); });
  EXPECT_NE(message.find("model.safetensors"), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("take another")) << message;
  EXPECT_NO_THROW(read_safetensors(path_)) << "whoever does not train on with it may read it";
}

TEST_F(ChecksumOfFile, FilesOfOthersHaveNone) {
  for (const std::string& text : {std::string(), std::string("text"), std::string(8, '\xff'),
                                  std::string("\x02\0\0\0\0\0\0\0{}", 10)})
    EXPECT_EQ(check_checksum(bytes_of(text)), Checksum::absent);
  EXPECT_NO_THROW(require_intact(SGMAE_TEST_DATA "/nn/mae_square.safetensors", ""));
}

}  // namespace
}  // namespace sgmae
