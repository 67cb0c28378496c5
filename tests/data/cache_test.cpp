// Oracle: what was written; a cache must give exactly that back, or nothing.
#include "sgmae/data/cache.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "folder.h"

namespace sgmae {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(Cache, BesideTheFile) {
  Folder folder;
  ::setenv("XDG_CACHE_HOME", folder.path("cache").c_str(), 1);
  const CachePlace place{
      .about = folder.path("a.tar"), .kind = "kind", .version = 3, .beside = true};
  EXPECT_FALSE(read_cache(place));
  write_cache(place, Bytes{1, 2, 3});
  EXPECT_EQ(read_cache(place), (Bytes{1, 2, 3}));
  EXPECT_TRUE(std::filesystem::exists(folder.path(".a.tar.kind")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("cache")));
  CachePlace other = place;
  other.version = 4;
  EXPECT_FALSE(read_cache(other));

  std::string file = read_text(folder.path(".a.tar.kind"));
  for (std::size_t i = 0; i < file.size(); ++i) {  // any damaged byte is noticed
    std::string damaged = file;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    folder.write(".a.tar.kind", damaged);
    EXPECT_FALSE(read_cache(place)) << i;
    folder.write(".a.tar.kind", file.substr(0, i));
    EXPECT_FALSE(read_cache(place)) << i;
  }
}

TEST(Cache, InTheUsersFolderWhereTheOtherCannotBeWritten) {
  Folder folder;
  ::setenv("XDG_CACHE_HOME", folder.path("cache").c_str(), 1);
  const CachePlace a{.about = "/proc/a.tar", .kind = "kind", .version = 1, .beside = true};
  const CachePlace b{.about = "/proc/b.tar", .kind = "kind", .version = 1, .beside = true};
  write_cache(a, Bytes{1});
  write_cache(b, Bytes{2});
  EXPECT_EQ(read_cache(a), Bytes{1});
  EXPECT_EQ(read_cache(b), Bytes{2});
  // Nowhere to write: no cache, and no error.
  ::setenv("XDG_CACHE_HOME", "/proc", 1);
  write_cache(a, Bytes{3});
  EXPECT_FALSE(read_cache(a));
}

}  // namespace
}  // namespace sgmae
