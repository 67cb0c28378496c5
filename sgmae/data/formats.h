// Internal to data/: one file per kind of data set. Each `open_…` reads the data set where it lies
// and throws Error(data), naming the file, for what is damaged; each `find_…` says whether the kind
// lies in a folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/list_file.h"
#include "sgmae/data/shards.h"
#include "sgmae/data/source.h"

namespace sgmae {

// folder.cpp: images in class folders, or flat.
std::unique_ptr<Source> open_folder(const std::filesystem::path& folder);

// list.cpp: a text file with one image a line.
ListFile read_list(const std::filesystem::path& list, const DataFormat& format);
// Where the list tells parts apart, the lines of `split`, else all.
std::unique_ptr<Source> open_list(const std::filesystem::path& list, const std::string& split,
                                  const std::string& data_root, const DataFormat& format);
// Whether images of it lie where open_list() looks without a `data_root`.
bool list_finds_images(const std::filesystem::path& list, const DataFormat& format);

// idx.cpp: the files of MNIST and its kin.
bool is_idx(const std::filesystem::path& path);
std::unique_ptr<Source> open_idx(const std::filesystem::path& images);
std::optional<std::filesystem::path> find_idx(const std::filesystem::path& folder,
                                              const std::string& split);

// tar_source.cpp: WebDataset shards, ILSVRC's tar of tars, any tar of images.
Shards find_shards(const std::string& path, const std::string& split);
std::unique_ptr<Source> open_tars(const Shards& shards, const std::string& split,
                                  const DataFormat& format);

// table_source.cpp: Parquet and Arrow files of the Hugging Face hub.
bool is_table(const std::string& path_or_pattern);
Shards find_tables(const std::string& path, const std::string& split);
std::unique_ptr<Source> open_tables(const Shards& shards, const std::string& data_root,
                                    const DataFormat& format);

// cifar.cpp: CIFAR-10 and CIFAR-100, binary or Python files, unpacked or in their .tar.gz.
bool is_cifar_archive(const std::filesystem::path& path);  // of these .tar.gz, and no other
std::optional<std::filesystem::path> find_cifar(const std::filesystem::path& folder);
std::unique_ptr<Source> open_cifar(const std::filesystem::path& folder_or_tar,
                                   const std::string& split);

// cub.cpp: CUB-200-2011.
std::optional<std::filesystem::path> find_cub(const std::filesystem::path& folder);
std::unique_ptr<Source> open_cub(const std::filesystem::path& folder, const std::string& split);

// pages.cpp: every page of every TIFF an image. Looks into each file.
std::unique_ptr<Source> open_pages(std::unique_ptr<Source> files);

// inaturalist.cpp: iNaturalist's JSON, which names images and gives each one category.
std::optional<std::filesystem::path> find_inaturalist(const std::filesystem::path& folder,
                                                      const std::string& split);
std::unique_ptr<Source> open_inaturalist(const std::filesystem::path& folder_or_json,
                                         const std::string& split, const std::string& data_root);

}  // namespace sgmae
