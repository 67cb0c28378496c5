#include "sgmae/data/source.h"

#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/pack.h"
#include "sgmae/data/parallel.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

bool is_pattern(std::string_view path) {
  return path.find('{') != std::string_view::npos && path.ends_with(".tar");
}

// What the name and the first look at `path` say; folder and list where nothing speaks for another.
DataFormat recognise(const std::string& path, const std::string& split) {
  if (!is_folder(path)) {
    if (is_pattern(path) || path.ends_with(".tar")) return DataFormat::tar;
    if (path.ends_with(".sgpack")) return DataFormat::pack;
    if (path.ends_with(".tar.gz") || path.ends_with(".tgz")) return DataFormat::cifar;
    if (path.ends_with(".json")) return DataFormat::inaturalist;
    return is_idx(path) ? DataFormat::idx : DataFormat::list;
  }
  if (find_cub(path)) return DataFormat::cub;
  if (find_cifar(path)) return DataFormat::cifar;
  if (find_pack(path, split)) return DataFormat::pack;
  // Images in the folder itself speak for themselves; the further looks would list them all.
  const bool images = holds_image(path);
  if (!images && find_inaturalist(path, split)) return DataFormat::inaturalist;
  // Archives count where they stand alone: beside images they may be the originals, and a list
  // beside them may be theirs.
  const bool archives = !images && has_split_folders(path) && !find_shards(path, split).empty();
  for (const std::string& name : names_of_split(split))
    if (const fs::path list = fs::path(path) / (name + ".txt"); is_file(list))
      return archives && !list_finds_images(list) ? DataFormat::tar : DataFormat::list;
  if (archives) return DataFormat::tar;
  return !images && find_idx(path, split) ? DataFormat::idx : DataFormat::folder;
}

std::unique_ptr<Source> open_list_of(const fs::path& path, const std::string& split,
                                     const std::string& data_root) {
  if (!is_folder(path) && split == "train") {
    check(!has_image_extension(path.string()), ExitCode::data, path.string(),
          " is a single image; give the folder that holds the images");
    return open_list(path, data_root);
  }
  const fs::path folder = is_folder(path) ? path : path.parent_path();
  for (const std::string& name : names_of_split(split)) {
    const fs::path list = folder / (name + ".txt");
    if (is_file(list) && list != path) return open_list(list, data_root);
  }
  fail(ExitCode::data, is_folder(path) ? "in " : "beside ", path.string(), " lies no data for '",
       split, "'; expected ", split, ".txt");
}

std::unique_ptr<Source> open_idx_of(const fs::path& path, const std::string& split) {
  if (!is_folder(path) && split == "train") return open_idx(path);
  const auto images = find_idx(is_folder(path) ? path : path.parent_path(), split);
  check(images.has_value(), ExitCode::data, is_folder(path) ? "in " : "beside ", path.string(),
        " lies no data for '", split, "'; expected ", split == "train" ? "train" : "t10k",
        "-images-idx3-ubyte(.gz)");
  return open_idx(*images);
}

std::unique_ptr<Source> open_folder_of(const fs::path& path, const std::string& split) {
  check(is_folder(path), ExitCode::data, path.string(), " is not a folder");
  if (has_split_folders(path))
    for (const std::string& name : names_of_split(split))
      if (is_folder(path / name)) return open_folder(path / name);
  check(split == "train", ExitCode::data, path.string(), " has no part for '", split,
        "'; expected a folder ", path.string(), "/", split, ", a list ", split,
        ".txt or t10k-images-idx3-ubyte(.gz) in it");
  return open_folder(path);
}

// What `find` finds in the folder `path`, or else `path` itself.
template <class Find>
fs::path found_in(const fs::path& path, const Find& find, const char* what) {
  if (!is_folder(path)) return path;
  const std::optional<fs::path> found = find(path);
  check(found.has_value(), ExitCode::data, "in ", path.string(), " lies no ", what);
  return *found;
}

}  // namespace

