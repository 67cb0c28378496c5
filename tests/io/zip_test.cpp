// Oracle: tests/golden/data/io/python.zip was written by Python's zipfile
// (tests/golden/torch_files.py), with deflated and stored entries; hostile archives are made here
// out of well-formed ones.
#include "sgmae/io/zip.h"

#include <gtest/gtest.h>

#include <cstring>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

std::span<const std::uint8_t> span(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text(const ZipContent& content) {
  return {content.bytes.begin(), content.bytes.end()};
}

ZipArchive open(const std::string& bytes) {
  return read_zip_directory(span(bytes), "test.zip");
}

std::string written(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out;
  ZipWriter writer([&](std::string_view bytes) { out += bytes; });
  for (const auto& [name, content] : entries) writer.add(name, span(content));
  writer.finish();
  return out;
}

// Reads everything; expects a checkpoint error on the way.
void expect_refused(const std::string& bytes, const std::string& reason) {
  try {
    const ZipArchive archive = open(bytes);
    for (const ZipEntry& entry : archive.entries) read_zip_entry(archive, entry);
    ADD_FAILURE() << "accepted: " << reason;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

std::string python_zip() {
  return read_text(SGMAE_TEST_DATA "/io/python.zip");
}

template <class T>
void set(std::string& bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

TEST(Zip, ReadsWhatPythonWrites) {
  const std::string bytes = python_zip();
  const ZipArchive archive = open(bytes);
  ASSERT_EQ(archive.entries.size(), 4u);
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("stored.txt"))), "as it is");
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("folder/deflated.txt"))),
            std::string(5000, 'a'));
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("empty"))), "");
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("empty_deflated"))), "");
  EXPECT_EQ(archive.find("absent"), nullptr);
}

TEST(Zip, WrittenOnesAreReadBackAndAligned) {
  const std::string bytes = written({{"a", "1"}, {"folder/b", std::string(1000, 'x')}, {"c", ""}});
  const ZipArchive archive = open(bytes);
  ASSERT_EQ(archive.entries.size(), 3u);
  EXPECT_EQ(text(read_zip_entry(archive, archive.entries[0])), "1");
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("folder/b"))), std::string(1000, 'x'));
  EXPECT_EQ(text(read_zip_entry(archive, *archive.find("c"))), "");
  for (const ZipEntry& entry : archive.entries) EXPECT_EQ(entry.offset % 64, 0u) << entry.name;
}

TEST(Zip, ArchiveOfNothing) {
  EXPECT_TRUE(open(written({})).entries.empty());
}

TEST(Zip, CommentsAtTheEndAreSkipped) {
  std::string bytes = python_zip();
  set<std::uint16_t>(bytes, bytes.size() - 2, 300);
  EXPECT_EQ(open(bytes + std::string(300, 'c')).entries.size(), 4u);
}

TEST(Zip, EveryTruncationIsRefused) {
  for (const std::string& whole : {python_zip(), written({{"a", "1"}, {"b", "22"}})})
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
      expect_refused(whole.substr(0, bytes), "");
}

// No flipped bit of the data passes, and none anywhere reads outside (the sanitizers' part).
TEST(Zip, FlippedBitsAreNoticedOrHarmless) {
  const std::string whole = python_zip();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    try {
      const ZipArchive archive = open(changed);
      for (const ZipEntry& entry : archive.entries) {
        const std::string content = text(read_zip_entry(archive, entry));
        EXPECT_TRUE(content.empty() || content == "as it is" || content == std::string(5000, 'a'));
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
    }
  }
}

TEST(Zip, OverlappingEntriesAreRefused) {
  std::string bytes = python_zip();
  // The second central header is pointed at the first entry's local header.
  const std::size_t first = bytes.find("PK\1\2");
  const std::size_t second = bytes.find("PK\1\2", first + 4);
  std::memcpy(bytes.data() + second + 42, bytes.data() + first + 42, 4);
  expect_refused(bytes, "overlap");
}

TEST(Zip, BombsAreRefusedBeforeAnythingUnfolds) {
  std::string bytes = python_zip();
  const std::size_t deflated = bytes.find("PK\1\2", bytes.find("PK\1\2") + 4);
  ASSERT_EQ(bytes.substr(deflated + 46, 19), "folder/deflated.txt");
  std::string bomb = bytes;
  set<std::uint32_t>(bomb, deflated + 24, 4'000'000'000u);
  expect_refused(bomb, "zip bomb");
  // Within the limit, a size that is not the stream's is refused too.
  for (const std::uint32_t size : {0u, 4999u, 5001u}) {
    std::string wrong = bytes;
    set<std::uint32_t>(wrong, deflated + 24, size);
    expect_refused(wrong, "does not unpack");
  }
}

TEST(Zip, ChecksumsThatWereNotMadeAreNotMissed) {
  std::string bytes = python_zip();
  set<std::uint32_t>(bytes, bytes.find("PK\1\2") + 16, 1);
  expect_refused(bytes, "checksum");
  set<std::uint32_t>(bytes, bytes.find("PK\1\2") + 16, 0);
  const ZipArchive archive = open(bytes);
  EXPECT_EQ(text(read_zip_entry(archive, archive.entries[0])), "as it is");
}

TEST(Zip, OffsetsAndSizesOutsideTheFileAreRefused) {
  const std::string whole = written({{"a", "1"}});
  const std::size_t central = whole.find("PK\1\2");
  const std::size_t fields = central + 46 + 1 + 4;  // zip64: size, stored size, offset
  for (const std::uint64_t value :
       {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{1000}}) {
    std::string changed = whole;
    set<std::uint64_t>(changed, fields + 16, value);
    expect_refused(changed, "outside the file");
    changed = whole;
    set<std::uint64_t>(changed, fields, value);
    set<std::uint64_t>(changed, fields + 8, value);
    expect_refused(changed, "outside the file");
    changed = whole;
    set<std::uint64_t>(changed, changed.find("PK\6\6") + 48, value);  // the directory
    expect_refused(changed, "");
    changed = whole;
    set<std::uint64_t>(changed, changed.find("PK\6\6") + 32, value);  // number of entries
    expect_refused(changed, "cut off");
    changed = whole;
    set<std::uint64_t>(changed, changed.find("PK\6\7") + 8, value);  // the zip64 record
    expect_refused(changed, "zip64");
  }
}

TEST(Zip, WhatIsNotReadIsNamed) {
  const std::string whole = python_zip();
  const std::size_t central = whole.find("PK\1\2");
  std::string changed = whole;
  set<std::uint16_t>(changed, central + 8, 1);
  expect_refused(changed, "encrypted");
  changed = whole;
  set<std::uint16_t>(changed, central + 10, 12);
  expect_refused(changed, "method");
  expect_refused(written({{"a", "1"}, {"a", "2"}}), "same name");
}

}  // namespace
}  // namespace sgmae
