// Oracles: what docs/data.md says of parts and classes, on data sets of a few images.
#include "sgmae/data/annotated_images.h"

#include <gtest/gtest.h>

#include "tests/data/annotated.h"

namespace sgmae {
namespace {

// A data set in YOLO's layout with other class names in its evaluation part.
void write_part(const Folder& folder, const std::string& part, const std::string& classes,
                const std::string& lines) {
  folder.image(part + "/a.png");
  folder.write(part + "/a.txt", lines);
  folder.write(part + "/classes.txt", classes);
}

TEST(AnnotatedImages, ClassesOfTheTrainingPart) {
  const Folder folder;
  write_part(folder, "one", "cat\ndog\n", "0 0.5 0.5 1 1\n");
  write_part(folder, "two", "dog\n", "0 0.5 0.5 1 1\n");
  write_part(folder, "three", "cow\n", "0 0.5 0.5 1 1\n");
  AnnotatedData options;
  options.data_path = folder.path("one");
  options.test_path = folder.path("two");
  options.test_split = "train";
  const auto train = options.open_training_part();
  const auto test = options.open_test_part(train->class_names());
  EXPECT_EQ(test->class_names(), (Names{"cat", "dog"}));
  EXPECT_EQ(test->objects(0)[0].category, 1);
  EXPECT_EQ(test->category_id(1), 0);  // as its own file has it
  EXPECT_EQ(test->category_id(0), 1);  // which that file does not use
  const auto again = options.open_test_part({"dog", "cat"});
  again->use_classes({"x", "cat", "dog"});
  EXPECT_EQ(described(*again, 0), "dog 0 0 12 10");
  EXPECT_EQ(again->category_id(2), 0);
  options.test_path = folder.path("three");
  const auto error =
      error_of(ExitCode::data, [&] { options.open_test_part(train->class_names()); });
  EXPECT_NE(error.find("a class 'cow' that the training images lack"), std::string::npos) << error;
}

TEST(AnnotatedImages, AJsonOfItsOwnIsTheTestPart) {
  const Folder folder;
  folder.image("a.png");
  const char* const text =
      R"({"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 3, "name": "x"}],
          "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}]})";
  folder.write("first.json", text);
  folder.write("second.json", text);
  AnnotatedData options;
  options.data_path = folder.path("first.json");
  options.test_path = folder.path("second.json");
  EXPECT_EQ(described(*options.open_test_part({"x"}), 0), "x 1 2 4 6");
}

TEST(AnnotatedImages, IsRecognised) {
  const Folder folder;
  folder.image("images/train/a.png");
  EXPECT_FALSE(holds_annotations(folder.path(), "train"));
  const auto error = error_of(ExitCode::data, [&] { open_annotated(folder.path()); });
  EXPECT_NE(error.find("there are no annotations for 'train'"), std::string::npos) << error;
  EXPECT_NE(error.find("instances_train2017.json"), std::string::npos);
  folder.write("labels/train/a.txt", "0 0.5 0.5 1 1\n");
  EXPECT_TRUE(holds_annotations(folder.path(), "train"));
  EXPECT_FALSE(holds_annotations(folder.path(), "val"));
  EXPECT_STREQ(open_annotated(folder.path())->format(), "YOLO");
  folder.image("images/b.png");
  folder.write("Annotations/b.xml", "<annotation/>");
  EXPECT_STREQ(open_annotated(folder.path())->format(), "Pascal VOC");
  EXPECT_STREQ(open_annotated(folder.path(), "train", "", AnnotationFormat::yolo)->format(),
               "YOLO");
}

// What lies beside images may be something else.
TEST(AnnotatedImages, OtherFilesAreNoAnnotations) {
  const Folder folder;
  folder.image("cat/a.png");
  folder.write("cat/a.txt", "a cat on a mat\n");
  folder.write("cat/a.xml", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>");
  folder.write("config.yaml", "names: 3\n");
  folder.write("train2019.json", R"({"images": [], "annotations": [], "categories": []})");
  for (const std::string& path :
       {folder.path(), folder.path("cat"), folder.path("train2019.json"), folder.path("cat/a.png")})
    EXPECT_FALSE(holds_annotations(path, "train")) << path;
}

TEST(AnnotatedImages, WrongUse) {
  const Folder folder;
  folder.write("a.csv", "x");
  error_of(ExitCode::usage, [] { open_annotated(""); });
  error_of(ExitCode::usage, [&] { open_annotated(folder.path(), "dev"); });
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path("a.csv")); })
                .find("holds no annotations that are read"),
            std::string::npos);
  EXPECT_NE(
      error_of(ExitCode::data, [&] { open_annotated(folder.path("gone")); }).find("there is no"),
      std::string::npos);
  AnnotatedData options;
  error_of(ExitCode::usage, [&] { options.check(); });
  options.data_path = folder.path();
  options.check();
  options.num_workers = -1;
  error_of(ExitCode::usage, [&] { options.check(); });
}

// A JPEG whose preface is longer than what is first read of it, and turned by its EXIF.
TEST(AnnotatedImages, SizesAreThoseOfTheUprightImage) {
  const Folder folder;
  const Image photo{12, 10, 3, std::vector<std::uint8_t>(360, 99)};
  const auto plain = encode_jpeg(view(photo), 90);
  const std::string body(plain.begin() + 2, plain.end());
  // EXIF: big-endian, one entry, orientation (0x112, SHORT) 6.
  const std::string exif("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
                         32);
  const std::string app1 = std::string("\xff\xe1\0", 3) + static_cast<char>(exif.size() + 2) + exif;
  std::string comments;
  for (int i = 0; i < 3; ++i)
    comments += std::string("\xff\xfe\xff\xf2", 4) + std::string(0xfff0, 'c');
  folder.write("a.jpg", "\xff\xd8" + app1 + body);
  folder.write("b.jpg", "\xff\xd8" + app1 + comments + body);
  folder.write("a.txt", "0 0.5 0.5 1 1\n");
  const auto data = open_annotated(folder.path());
  for (const int i : {0, 1}) {
    OpenedImage opened;
    data->images().open(i, opened);
    EXPECT_EQ(opened.size, (ImageSize{10, 12}));
    EXPECT_EQ(data->size(i), opened.size);
  }
  EXPECT_EQ(described(*data, 0), "0 0 0 10 12");
}

}  // namespace
}  // namespace sgmae
