// COCO-Stuff: the 182 categories of things and stuff, a PNG's value being the category's id less 1.
#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/files.h"
#include "sgmae/data/segmented_formats.h"
#include "sgmae/data/segmented_names.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t classes = 182;

bool holds_png(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".png") return true;
  return false;
}

}  // namespace

std::optional<FolderPair> find_coco_stuff(const fs::path& folder, const std::string& split) {
  const auto images = folder_of_split(folder / "images", split);
  if (!images) return {};
  for (const char* name : {"stuffthingmaps", "annotations"}) {
    const auto labels = folder_of_split(folder / name, split);
    // Other data have annotations/ too, but no year.
    if (labels && labels->filename().string().ends_with("2017") && holds_png(*labels))
      return FolderPair{*images, *labels};
  }
  return {};
}

LabelledFiles list_coco_stuff(const fs::path& folder, const FolderPair& folders) {
  LabelledFiles found = pair_files(folders);
  found.format = "COCO-Stuff";
  found.class_of = classes_from(0, classes, {unlabelled_pixel});
  found.class_names = made_up_names(found.class_of);
  found.named = false;
  for (const fs::path& place : {folder, folders.labels.parent_path()}) {
    if (!is_file(place / "labels.txt")) continue;
    // Ids from 1 on; 0 is called unlabeled.
    const auto names = parse_label_names(read_text(place / "labels.txt", ExitCode::data));
    for (std::int64_t i = 0; i < classes; ++i)
      if (const auto name = names.find(i + 1); name != names.end())
        found.class_names[static_cast<std::size_t>(i)] = name->second;
    found.named = found.named || !names.empty();
    if (found.named) break;
  }
  return found;
}

}  // namespace sgmae
