// Oracle: the format's description; a file of PyPI safetensors is cut off here, and malformed ones
// are made. That whole ones are read right, safetensors_test.cpp shows.
#include "sgmae/io/safetensors_header.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

void expect_refused_file(const std::string& file, const std::string& reason) {
  try {
    parse_safetensors_header({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()},
                             "test.safetensors");
    ADD_FAILURE() << "accepted: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

// Expects a checkpoint error for a file of this header and so many zero bytes of data.
void expect_refused(const std::string& header, std::size_t data_bytes, const std::string& reason) {
  const std::uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), 8);
  expect_refused_file(file + header + std::string(data_bytes, '\0'), reason);
}

TEST(SafetensorsHeaderTest, MalformedFilesAreRefused) {
  expect_refused_file("short", "fewer than 8 bytes");
  expect_refused_file(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10),
                      "longer than the file");
  expect_refused("not json", 0, "");
  expect_refused("[]", 0, "not a JSON object");
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4,
                 "outside the file");
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8,
                 "outside the file");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8, "does not match");
  expect_refused(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8, "has the type Q4");
  expect_refused(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "whole numbers");
  expect_refused(R"({"a":{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,8]}})", 8,
                 "larger than the file");
  expect_refused(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8,
                 "larger than the file");
  expect_refused(R"({"a":{"dtype":"U8","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})",
                 0, "larger than the file");
  expect_refused(R"({"a":{"dtype":"U8","shape":8,"data_offsets":[0,8]}})", 8, "whole numbers");
  expect_refused(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                 R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                 8, "overlaps");
  expect_refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4, "before 'a'");
  expect_refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 4, "trailing bytes");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "");
  expect_refused(std::string(100'000, '['), 0, "");
  const std::string boolean = R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})";
  const std::uint64_t length = boolean.size();
  expect_refused_file(
      std::string(reinterpret_cast<const char*>(&length), 8) + boolean + std::string(1, '\2'),
      "booleans");
}

// The reference pads headers with spaces, and refuses NUL bytes.
TEST(SafetensorsHeaderTest, PaddingIsOfSpaces) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  const auto padded = [&](char with) {
    const std::string text = header + std::string(5, with);
    const std::uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), 8) + text + "ab";
  };
  const std::string spaces = padded(' ');
  EXPECT_EQ(parse_safetensors_header(
                {reinterpret_cast<const std::uint8_t*>(spaces.data()), spaces.size()}, "x")
                .entries.size(),
            1u);
  expect_refused_file(padded('\0'), "NUL bytes");
}

// Cut anywhere, a file is refused: nothing reads past the end, nothing passes for whole.
TEST(SafetensorsHeaderTest, EveryTruncationIsRefused) {
  const std::string whole = read_text(SGMAE_TEST_DATA "/io/checkpoint.safetensors");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    expect_refused_file(whole.substr(0, bytes), "");
}

}  // namespace
}  // namespace sgmae
