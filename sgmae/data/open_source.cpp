// What lies at a path, told apart by names and a first look, and opened.
#include <filesystem>
#include <system_error>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/hub_card.h"
#include "sgmae/data/pack.h"
#include "sgmae/data/source.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

bool is_pattern(const std::string& path) {
  std::error_code ignored;
  return path.find('{') != std::string::npos && !fs::exists(path, ignored);
}

// The list file of a split in a folder. Exports in CSV are often of other things than images, and
// so count where their images are found.
std::optional<fs::path> find_list(const fs::path& folder, const std::string& split,
                                  const DataFormat& format) {
  if (auto list = file_of_split(folder, split, ".txt")) return list;
  for (const char* ending : {".csv", ".tsv"})
    if (auto list = file_of_split(folder, split, ending); list && list_finds_images(*list, format))
      return list;
  return std::nullopt;
}

// What the name and the first look at `path` say; folder and list where nothing speaks for another.
DataFormat::Kind recognise(const std::string& path, const std::string& split,
                           const DataFormat& format) {
  if (!is_folder(path)) {
    const std::string name = lower_case(path);
    if (!is_file(path) && is_card_config(path))
      return find_tables(path, split).paths.empty() ? DataFormat::tar : DataFormat::table;
    if (is_table(path)) return DataFormat::table;
    if (is_pattern(path) || name.ends_with(".tar")) return DataFormat::tar;
    if (name.ends_with(".sgpack")) return DataFormat::pack;
    if (is_cifar_archive(path)) return DataFormat::cifar;
    if (name.ends_with(".json")) return DataFormat::inaturalist;
    if (is_idx(path)) return DataFormat::idx;
    const std::string container = has_array_extension(path) ? "" : container_at(path);
    check(container.empty(), ExitCode::data, path, " ", container);
    return DataFormat::list;
  }
  if (find_cub(path)) return DataFormat::cub;
  if (find_cifar(path)) return DataFormat::cifar;
  if (find_pack(path, split)) return DataFormat::pack;
  // Images in the folder itself speak for themselves; the further looks would list them all.
  const bool images = holds_image(path);
  if (!images && find_inaturalist(path, split)) return DataFormat::inaturalist;
  if (images) return find_list(path, split, format) ? DataFormat::list : DataFormat::folder;
  const Parts parts(path);
  const auto part = parts.part(split);
  const bool part_of_images = part && holds_image_below(*part);
  // Archives count where they stand alone, or by their names: beside images they may be the
  // originals, and a list beside them may be theirs.
  const Shards shards = part_of_images ? Shards{} : find_shards(path, split);
  const bool archives = !shards.paths.empty() && (shards.named || !parts.others_hold_images());
  if (const auto list = find_list(path, split, format))
    if ((!archives && !part_of_images) || list_finds_images(*list, format)) return DataFormat::list;
  if (archives) return DataFormat::tar;
  if (!part_of_images && !parts.others_hold_images() && !find_tables(path, split).paths.empty())
    return DataFormat::table;
  return !part_of_images && find_idx(path, split) ? DataFormat::idx : DataFormat::folder;
}

std::unique_ptr<Source> open_list_of(const fs::path& path, const std::string& split,
                                     const std::string& data_root, const DataFormat& format) {
  if (!is_folder(path) && (split == "train" || read_list(path, format).parts)) {
    check(!has_image_extension(path.string()) && !has_array_extension(path.string()),
          ExitCode::data, path.string(),
          " is a single image; give the folder that holds the images");
    return open_list(path, split, data_root, format);
  }
  const fs::path folder = is_folder(path) ? path : path.parent_path();
  std::optional<fs::path> list;
  // Beside a list, one of the same kind.
  if (!is_folder(path)) list = file_of_split(folder, split, path.extension().string());
  if (!list) list = find_list(folder, split, format);
  check(list && *list != path, ExitCode::data, "there is no list for '", split, "' ",
        is_folder(path) ? "in " : "beside ", path.string(), "; expected ", split, ".txt");
  info("data: reading the images of ", list->string());
  return open_list(*list, split, data_root, format);
}

std::unique_ptr<Source> open_idx_of(const fs::path& path, const std::string& split) {
  if (!is_folder(path) && split == "train") return open_idx(path);
  const auto images = find_idx(is_folder(path) ? path : path.parent_path(), split);
  check(images.has_value(), ExitCode::data, "there is no IDX file for '", split, "' ",
        is_folder(path) ? "in " : "beside ", path.string(), "; expected ",
        split == "train" ? "train" : "t10k", "-images-idx3-ubyte(.gz)");
  return open_idx(*images);
}

std::unique_ptr<Source> open_folder_of(const fs::path& path, const std::string& split) {
  check(is_folder(path), ExitCode::data, path.string(),
        " is not a folder; for a list of images leave out --data_format");
  const Parts parts(path);
  if (const auto part = parts.part(split)) {
    const std::string beside = parts.beside(*part);
    info("data: reading ", part->string(), "/ for '", split, "'",
         beside.empty() ? "" : "; not " + beside);
    return open_folder(*part);
  }
  if (split == "train" && parts.exist())
    fail(ExitCode::data, path.string(), " has no part for training (train/), only ",
         parts.beside(""), "; to use all of it, give that folder as the path");
  check(split == "train", ExitCode::data, path.string(), " has no part for '", split,
        "'; expected a folder ", path.string(), "/", split, ", a list ", split,
        ".txt or t10k-images-idx3-ubyte(.gz) in it");
  if (!parts.class_called_so().empty())
    info("data: ", parts.class_called_so(), "/ in ", path.string(),
         " counts as a class, since other folders beside it hold images");
  else if (parts.any_folder())
    info("data: no train/ in ", path.string(), "; each folder in it is a class");
  return open_folder(path);
}

