// Oracle: stamps and photos drawn here, so plain that the colour of a pixel says what it is of.
// bench/composites.py needs Debian's python3-pil, which ./dev test installs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "sgmae/data/annotated_images.h"
#include "sgmae/image/decode.h"
#include "sgmae/image/runs.h"

#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Blocks and discs that are red, the last of four blue, with a transparent margin; photos that are
// black.
constexpr const char* kDraw = R"(
import sys
from pathlib import Path
from PIL import Image, ImageDraw
root = Path(sys.argv[1])
for kind in ("block", "disc"):
    (root / "stamps" / kind).mkdir(parents=True)
    for i in range(4):
        stamp = Image.new("RGBA", (60, 50))
        draw = ImageDraw.Draw(stamp)
        (draw.rectangle if kind == "block" else draw.ellipse)(
            (10, 5, 49, 34), (0, 0, 255, 255) if i == 3 else (255, 0, 0, 255))
        stamp.save(root / "stamps" / kind / f"{i}.png")
(root / "photos").mkdir()
for i in range(4):
    Image.new("RGB", (300, 200)).save(root / "photos" / f"{i}.png")
)";

class Composites : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("/usr/bin/python3 -c 'import PIL' 2>/dev/null") != 0)
      GTEST_SKIP() << "no Debian package python3-pil";
    folder_.write("draw.py", kDraw);
    ASSERT_EQ(
        std::system(("/usr/bin/python3 " + folder_.path("draw.py") + " " + folder_.path()).c_str()),
        0);
    const fs::path script =
        fs::path(SGMAE_TEST_DATA).parent_path().parent_path().parent_path() / "bench/composites.py";
    const std::string make = str("/usr/bin/python3 '", script.string(), "' ", folder_.path("set"),
                                 " --stamps ", folder_.path("stamps"), " --photos ",
                                 folder_.path("photos"), " --train 12 --val 6 --side 64");
    ASSERT_EQ(std::system(make.c_str()), 0);
  }

  const TemporaryFolder folder_;
};

// Masks are where the colour is, but for a pixel at their borders, where the picture is scaled
// down; boxes are exactly those of the masks; `val` has stamps of its own.
TEST_F(Composites, BoxesAndMasksAreWhatIsVisible) {
  for (const auto& [part, count, channel] :
       {std::tuple{"train", 12, std::size_t{0}}, std::tuple{"val", 6, std::size_t{2}}}) {
    const auto data = open_annotated(folder_.path("set"), part);
    ASSERT_EQ(data->images().size(), count);
    EXPECT_EQ(data->class_names(), (std::vector<std::string>{"block", "disc"}));
    EXPECT_TRUE(data->left_out().empty());
    OpenedImage opened;
    Image photo;
    for (std::int64_t i = 0; i < count; ++i) {
      data->images().open(i, opened);
      const ImageView pixels = decode(opened, whole(opened.size), 3, photo);
      std::vector<int> covered(64 * 64, 0);
      const std::vector<Instance> objects = data->objects(i);
      ASSERT_FALSE(objects.empty());
      for (const Instance& object : objects) {
        const Runs runs = runs_of(object.shape, opened.size);
        const CropBox box = box_around(runs);
        EXPECT_EQ(object.box.left, box.x);
        EXPECT_EQ(object.box.top, box.y);
        EXPECT_EQ(object.box.width(), box.width);
        EXPECT_EQ(object.box.height(), box.height);
        const Image mask = mask_of(runs);
        std::int64_t area = 0;
        for (std::size_t p = 0; p < covered.size(); ++p) {
          covered[p] += mask.pixels[p];
          area += mask.pixels[p];
        }
        EXPECT_EQ(object.area, static_cast<double>(area));
      }
      int wrong = 0, inside = 0;
      for (std::size_t p = 0; p < covered.size(); ++p) {
        EXPECT_LE(covered[p], 1);  // what is covered is not visible
        inside += covered[p];
        wrong += (pixels.row(static_cast<int>(p / 64))[3 * (p % 64) + channel] > 127) !=
                 (covered[p] == 1);
      }
      EXPECT_LT(wrong, inside / 5) << part << " " << i;
    }
  }
}

}  // namespace
}  // namespace sgmae
