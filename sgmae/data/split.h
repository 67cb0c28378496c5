// Internal to data/: which part of a data set is which, by the names of folders and files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sgmae {

// Names that a split goes by, in lower case, best first. Throws Error(usage) for what is no split.
std::vector<std::string> names_of_split(const std::string& split);

// Whether a file name says that it is for the split by this one of its names: in any case, and not
// as a part of a longer word.
bool says(std::string_view name, std::string_view word);

// The one of `names` that is called as the split is, in any case and perhaps with a year behind
// (train2017).
std::optional<std::string> named_as_split(const std::vector<std::string>& names,
                                          const std::string& split);

// A file of the split in a folder, such as train.txt, Train.txt or TRAIN.txt.
std::optional<std::filesystem::path> file_of_split(const std::filesystem::path& folder,
                                                   const std::string& split,
                                                   std::string_view ending);

// Whether an image lies in the folder itself.
bool holds_image(const std::filesystem::path& folder);
// Or in a folder in it.
bool holds_image_below(const std::filesystem::path& folder);

// The parts of a data set in class folders: its sub-folders, some of which are called as splits; or
// those of images/ in it (as ADE20K and YOLO have them), where only those are.
class Parts {
 public:
  explicit Parts(const std::filesystem::path& folder);

  // The sub-folder of the split, if there is one and it is a part of the data set. It is, where
  // there are a part for training and one for evaluation. One of the two alone is, unless it may as
  // well be a class of that name: train/ that holds images itself, as a sub-folder of another name
  // does too; or an evaluation part beside images or other folders of images.
  std::optional<std::filesystem::path> part(const std::string& split) const;

  bool exist() const { return exist_; }
  bool any_folder() const { return !folders_.empty(); }
  // A sub-folder called like a split that counts as a class; "" where there is none.
  const std::string& class_called_so() const { return class_called_so_; }
  // The other sub-folders, as a list for people: "docs/, val/"; "" where there are none.
  std::string beside(const std::filesystem::path& part) const;
  // Whether a sub-folder that is no part holds images.
  bool others_hold_images() const;

 private:
  std::filesystem::path folder_;
  std::vector<std::string> folders_, others_;  // all, and those not called as a split
  bool exist_ = false;
  std::string class_called_so_;
};

}  // namespace sgmae
