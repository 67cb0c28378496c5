// Oracle: the lists of types, and first bytes as the formats define them.
#include "sgmae/data/file_type.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(ImageExtension, AnyCase) {
  for (const char* yes : {"a.jpg", "b.JPEG", ".png", "x.y.WebP", "a.jfif", "a.JPE", "a.pjpeg",
                          "a.pjp", "a.gif", "a.bmp", "a.dib", "a.tif", "d.x/a.TIFF"})
    EXPECT_TRUE(has_image_extension(yes)) << yes;
  for (const char* no : {"jpg", "a.exr", "a.jpg.txt", "", "a.jpegs", "a.", "a.jpg/b"})
    EXPECT_FALSE(has_image_extension(no)) << no;
  for (const char* unread : {"a.EXR", "a.psd", "x/a.ppm", "a.dng"})
    EXPECT_TRUE(has_unread_image_extension(unread)) << unread;
  EXPECT_FALSE(has_unread_image_extension("a.jpg"));
  EXPECT_LT(image_rank("jpg"), image_rank("png"));
  EXPECT_EQ(image_rank("JPG"), -1);  // asked in lower case
}

TEST(Container, ByFirstBytes) {
  Folder folder;
  const auto gzip = [&](const std::string& name, const std::string& contents) {
    folder.touch(name);
    gzFile file = gzopen(folder.path(name).c_str(), "wb");
    gzwrite(file, contents.data(), static_cast<unsigned>(contents.size()));
    gzclose(file);
  };
  gzip("a.tar", tar_file("a", "1"));
  gzip("b", "text");
  folder.write("c.tar", "PK\3\4rest");
  folder.write("d", "PAR1rest");
  folder.write("e", "ARROW1\0\0");
  folder.write("f", "\x89HDF\r\n\x1a\n");
  folder.write("g", std::string(16, '\0') + "\xde\xc0\xef\xbe" + "rest");
  folder.write("h.tar", "BZh91AY");
  folder.write("i.tfrecord", "anything");
  folder.write("j.tar", "<!DOCTYPE html>");
  folder.write("k.tar.gz", "an error message");
  folder.write("plain.tar", tar_file("a", "1"));
  folder.write("list.txt", "a.jpg 1\n");
  const std::vector<std::pair<const char*, const char*>> expected{
      {"a.tar", "compressed tar"},
      {"b", "gunzip"},
      {"c.tar", "unzip"},
      {"d", "Parquet"},
      {"e", "Arrow"},
      {"f", "HDF5"},
      {"g", "LMDB"},
      {"h.tar", "bunzip2"},
      {"i.tfrecord", "TFRecord"},
      {"j.tar", "web page"},
      {"k.tar.gz", "incomplete download"}};
  for (const auto& [name, word] : expected)
    EXPECT_NE(container_at(folder.path(name)).find(word), std::string::npos) << name;
  for (const char* name : {"plain.tar", "list.txt", "nowhere"})
    EXPECT_EQ(container_at(folder.path(name)), "") << name;
}

TEST(Container, ByName) {
  for (const char* name : {"a.tar.gz", "a.TGZ", "a.tar.zst"})
    EXPECT_NE(container_named(name).find("compressed tar"), std::string::npos) << name;
  EXPECT_NE(container_named("a/data-00000-of-00001.arrow").find("Arrow"), std::string::npos);
  EXPECT_NE(container_named("a/data.mdb").find("LMDB"), std::string::npos);
  EXPECT_NE(container_named("x.tfrecord-00000-of-00008").find("TFRecord"), std::string::npos);
  for (const char* name : {"a.tar", "a.jpg", "zip"}) EXPECT_EQ(container_named(name), "") << name;
}

}  // namespace
}  // namespace sgmae
