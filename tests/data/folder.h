// Data sets made for a test, in a folder that goes when the test ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/data/source.h"
#include "sgmae/image/encode.h"
#include "tests/support/errors.h"
#include "tests/support/idx.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {

class Folder : public TemporaryFolder {
 public:
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

}  // namespace sgmae
