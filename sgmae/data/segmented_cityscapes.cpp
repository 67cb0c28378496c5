// Cityscapes: leftImg8bit/train/CITY/X_leftImg8bit.png and gtFine/train/CITY/X_gtFine_labelIds.png,
// or …_labelTrainIds.png where only these are.
#include <array>

#include "sgmae/base/error.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/files.h"
#include "sgmae/data/segmented_formats.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct TrainClass {
  const char* name;
  std::size_t label_id;
};

// The classes of its benchmark by their train ids; all other label ids count nowhere.
constexpr std::array<TrainClass, 19> train_classes{{
    {"road", 7},  {"sidewalk", 8},       {"building", 11},     {"wall", 12},       {"fence", 13},
    {"pole", 17}, {"traffic light", 19}, {"traffic sign", 20}, {"vegetation", 21}, {"terrain", 22},
    {"sky", 23},  {"person", 24},        {"rider", 25},        {"car", 26},        {"truck", 27},
    {"bus", 28},  {"train", 31},         {"motorcycle", 32},   {"bicycle", 33},
}};
constexpr std::size_t label_ids = 34;

std::optional<FolderPair> parts_of(const fs::path& folder, const std::string& split) {
  const auto images = folder_of_split(folder / "leftImg8bit", split);
  const auto labels = folder_of_split(folder / "gtFine", split);
  if (!images || !labels) return {};
  return FolderPair{*images, *labels};
}

bool holds(const fs::path& folder, const std::string& ending) {
  for (const auto& [city, is_a_folder] : list_folder(folder)) {
    if (!is_a_folder) {
      if (city.ends_with(ending)) return true;
      continue;
    }
    for (const FolderEntry& file : list_folder(folder / city))
      if (file.name.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace

bool find_cityscapes(const fs::path& folder, const std::string& split) {
  return parts_of(folder, split).has_value();
}

LabelledFiles list_cityscapes(const fs::path& folder, const std::string& split) {
  const FolderPair parts = *parts_of(folder, split);
  const bool by_label_id = holds(parts.labels, "_gtFine_labelIds.png");
  LabelledFiles found =
      pair_files(parts, "_leftImg8bit", by_label_id ? "_gtFine_labelIds" : "_gtFine_labelTrainIds");
  found.format = "Cityscapes";
  found.class_of.fill(no_class);
  found.class_of[255] = unlabelled_pixel;
  if (by_label_id)
    for (std::size_t id = 0; id < label_ids; ++id) found.class_of[id] = unlabelled_pixel;
  for (std::size_t i = 0; i < train_classes.size(); ++i) {
    found.class_of[by_label_id ? train_classes[i].label_id : i] = static_cast<std::int16_t>(i);
    found.class_names.push_back(train_classes[i].name);
  }
  return found;
}

}  // namespace sgmae
