// Internal to data/: one file per layout of segmented data, and what they share. Each `find_…` says
// where a layout lies, each `list_…` what is there; they throw Error(data), naming file and cure.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/segmented_images.h"

namespace sgmae {

inline constexpr const char* folders_format = "image and label folders";

// Of each value of a label PNG: its class, unlabelled_pixel, or no_class.
using ClassOfValue = std::array<std::int16_t, 256>;
inline constexpr std::int16_t no_class = -1;

// Values `first` … first + classes - 1 are the classes in order, `ignored` ones count nowhere.
ClassOfValue classes_from(int first, std::int64_t classes, const std::vector<int>& ignored);

struct LabelledFile {
  std::filesystem::path image, labels;
};

// One part of a data set.
struct LabelledFiles {
  const char* format = "";
  std::vector<LabelledFile> files;
  std::vector<LeftOut> left_out;
  std::vector<std::string> class_names;
  bool named = true;  // else the names are made up
  ClassOfValue class_of{};
};

// A folder of images and one of their labels.
struct FolderPair {
  std::filesystem::path images, labels;
};

// The files below two folders that are called alike but for what ends their names, in the order of
// their paths. Those without a partner are counted.
LabelledFiles pair_files(const FolderPair& folders, const std::string& image_end = "",
                         const std::string& label_end = "");

// "class 7" for each value that is a class.
std::vector<std::string> made_up_names(const ClassOfValue& class_of);

// ADEChallengeData2016, its folder or the one above.
std::optional<std::filesystem::path> find_ade20k(const std::filesystem::path& path,
                                                 const std::string& split);
LabelledFiles list_ade20k(const std::filesystem::path& folder, const std::string& split);

// leftImg8bit/ and gtFine/.
bool find_cityscapes(const std::filesystem::path& folder, const std::string& split);
LabelledFiles list_cityscapes(const std::filesystem::path& folder, const std::string& split);

// VOC2012/, VOCdevkit/ or the folder above.
std::optional<std::filesystem::path> find_voc_segmentation(const std::filesystem::path& path);
LabelledFiles list_voc_segmentation(const std::filesystem::path& folder, const std::string& split);

// images/train2017/ with stuffthingmaps/ or annotations/.
std::optional<FolderPair> find_coco_stuff(const std::filesystem::path& folder,
                                          const std::string& split);
LabelledFiles list_coco_stuff(const std::filesystem::path& folder, const FolderPair& folders);

// Any images/ with labels/, annotations/, masks/ or semantic/.
std::optional<FolderPair> find_label_folders(const std::filesystem::path& folder,
                                             const std::string& split);
LabelledFiles list_label_folders(const std::filesystem::path& folder, const FolderPair& folders,
                                 const LabelCoding& coding);

}  // namespace sgmae
