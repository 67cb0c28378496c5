// Oracle: tests/golden/data/io/*.npy were written by NumPy (tests/golden/python_files.py).
#include "sgmae/io/npy.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

at::Tensor golden(const std::string& name) {
  return read_npy(SGMAE_TEST_DATA "/io/" + name + ".npy");
}

TEST(Npy, ReadsWhatNumpyWrites) {
  const at::Tensor matrix = at::arange(6, at::kFloat).view({2, 3});
  EXPECT_TRUE(golden("f4_2x3").equal(matrix));
  EXPECT_TRUE(golden("f4_columns").equal(matrix));  // Fortran order
  EXPECT_TRUE(golden("f4_columns").is_contiguous());
  EXPECT_TRUE(golden("i8_3").equal(at::arange(3)));
  EXPECT_EQ(golden("b1_scalar").dim(), 0);
  EXPECT_TRUE(golden("b1_scalar").item<bool>());
}

TEST(Npy, WrittenOnesAreThoseOfNumpyByteForByte) {
  const TemporaryFolder folder;
  const fs::path path = folder.root() / "a.npy";
  write_npy(path, at::arange(6, at::kFloat).view({3, 2}).t().contiguous().view({2, 3}));
  EXPECT_EQ(read_npy(path).sizes(), (std::vector<std::int64_t>{2, 3}));
  write_npy(path, golden("f4_columns").t().contiguous().t());  // not contiguous
  EXPECT_EQ(read_text(path), read_text(SGMAE_TEST_DATA "/io/f4_2x3.npy"));
  write_npy(path, at::arange(3));
  EXPECT_EQ(read_text(path), read_text(SGMAE_TEST_DATA "/io/i8_3.npy"));
}

TEST(Npy, TypesThatNumpyLacksAreRefused) {
  try {
    write_npy(TemporaryFolder().root() / "no.npy", at::ones({2}, at::kBFloat16));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
  }
}

}  // namespace
}  // namespace sgmae
