// Oracles: small data sets in each layout, their objects worked out by hand.
#include <gtest/gtest.h>

#include "sgmae/data/annotated_images.h"
#include "tests/data/annotated.h"

namespace sgmae {
namespace {

TEST(AnnotatedYolo, SisterFolders) {
  const Folder folder;
  for (const char* name : {"train2017/7", "train2017/12", "val2017/000000000009"})
    folder.image(str("images/", name, ".png"));
  folder.write("labels/train2017/7.txt", "1 0.5 0.5 0.5 0.2\n0 0 0 0.5 0 0.5 1\n");
  folder.write("labels/val2017/000000000009.txt", "");
  folder.write("classes.txt", "cat\ntraffic light\n");
  const auto data = open_annotated(folder.path());
  EXPECT_STREQ(data->format(), "YOLO");
  EXPECT_EQ(names_in(data->images(), folder),
            (Names{"images/train2017/12.png", "images/train2017/7.png"}));
  EXPECT_EQ(described(*data, 0), "");
  EXPECT_EQ(described(*data, 1), "traffic light 3 4 9 6; cat 0 0 6 10 polygons");
  EXPECT_TRUE(data->has_masks());
  EXPECT_NEAR(data->objects(1)[0].area, 12, 1e-12);
  EXPECT_NEAR(data->objects(1)[1].area, 30, 1e-12);  // of the triangle
  EXPECT_EQ(data->image_id(1), 7);                   // all names are numbers
  EXPECT_EQ(data->category_id(1), 1);
  EXPECT_EQ(count(*data, "images without a .txt, which count as without objects"), 1);
  const auto val = open_annotated(folder.path(), "val");
  EXPECT_EQ(val->image_id(0), 9);
  EXPECT_EQ(val->class_names(), (Names{"cat", "traffic light"}));
}

TEST(AnnotatedYolo, RoboflowsLayout) {
  const Folder folder;
  folder.image("train/images/a.png");
  folder.write("train/labels/a.txt", "0 0.5 0.5 1 1\n");
  folder.image("valid/images/b.png");
  folder.write("valid/labels/b.txt", "1 0.5 0.5 1 1\n");
  folder.write("data.yaml",
               "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['x', 'y']\n");
  for (const std::string& path : {folder.path(), folder.path("data.yaml")}) {
    EXPECT_EQ(described(*open_annotated(path), 0), "x 0 0 12 10");
    EXPECT_EQ(described(*open_annotated(path, "val"), 0), "y 0 0 12 10");
  }
}

TEST(AnnotatedYolo, ListsOfImages) {
  const Folder folder;
  folder.image("data/obj/a.png");
  folder.image("data/obj/b.png");
  folder.write("data/obj/a.txt", "2 0.5 0.5 1 1\n");
  folder.write("train.txt", "./data/obj/b.png\n\ndata/obj/a.png\r\n");
  folder.write("my.yaml", "train: train.txt\nval: train.txt\nnames: [p, q, r]\n");
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(names_in(data->images(), folder), (Names{"data/obj/b.png", "data/obj/a.png"}));
  EXPECT_EQ(described(*data, 1), "r 0 0 12 10");
}

// As CVAT exports them, without the data/ that the paths begin with, and as Darknet keeps them.
TEST(AnnotatedYolo, DarknetsLists) {
  for (const std::string at : {"", "data/"}) {
    const Folder folder;
    for (const char* name : {"obj_train_data/a", "obj_train_data/b", "obj_valid_data/c"}) {
      folder.image(str(at, name, ".png"));
      folder.write(str(at, name, ".txt"), "1 0.5 0.5 1 1\n");
    }
    folder.write(at + "train.txt", "data/obj_train_data/b.png\n");
    folder.write(at + "valid.txt", "\ndata/obj_valid_data/c.png\n");
    folder.write(at + "obj.names", "cat\ndog\n");
    const auto images = [&](const std::string& path, const std::string& split) {
      const auto data = open_annotated(
          folder.path(path), split, "",
          path.ends_with(".txt") ? AnnotationFormat::yolo : AnnotationFormat::automatic);
      EXPECT_EQ(data->class_names(), (Names{"cat", "dog"})) << path;
      return names_in(data->images(), folder);
    };
    const Names train{at + "obj_train_data/b.png"}, val{at + "obj_valid_data/c.png"};
    for (const std::string& path : {std::string(), at, at + "train.txt"}) {
      EXPECT_EQ(images(path, "train"), train) << path;
      EXPECT_EQ(images(path, "val"), val) << path;
    }
    EXPECT_EQ(images(at + "valid.txt", "train"), val);
    // Which list is which, a .data file knows better.
    folder.write(at + "obj.data",
                 "classes = 2\ntrain = data/all.txt\nvalid = data/train.txt\n"
                 "names = data/obj.names\n");
    folder.write(at + "all.txt", "data/obj_train_data/a.png\n");
    for (const std::string& path : {std::string(), at + "obj.data"}) {
      EXPECT_EQ(images(path, "train"), Names{at + "obj_train_data/a.png"});
      EXPECT_EQ(images(path, "val"), train);
    }
    std::filesystem::remove(folder.path(at + "all.txt"));
    EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path()); })
                  .find("there is no data/all.txt, which"),
              std::string::npos);
  }
}