ImageView decode(const OpenedImage& opened, const CropBox& region, int channels, Image& buffer) {
  if (opened.raw.data == nullptr) {
    decode_image(opened.bytes, opened.info, region, channels, buffer);
    return view(buffer);
  }
  const ImageView part = crop(opened.raw, region);
  if (part.channels == channels) return part;
  reshape(buffer, {part.width, part.height}, channels);
  const ImageView result = view(buffer);
  for (int y = 0; y < part.height; ++y)
    convert_pixels(part.row(y), part.channels, buffer.pixels.data() + y * result.stride, channels,
                   part.width);
  return result;
}

void Source::use_classes_of(const Source& training) {
  std::map<std::string, std::int64_t> ids;
  for (std::size_t i = 0; i < training.class_names_.size(); ++i)
    ids.emplace(training.class_names_[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> new_id;
  for (const std::string& class_name : class_names_) {
    const auto found = ids.find(class_name);
    check(found != ids.end(), ExitCode::data, "the evaluation images have a class '", class_name,
          "' that the training images lack");
    new_id.push_back(found->second);
  }
  for (std::int64_t& label : labels_)
    if (label >= 0) label = new_id[static_cast<std::size_t>(label)];
  class_names_ = training.class_names_;
}

std::uint64_t Source::digest() const {
  std::call_once(digested_, [&] {
    // A network disk answers slowly, and many questions at once.
    constexpr std::int64_t share = 256, threads = 16;
    std::vector<std::int64_t> marks(static_cast<std::size_t>(size()));
    in_parallel(size(), share, threads, [&] {
      return [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          marks[static_cast<std::size_t>(i)] = content_mark(i);
      };
    });
    const std::size_t folder = common_folder(*this);
    Hash64 hash;
    hash.add(size());
    for (std::int64_t i = 0; i < size(); ++i) {
      hash.add(std::string_view(name(i)).substr(folder));
      hash.add(marks[static_cast<std::size_t>(i)]);
    }
    digest_ = hash.value();
  });
  return digest_;
}

void declare_data_format(Options& options, DataFormat& format) {
  options
      .add("data_format", format,
           {{"auto", DataFormat::automatic},
            {"imagefolder", DataFormat::folder},
            {"list", DataFormat::list},
            {"idx", DataFormat::idx},
            {"webdataset", DataFormat::tar},
            {"ilsvrc", DataFormat::tar},
            {"cifar", DataFormat::cifar},
            {"cub", DataFormat::cub},
            {"inaturalist", DataFormat::inaturalist},
            {"pack", DataFormat::pack}},
           "what lies at data_path; auto: told by its files")
      .may_change_on_resume();
}

std::unique_ptr<Source> open_source(const std::string& data_path, const std::string& split,
                                    const std::string& data_root, DataFormat format) {
  names_of_split(split);  // an unknown split is an error of usage, whatever lies there
  check(!data_path.empty(), ExitCode::usage, "no data set given; use --data_path FOLDER");
  std::error_code ignored;
  check(is_pattern(data_path) || fs::exists(data_path, ignored), ExitCode::data, "there is no ",
        data_path, "; give an existing folder of images, list file, archive or packed data set");
  if (format == DataFormat::automatic) format = recognise(data_path, split);
  const fs::path path = data_path;
  switch (format) {
    case DataFormat::automatic:
    case DataFormat::folder:
      return open_folder_of(path, split);
    case DataFormat::list:
      return open_list_of(path, split, data_root);
    case DataFormat::idx:
      return open_idx_of(path, split);
    case DataFormat::tar: {
      const std::vector<fs::path> shards = find_shards(data_path, split);
      check(!shards.empty(), ExitCode::data, "at ", data_path, " lies no .tar file for '", split,
            "'; its name must say ", split);
      return open_tars(shards, split);
    }
    case DataFormat::cifar:
      return open_cifar(found_in(path, find_cifar, "CIFAR-10 or CIFAR-100"), split);
    case DataFormat::cub:
      return open_cub(found_in(path, find_cub, "CUB-200-2011 (images.txt and its companions)"),
                      split);
    case DataFormat::inaturalist:
      return open_inaturalist(path, split, data_root);
    case DataFormat::pack:
      return open_pack(path, split);
  }
  SGMAE_ASSERT(false);
  return nullptr;
}

}  // namespace sgmae
