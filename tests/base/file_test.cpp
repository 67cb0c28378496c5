#include "sgmae/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

TEST_F(FileTest, AnUncommittedFileLeavesTheOldOneAndNoRest) {
  write_file(folder_ / "a", "old");
  {
    AtomicFile file(folder_ / "a");
    file.write("half of the new");
  }
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
  write_file(folder_ / "a", "new");
  EXPECT_EQ(read_text(folder_ / "a"), "new");
}

TEST_F(FileTest, ErrorsCarryTheCallersCode) {
  try {
    read_file(folder_ / "absent", ExitCode::checkpoint);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
  }
  EXPECT_THROW(read_file(folder_), Error);
  EXPECT_THROW(write_file(folder_ / "no" / "folder", "x"), Error);
}

TEST_F(FileTest, AppendsAllOrNothing) {
  append_file(folder_ / "log", "one\n");
  append_file(folder_ / "log", "two\n");
  EXPECT_EQ(read_text(folder_ / "log"), "one\ntwo\n");

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{12, before.rlim_max};  // half of the next line fits
  setrlimit(RLIMIT_FSIZE, &tight);
  std::string message;
  try {
    append_file(folder_ / "log", "three and more\n");
  } catch (const Error& error) {
    message = error.what();
    EXPECT_EQ(error.code(), ExitCode::disk_full);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  EXPECT_EQ(read_text(folder_ / "log"), "one\ntwo\n") << "no part of a line stays";
  append_file(folder_ / "log", "three\n");
  EXPECT_EQ(read_text(folder_ / "log"), "one\ntwo\nthree\n");

  EXPECT_THROW(append_file("/dev/full", "x"), Error);
  EXPECT_THROW(append_file(folder_, "x"), Error);
}

TEST_F(FileTest, AFullDiskLeavesTheOldFileAndNoRest) {
  write_file(folder_ / "a", "old");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{12, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  ExitCode code = ExitCode::done;
  try {
    write_file(folder_ / "a", "more than fits");
  } catch (const Error& error) {
    code = error.code();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(code, ExitCode::disk_full);
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, WhatKilledProcessesLeftIsRemovedAndNothingElse) {
  for (const char* name : {"a.part12", "model.safetensors.part3"}) write_file(folder_ / name, "x");
  for (const char* name : {"a", "b.part", "c.part12.png", "d.partly", "e.part1x"})
    write_file(folder_ / name, "x");
  fs::create_directories(folder_ / "inner");
  write_file(folder_ / "inner" / "f.part9", "x");
  remove_unfinished_files(folder_);
  for (const char* name : {"a.part12", "model.safetensors.part3"})
    EXPECT_FALSE(fs::exists(folder_ / name)) << name;
  for (const char* name : {"a", "b.part", "c.part12.png", "d.partly", "e.part1x", "inner/f.part9"})
    EXPECT_TRUE(fs::exists(folder_ / name)) << name;
  remove_unfinished_files(folder_ / "absent");
}

TEST_F(FileTest, MapsWhatWasWritten) {
  write_file(folder_ / "a", "abc");
  const MappedFile mapped(folder_ / "a");
  ASSERT_EQ(mapped.bytes().size(), 3u);
  EXPECT_EQ(mapped.bytes()[1], 'b');
  write_file(folder_ / "empty", "");
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
}

// A sparse file costs nothing to make and would cost all memory to read.
TEST_F(FileTest, FilesThatClaimTooMuch) {
  write_file(folder_ / "a", "abc");
  fs::resize_file(folder_ / "a", std::uintmax_t{1} << 40);
  EXPECT_THROW(read_file(folder_ / "a"), Error);
  EXPECT_THROW(read_text(folder_ / "a"), Error);
  write_file(folder_ / "b", "abc");
  EXPECT_EQ(read_file(folder_ / "b", ExitCode::data, 3).size(), 3u);
  EXPECT_THROW(read_file(folder_ / "b", ExitCode::data, 2), Error);
}

TEST_F(FileTest, ReadsAnywhere) {
  write_file(folder_ / "a", "abcdef");
  const RandomAccessFile file(folder_ / "a", ExitCode::checkpoint);
  EXPECT_EQ(file.size(), 6u);
  std::vector<std::uint8_t> bytes(3);
  file.read(3, bytes);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "def");
  file.read(6, {});
  for (const std::uint64_t outside : {std::uint64_t{4}, std::uint64_t{7}, ~std::uint64_t{0}}) {
    try {
      file.read(outside, bytes);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
    }
  }
  fs::resize_file(folder_ / "a", 4);  // behind its back
  EXPECT_THROW(file.read(3, bytes), Error);
}

}  // namespace
}  // namespace sgmae
