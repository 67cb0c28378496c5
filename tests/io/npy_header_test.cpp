// Oracle: tests/golden/data/io/*.npy were written by NumPy (tests/golden/python_files.py), whose
// headers ours must equal byte for byte; malformed ones are made here.
#include "sgmae/io/npy_header.h"

#include <gtest/gtest.h>

#include <cstring>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

NpyHeader parse(const std::string& file) {
  return parse_npy_header({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()},
                          "test.npy");
}

std::string file(const std::string& header, std::size_t data_bytes) {
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string out("\x93NUMPY\1\0", 8);
  out.append(reinterpret_cast<const char*>(&length), 2);
  return out + header + std::string(data_bytes, '\2');
}

void expect_refused(const std::string& bytes, const std::string& reason) {
  try {
    parse(bytes);
    ADD_FAILURE() << "accepted: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

TEST(NpyHeaderTest, WritesWhatNumpyWrites) {
  const auto golden = [](const std::string& name) {
    const std::string whole = read_text(SGMAE_TEST_DATA "/io/" + name + ".npy");
    return whole.substr(0, whole.find('\n') + 1);
  };
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(npy_header(DType::f32, Shape{2, 3}), golden("f4_2x3"));
  EXPECT_EQ(npy_header(DType::i64, Shape{3}), golden("i8_3"));
  EXPECT_EQ(npy_header(DType::boolean, Shape{}), golden("b1_scalar"));
}

TEST(NpyHeaderTest, ReadsWhatItWrites) {
  const std::vector<std::int64_t> shape{3, 0, 2};
  const NpyHeader header = parse(npy_header(DType::f16, shape));
  EXPECT_EQ(header.type, DType::f16);
  EXPECT_EQ(header.shape, shape);
  EXPECT_FALSE(header.column_major);
  EXPECT_TRUE(header.data.empty());
}

TEST(NpyHeaderTest, MalformedOnesAreRefused) {
  const auto with_shape = [](const std::string& shape) {
    return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  };
  EXPECT_EQ(parse(file(with_shape("(2,)"), 8)).shape, (std::vector<std::int64_t>{2}));
  expect_refused("", "start with the magic bytes");
  expect_refused(file(with_shape("(2,)"), 7), "larger than the file");
  expect_refused(file(with_shape("(2,)"), 9), "does not match");
  expect_refused(file(with_shape("(3,)"), 8), "larger than the file");
  expect_refused(file(with_shape("(-1,)"), 8), "whole numbers");
  expect_refused(file(with_shape("(9223372036854775808,)"), 8), "whole numbers");
  expect_refused(file(with_shape("(4611686018427387904, 4)"), 8), "larger than the file");
  expect_refused(file(with_shape("(0, 4611686018427387904, 4)"), 0), "larger than the file");
  expect_refused(file(with_shape("2"), 8), "malformed");
  expect_refused(file(with_shape("(2"), 8), "whole numbers");
  expect_refused(file("{}", 4), "incomplete");
  expect_refused(file("{'descr': '<f4'", 4), "malformed");
  expect_refused(file("{'descr': '|O', 'fortran_order': False, 'shape': (), }", 8), "type '|O'");
  expect_refused(file("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", 1), "booleans");
  expect_refused(file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }", 4),
                 "records");
}

TEST(NpyHeaderTest, EveryTruncationIsRefused) {
  const std::string whole = read_text(SGMAE_TEST_DATA "/io/f4_2x3.npy");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    expect_refused(whole.substr(0, bytes), "");
}

}  // namespace
}  // namespace sgmae
