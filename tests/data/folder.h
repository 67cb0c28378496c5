// Data sets made for a test, in a folder that goes when the test ends.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/data/source.h"
#include "sgmae/image/encode.h"

namespace sgmae {

class Folder {
 public:
  Folder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            str("sgmae-", test->test_suite_name(), "-", test->name(), "-", ::getpid());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }
  void write(const std::string& name, const std::string& contents) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    write_file(path_ / name, contents);
  }
  void touch(const std::string& name) const {  // an empty file, without a sync to disk
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name);
  }
  // A colour PNG whose every pixel says which image it is: red = value.
  void image(const std::string& name, int value = 0, int width = 12, int height = 10) const {
    write(name, png(value, width, height));
  }
  static std::string png(int value, int width = 12, int height = 10) {
    Image image{width, height, 3, {}};
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (const int v : {value, x * 7, y * 9})
          image.pixels.push_back(static_cast<std::uint8_t>(v));
    const auto bytes = encode_png(view(image));
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::filesystem::path path_;
};

using Ids = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

// One file of a tar archive: a ustar header and the contents, padded.
inline std::string tar_file(const std::string& name, const std::string& contents, char type = '0') {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  const auto octal = [](std::size_t value, std::size_t digits) {
    std::string text;
    for (; digits > 0; --digits, value /= 8)
      text.insert(text.begin(), static_cast<char>('0' + value % 8));
    return text;
  };
  put(0, name.substr(0, 100));
  put(124, octal(contents.size(), 11));
  header[156] = type;
  put(257, std::string("ustar\0"
                       "00",
                       8));
  put(148, "        ");
  std::size_t sum = 0;
  for (const char c : header) sum += static_cast<std::uint8_t>(c);
  put(148, octal(sum, 6));
  std::string file = header + contents;
  file.resize((file.size() + 511) / 512 * 512, '\0');
  return file;
}
inline std::string tar_end() {
  return std::string(1024, '\0');
}

// The names of a source's images, as seen from the folder.
inline Names names_in(const Source& source, const Folder& folder) {
  Names names;
  for (std::int64_t i = 0; i < source.size(); ++i)
    names.push_back(std::filesystem::relative(source.name(i), folder.path()).string());
  return names;
}

// The red value of an image's first pixel: which one it is, for those of Folder::image().
inline int red_of(const Source& source, std::int64_t index) {
  OpenedImage opened;
  source.open(index, opened);
  Image buffer;
  return decode(opened, whole(opened.size), 3, buffer).row(0)[0];
}

// An IDX file of bytes.
inline std::string idx(const std::vector<std::uint32_t>& shape,
                       const std::vector<std::uint8_t>& values) {
  std::string file{'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const std::uint32_t length : shape)
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(length >> shift & 0xff);
  return file.append(values.begin(), values.end());
}

// The message of the Error(code) that `action` throws.
template <class Action>
std::string error_of(ExitCode code, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace sgmae
