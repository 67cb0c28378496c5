// Oracle: zlib's own writer.
#include "sgmae/data/gz.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(GzFile, PlainZippedAndTruncated) {
  Folder folder;
  const std::string text(100'000, 'x');
  folder.write("plain", text);
  const gzFile zipped = gzopen(folder.path("zipped").c_str(), "wb");
  gzwrite(zipped, text.data(), static_cast<unsigned>(text.size()));
  gzclose(zipped);
  folder.write("cut", read_text(folder.path("zipped")).substr(0, 60));
  const auto read = [&](const std::string& name) {
    GzFile file(folder.path(name));
    std::vector<std::uint8_t> bytes(200'000);
    bytes.resize(file.read(bytes));
    return std::string(bytes.begin(), bytes.end());
  };
  EXPECT_EQ(read("plain"), text);
  EXPECT_EQ(read("zipped"), text);
  EXPECT_LT(read("cut").size(), text.size());
  error_of(ExitCode::data, [&] { GzFile(folder.path("missing")); });
}

}  // namespace
}  // namespace sgmae