// Which of several files are read.
void say_which(const Shards& shards, const std::string& path, const std::string& split,
               const char* type) {
  if (!shards.card_config.empty())
    info("data: README.md's configuration ", shards.card_config, "; another one is read from ",
         (fs::path(path) / "NAME").string());
  if (!shards.beside.empty())
    info("data: reading ", shards.paths.size(), " of ", shards.paths.size() + shards.beside.size(),
         " ", type, " files in ", shards.paths.front().parent_path().string(), " for '", split,
         "'; not ", shards.beside.front(), shards.beside.size() > 1 ? " …" : "");
  else if (!shards.named && shards.paths.size() > 1 && is_folder(path))
    info("data: reading all ", shards.paths.size(), " ", type, " files in ", path,
         " for training, since none of their names mentions a split");
}

std::unique_ptr<Source> open_tars_of(const std::string& path, const std::string& split,
                                     const DataFormat& format) {
  const Shards shards = find_shards(path, split);
  if (shards.paths.empty() && is_folder(path))
    for (const auto& [name, is_a_folder] : list_folder(path))
      if (const std::string container = container_named(name); !is_a_folder && !container.empty())
        fail(ExitCode::data, "there is no .tar file for '", split, "' in ", path, "; ", name, " ",
             container);
  check(!shards.paths.empty(), ExitCode::data, "there is no .tar file for '", split, "' at ", path,
        "; its name must contain the word ", split);
  say_which(shards, path, split, ".tar");
  return open_tars(shards, split, format);
}

std::unique_ptr<Source> open_tables_of(const std::string& path, const std::string& split,
                                       const std::string& data_root, const DataFormat& format) {
  const Shards shards = find_tables(path, split);
  check(!shards.paths.empty(), ExitCode::data, "there is no .parquet or .arrow file for '", split,
        "' at ", path, "; its name or its folder must contain the word ", split);
  say_which(shards, path, split, ".parquet or .arrow");
  return open_tables(shards, data_root, format);
}

// What `find` finds in the folder `path`, or else `path` itself.
template <class Find>
fs::path found_in(const fs::path& path, const Find& find, const char* what) {
  if (!is_folder(path)) return path;
  const std::optional<fs::path> found = find(path);
  check(found.has_value(), ExitCode::data, "there is no ", what, " in ", path.string());
  return *found;
}

std::unique_ptr<Source> open_as(DataFormat::Kind kind, const std::string& data_path,
                                const std::string& split, const std::string& data_root,
                                const DataFormat& format) {
  const fs::path path = data_path;
  switch (kind) {
    case DataFormat::automatic:
    case DataFormat::folder:
      return open_folder_of(path, split);
    case DataFormat::list:
      return open_list_of(path, split, data_root, format);
    case DataFormat::idx:
      return open_idx_of(path, split);
    case DataFormat::tar:
      return open_tars_of(data_path, split, format);
    case DataFormat::table:
      return open_tables_of(data_path, split, data_root, format);
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

}  // namespace

std::unique_ptr<Source> open_source(const std::string& data_path, const std::string& split,
                                    const std::string& data_root, DataFormat format) {
  names_of_split(split);  // an unknown split is an error of usage, whatever is there
  check(!data_path.empty(), ExitCode::usage, "no data set given; use --data_path FOLDER");
  check(data_path.find("://") == std::string::npos && !data_path.starts_with("pipe:"),
        ExitCode::data, data_path, " is not on this machine; download it and give its path");
  std::error_code ignored;
  check(is_pattern(data_path) || fs::exists(data_path, ignored) || is_card_config(data_path),
        ExitCode::data, "there is no ", data_path,
        "; give an existing folder of images, list file, archive or packed data set");
  const DataFormat::Kind kind =
      format.kind == DataFormat::automatic ? recognise(data_path, split, format) : format.kind;
  check((format.image_key.empty() && format.label_key.empty()) || kind == DataFormat::tar ||
            kind == DataFormat::list || kind == DataFormat::table,
        ExitCode::usage, format.image_key.empty() ? "--label_key" : "--image_key",
        " is for .tar shards, for lists with a header line and for Parquet, and ", data_path,
        " is none of these");
  auto source = open_as(kind, data_path, split, data_root, format);
  if (format.stored.pages == Pages::images) source = open_pages(std::move(source));
  source->choose_values(format);
  if (const std::string text = describe(source->left_out(), LeftOut::Weight::told); !text.empty())
    warn("left out of ", data_path, ": ", text, "; sgmae data stats lists all");
  return source;
}

std::unique_ptr<Source> open_files(std::vector<std::string> files, const DataFormat& format) {
  Labels unlabelled{std::vector<std::int64_t>(files.size(), -1), {}};
  auto source = std::make_unique<FileSource>(std::filesystem::path(), std::move(files),
                                             std::move(unlabelled));
  source->choose_values(format);
  return source;
}

}  // namespace sgmae