TEST(AnnotatedYolo, OtherFilesAreNoDescription) {
  const Folder folder;
  folder.image("a.png");
  const auto error = error_of(ExitCode::data, [&] {
    open_annotated(folder.path("a.png"), "train", "", AnnotationFormat::yolo);
  });
  EXPECT_NE(error.find("a.png does not describe a YOLO data set"), std::string::npos) << error;
}

// Images of other parts are not taken for those of a part that is missing.
TEST(AnnotatedYolo, MissingParts) {
  const Folder folder;
  for (const char* name : {"a", "val/b"}) {
    folder.image(str("images/", name, ".png"));
    folder.write(str("labels/", name, ".txt"), "0 0.5 0.5 1 1\n");
  }
  const auto error = [&] {
    return error_of(ExitCode::data,
                    [&] { open_annotated(folder.path(), "train", "", AnnotationFormat::yolo); });
  };
  EXPECT_NE(error().find("there is no part 'train'"), std::string::npos) << error();
  folder.write("data.yaml", "val: images/val\nnames: [x]\n");
  EXPECT_NE(error().find("there is no part 'train'"), std::string::npos) << error();
  folder.write("data.yaml", "train: [images/val, images/more]\nval: images/val\nnames: [x]\n");
  EXPECT_NE(error().find("there is no images/more, which"), std::string::npos) << error();
  EXPECT_EQ(open_annotated(folder.path(), "val")->images().size(), 1);
}

TEST(AnnotatedYolo, KeypointsAreNotUsed) {
  const Folder folder;
  folder.image("images/train/a.png");
  folder.write("labels/train/a.txt", "0 0.5 0.5 0.5 0.2 0.9 0.9 0.1 0.1\n0 0.5 0.5 1 1\n");
  folder.write("data.yaml", "train: images/train\nkpt_shape: [2, 2]\nnames: [tiger]\n");
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(described(*data, 0), "tiger 3 4 9 6; tiger 0 0 12 10");
  EXPECT_FALSE(data->has_masks());
  EXPECT_EQ(count(*data, "objects whose keypoints are not used"), 1);
}

TEST(AnnotatedYolo, BesideTheImagesAndWithoutNames) {
  const Folder folder;
  folder.image("b.png");
  folder.image("a.png");
  folder.write("b.txt", "2 0.5 0.5 1 1\n");
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(data->class_names(), (Names{"0", "1", "2"}));
  EXPECT_EQ(described(*data, 1), "2 0 0 12 10");
  EXPECT_EQ(data->image_id(1), 2);
}

TEST(AnnotatedYolo, ProblemsAreNamed) {
  const Folder folder;
  folder.image("images/train/a.png");
  const auto error = [&] {
    return error_of(ExitCode::data,
                    [&] { open_annotated(folder.path(), "train", "", AnnotationFormat::yolo); });
  };
  EXPECT_NE(error().find("none of the 1 images"), std::string::npos) << error();
  EXPECT_NE(error().find("images/train/a.txt"), std::string::npos) << error();
  folder.write("labels/train/a.txt", "0 0.5 0.5 1 1\n3 0.5 0.5 1 1\n");
  folder.write("classes.txt", "x\ny\n");
  EXPECT_NE(error().find("labels/train/a.txt:2: class 3, but there are only 2 class names"),
            std::string::npos)
      << error();
  folder.write("labels/train/a.txt", "0 0.5 0.5\n");
  EXPECT_NE(error().find("labels/train/a.txt:1: not a YOLO object"), std::string::npos) << error();
  folder.write("labels/train/a.txt", "0 0.5 0.5 0 1\n0 0.9 0.5 0.8 1\n");
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(described(*data, 0), "x 6 0 12 10");
  EXPECT_EQ(count(*data, "boxes without an inside"), 1);
  EXPECT_EQ(count(*data, "boxes that overstep their image, clipped to it"), 1);
  folder.write("data.yaml", "train: gone/images\nnames: [x, y]\n");
  EXPECT_NE(error().find("there is no gone/images, which " + folder.path("data.yaml") +
                         " names for 'train'"),
            std::string::npos)
      << error();
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path("data.yaml"), "val"); })
                .find("there is no part 'val'"),
            std::string::npos);
}

// An image that cannot be read stays for whoever reads it to name it.
TEST(AnnotatedYolo, UnreadableImages) {
  const Folder folder;
  folder.write("a.png", "text");
  folder.image("b.png");
  folder.write("a.txt", "0 0.5 0.5 1 1\n");
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(data->images().size(), 2);
  EXPECT_EQ(data->size(0), ImageSize{});
  EXPECT_TRUE(data->objects(0).empty());
}

}  // namespace
}  // namespace sgmae
