// Internal to data/: one file per kind of annotated data, and what they share. Each `open_…` reads
// what lies there and throws Error(data), naming the file, for what is damaged; each `find_…` says
// whether the kind lies in a folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/annotated_images.h"

namespace sgmae {

// The sub-folder that is called as the split is.
std::optional<std::filesystem::path> folder_of_split(const std::filesystem::path& folder,
                                                     const std::string& split);

// The sub-folder of this name, in any case.
std::optional<std::filesystem::path> folder_called(const std::filesystem::path& folder,
                                                   const std::string& name);

// Image files that annotations name.
struct ListedImage {
  std::filesystem::path path;
  ImageSize size;  // as the annotations say; 0: they do not
};
struct FoundImages {
  std::unique_ptr<Source> source;
  std::vector<ImageSize> sizes;     // of its images
  std::vector<std::size_t> listed;  // their positions in the list
};

// Those that are there and of the size that is said, in the list's order; the others are counted.
// Images that cannot be read stay, with size 0: whoever reads them will say why. Throws
// Error(data), beginning with `where`, when none is left.
FoundImages find_images(const std::vector<ListedImage>& list, const std::string& where,
                        std::vector<LeftOut>& left_out);

// Annotations that were read whole.
class StoredAnnotations : public AnnotatedImages {
 public:
  StoredAnnotations(const char* format, FoundImages images,
                    std::vector<std::vector<Instance>> objects,
                    std::vector<std::string> class_names, std::vector<LeftOut> left_out);

 protected:
  std::vector<Instance> read_objects(std::int64_t image) const override {
    return objects_[static_cast<std::size_t>(image)];
  }

 private:
  std::vector<std::vector<Instance>> objects_;  // by image
};

// Clips a box to its image. False, and counted as lost, where nothing of it is inside; counted too
// where it oversteps the image by more than a pixel.
bool clip_to(ImageSize size, const std::string& place, PixelBox& box,
             std::vector<LeftOut>& left_out);

// annotated_coco.cpp
// Whether a document has boxes or outlines at all: iNaturalist's, which is like COCO's, has none.
bool marks_objects(const std::filesystem::path& json);
std::optional<std::filesystem::path> find_coco(const std::filesystem::path& folder,
                                               const std::string& split);
std::unique_ptr<AnnotatedImages> open_annotated_coco(const std::filesystem::path& folder_or_json,
                                                     const std::string& split,
                                                     const std::string& data_root);

// annotated_voc.cpp
bool find_voc(const std::filesystem::path& folder, const std::string& split);
std::unique_ptr<AnnotatedImages> open_annotated_voc(const std::filesystem::path& folder,
                                                    const std::string& split,
                                                    const std::string& data_root);

// annotated_yolo.cpp
bool find_yolo(const std::filesystem::path& folder, const std::string& split);
std::unique_ptr<AnnotatedImages> open_annotated_yolo(const std::filesystem::path& folder_or_file,
                                                     const std::string& split,
                                                     const std::string& data_root);

}  // namespace sgmae
