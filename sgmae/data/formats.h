// Internal to data/: one file per kind of data set. Each `open_…` reads the data set where it lies
// and throws Error(data), naming the file, for what is damaged; each `find_…` says whether the kind
// lies in a folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

// folder.cpp: images in class folders, or flat.
std::unique_ptr<Source> open_folder(const std::filesystem::path& folder);
// Whether an image lies in the folder itself.
bool holds_image(const std::filesystem::path& folder);
// Whether a sub-folder called train or val is a part of the data set and not a class of that name:
// then no other sub-folder holds images.
bool has_split_folders(const std::filesystem::path& folder);

// list.cpp: a text file with one image a line.
std::unique_ptr<Source> open_list(const std::filesystem::path& list, const std::string& data_root);

// Whether its first image lies where open_list() looks without a `data_root`.
bool list_finds_images(const std::filesystem::path& list);

// idx.cpp: the files of MNIST and its kin.
bool is_idx(const std::filesystem::path& path);
std::unique_ptr<Source> open_idx(const std::filesystem::path& images);
std::optional<std::filesystem::path> find_idx(const std::filesystem::path& folder,
                                              const std::string& split);

// tar_source.cpp: WebDataset shards, ILSVRC's tar of tars, any tar of images.
// `path` is one file, a folder, or a pattern such as name-{0000..0012}.tar.
std::vector<std::filesystem::path> find_shards(const std::string& path, const std::string& split);
std::unique_ptr<Source> open_tars(const std::vector<std::filesystem::path>& shards,
                                  const std::string& split);

// cifar.cpp: CIFAR-10 and CIFAR-100, binary or Python files, unpacked or in their .tar.gz.
std::optional<std::filesystem::path> find_cifar(const std::filesystem::path& folder);
std::unique_ptr<Source> open_cifar(const std::filesystem::path& folder_or_tar,
                                   const std::string& split);

// cub.cpp: CUB-200-2011.
std::optional<std::filesystem::path> find_cub(const std::filesystem::path& folder);
std::unique_ptr<Source> open_cub(const std::filesystem::path& folder, const std::string& split);

// inaturalist.cpp: iNaturalist's JSON, which names images and gives each one category.
std::optional<std::filesystem::path> find_inaturalist(const std::filesystem::path& folder,
                                                      const std::string& split);
std::unique_ptr<Source> open_inaturalist(const std::filesystem::path& folder_or_json,
                                         const std::string& split, const std::string& data_root);

}  // namespace sgmae
