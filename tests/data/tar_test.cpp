// Oracle: Python's tarfile (tests/golden/data.py).
#include "sgmae/data/tar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "folder.h"
#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

std::string golden_text(const std::string& file) {
  return read_text(std::string(SGMAE_TEST_DATA) + "/data/" + file);
}

std::vector<TarEntry> entries_of(const std::string& tar) {
  std::vector<TarEntry> entries;
  const ReadAt read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
    ASSERT_LE(offset + out.size(), tar.size());
    std::copy_n(tar.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  };
  read_tar(read, 0, tar.size(), [&](const TarEntry& entry) {
    if (entry.kind == TarEntry::Kind::file) entries.push_back(entry);
  });
  return entries;
}

std::string error_in(const std::string& tar) {
  return error_of(ExitCode::data, [&] { entries_of(tar); });
}

TEST(ReadTar, EqualsTarfile) {
  const auto golden = nlohmann::json::parse(golden_text("golden.json"));
  for (const char* file : {"ustar.tar", "gnu.tar", "pax.tar"}) {
    SCOPED_TRACE(file);
    const auto entries = entries_of(golden_text(file));
    ASSERT_EQ(entries.size(), golden[file].size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      EXPECT_EQ(entries[i].name, golden[file][i]["name"]);
      EXPECT_EQ(entries[i].offset, golden[file][i]["offset"]);
      EXPECT_EQ(entries[i].size, golden[file][i]["size"]);
    }
  }
}

TEST(ReadTar, WhateverFollowsTheEndIsIgnored) {
  EXPECT_EQ(entries_of(tar_file("a", "1") + tar_end() + "rubbish").size(), 1u);
  EXPECT_EQ(entries_of(tar_file("a", "1")).size(), 1u);  // no end at all
  EXPECT_TRUE(entries_of("").empty());
}

TEST(ReadTar, Links) {
  const auto link = [](const std::string& name, const std::string& target, char type) {
    std::string header = tar_file(name, "", type);
    header.replace(157, target.size(), target);
    header.replace(148, 8, "        ");
    std::size_t sum = 0;
    for (const char c : header) sum += static_cast<std::uint8_t>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06zo", sum);
    return header.replace(148, 7, text, 7);
  };
  const std::string tar = link("b", "a", '1') + link("c", "../a", '2') + tar_file("d/", "", '5') +
                          tar_file("e", "", '6') + tar_file("x", "18 linkpath=other\n", 'x') +
                          link("f", "a", '1') + tar_file("x", "long", 'K') + link("g", "l", '1') +
                          link("h", "a", '1');
  std::string seen;
  read_tar(
      [&](std::uint64_t offset, std::span<std::uint8_t> out) {
        std::copy_n(tar.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
      },
      0, tar.size(),
      [&](const TarEntry& entry) {
        seen += str(entry.name, static_cast<int>(entry.kind), entry.target, " ");
      });
  EXPECT_EQ(seen, "b1a c2../a e3 f1other g1long h1a ");
}

// Without the padding after its last file an archive is still whole; without contents it is not.
TEST(ReadTar, Truncated) {
  const std::string tar = tar_file("a", std::string(600, 'x'));
  EXPECT_EQ(entries_of(tar.substr(0, 512 + 600)).size(), 1u);
  const auto why = error_in(tar.substr(0, 512 + 599));
  EXPECT_NE(why.find("'a' extends beyond the archive's end"), std::string::npos) << why;
}

// Sizes that a header can claim and no archive can hold.
TEST(ReadTar, HugeSizes) {
  const auto with_size = [](const std::string& field) {
    std::string tar = tar_file("a", "");
    tar.replace(124, field.size(), field);
    tar.replace(148, 8, "        ");
    std::size_t sum = 0;
    for (const char c : tar) sum += static_cast<std::uint8_t>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06zo", sum);
    return tar.replace(148, 7, text, 7);
  };
  for (const std::string& field : {
           std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12),        // 2^63 - 1
           std::string("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12),                      // 2^63
           std::string("\x80\0\0\1\0\0\0\0\0\0\0\0", 12),                        // 2^64
           std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12),  // -1
           std::string("777777777777", 12),
           std::string("12x", 3),
       })
    EXPECT_NE(error_in(with_size(field)).find("beyond the archive's end"), std::string::npos);
  const std::string pax = tar_file("x", "29 size=18446744073709551616\n", 'x') + tar_file("a", "1");
  EXPECT_NE(error_in(pax).find("claims a size of '18446744073709551616'"), std::string::npos);
  EXPECT_NE(error_in(tar_file("x", "999 path=a\n", 'x') + tar_file("a", "1")).find("malformed"),
            std::string::npos);
  EXPECT_NE(error_in(tar_file("x", "0 path=a\n", 'x') + tar_file("a", "1")).find("malformed"),
            std::string::npos);
}

TEST(ReadTar, WhatIsNoTar) {
  EXPECT_EQ(error_in(std::string(2000, 'x')), "not a tar archive");
  std::string tar = tar_file("a", "1") + tar_file("b", "2");
  tar[1024] = 'c';  // a changed name: the checksum no longer fits
  EXPECT_NE(error_in(tar).find("at byte 1024"), std::string::npos);
  EXPECT_NE(error_in(tar_file("a", "1", 'S')).find("sparse"), std::string::npos);
}

// Changed bytes give entries inside of the archive or an Error, never anything else.
TEST(ReadTar, DamagedArchivesDoNotCrash) {
  Rng rng(3, 0, 0, Purpose::augment);
  int errors = 0, read = 0;
  for (const char* file : {"gnu.tar", "pax.tar"}) {
    const std::string tar = golden_text(file);
    for (int i = 0; i < 3000; ++i) {
      std::string damaged = tar;
      damaged[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(tar.size())))] =
          static_cast<char>(rng.below(256));
      try {
        for (const TarEntry& entry : entries_of(damaged))
          ASSERT_LE(entry.offset + entry.size, damaged.size());
        ++read;
      } catch (const Error&) {
        ++errors;
      }
    }
  }
  EXPECT_GT(errors, 100);
  EXPECT_GT(read, 100);
}

}  // namespace
}  // namespace sgmae
