// Oracle: Pillow and its plug-ins (tests/golden/plugin_images.py), whose libraries are newer than
// Debian's. A format whose plug-in was not built is skipped.
#include "sgmae/image/codec_plugin.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "sgmae/base/file.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class CodecPlugin : public testing::TestWithParam<PluginFormat> {
 protected:
  void SetUp() override {
    std::string why;
    if (!codec_plugin(GetParam().format, why)) GTEST_SKIP() << why;
    const std::string ending =
        std::map<ImageFormat, std::string>{{ImageFormat::heif, ".heic"},
                                           {ImageFormat::avif, ".avif"},
                                           {ImageFormat::jxl, ".jxl"},
                                           {ImageFormat::jp2, ".j"}}[GetParam().format];
    for (const auto& entry :
         fs::directory_iterator(std::string(SGMAE_TEST_DATA) + "/plugin_images"))
      if (const auto type = entry.path().extension().string();
          type == ending || (ending == ".j" && (type == ".jp2" || type == ".j2k")))
        files_.push_back(entry.path());
    ASSERT_GE(files_.size(), 4u);
  }
  std::vector<fs::path> files_;
};

INSTANTIATE_TEST_SUITE_P(All, CodecPlugin, testing::ValuesIn(plugin_formats()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(CodecPlugin, PixelsAreThoseOfPillow) {
  for (const fs::path& file : files_) {
    const auto bytes = read_file(file);
    const Image expected = decode_image(read_file(file.string() + ".png"), 3);
    const ImageInfo info = read_image_info(bytes);
    EXPECT_EQ(info.format, GetParam().format) << file;
    ASSERT_EQ(info.size, expected.size()) << file;
    const Image image = decode_image(bytes, 3);
    int most = 0;
    double sum = 0;
    for (std::size_t i = 0; i < expected.pixels.size(); ++i) {
      const int difference = std::abs(int{image.pixels[i]} - expected.pixels[i]);
      most = std::max(most, difference);
      sum += difference;
    }
    // Other versions of a library round otherwise from luma and chroma, or from ten bits.
    const bool exact = GetParam().format == ImageFormat::jp2 && file.stem() != "420";
    EXPECT_LE(most, exact ? 0 : 2) << file;
    EXPECT_LE(sum / static_cast<double>(expected.pixels.size()), 0.6) << file;
  }
}

TEST_P(CodecPlugin, RegionEqualsCropOfWhole) {
  const auto bytes = read_file(files_.front());
  const ImageInfo info = read_image_info(bytes);
  for (const int channels : {1, 3}) {
    const Image whole_image = decode_image(bytes, channels);
    const CropBox box{7, 5, info.size.width / 2, info.size.height / 3};
    Image part;
    decode_image(bytes, info, box, channels, part);
    const ImageView cut = crop(view(whole_image), box);
    for (int y = 0; y < box.height; ++y)
      EXPECT_EQ(
          std::vector<std::uint8_t>(cut.row(y), cut.row(y) + box.width * channels),
          std::vector<std::uint8_t>(view(part).row(y), view(part).row(y) + box.width * channels));
  }
}

TEST_P(CodecPlugin, TruncatedIsAnError) {
  for (const fs::path& file : files_) {
    const auto bytes = read_file(file);
    for (const double share : {0.0, 0.02, 0.1, 0.5, 0.9}) {
      const auto size = static_cast<std::size_t>(share * static_cast<double>(bytes.size()));
      error_of(ExitCode::data, [&] { decode_image(std::span(bytes).first(size), 3); });
    }
  }
}

// Such a description of colours, which the parameters of the HEVC stream may carry, once cost the
// whole decoded image of memory (only a build with AddressSanitizer shows that).
TEST(Heif, ReservedColourMatrixIsReadAsTheDefault) {
  std::string why;
  if (!codec_plugin(ImageFormat::heif, why)) GTEST_SKIP() << why;
  auto bytes = read_file(std::string(SGMAE_TEST_DATA) + "/plugin_images/turned2.heic");
  const Image undescribed = decode_image(bytes, 3);
  constexpr std::size_t video_signal = 306;
  ASSERT_EQ(bytes[video_signal], 0xC0);
  bytes[video_signal] = 0x66;  // colours are described, by what follows: a matrix not defined yet
  const Image described = decode_image(bytes, 3);
  EXPECT_EQ(described.size(), undescribed.size());
  EXPECT_EQ(described.pixels, undescribed.pixels);
}

}  // namespace
}  // namespace sgmae
