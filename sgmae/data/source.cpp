#include "sgmae/data/source.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/pack.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/split.h"
#include "sgmae/image/codecs.h"

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
  if (!is_folder(path) && split == "train") {
    check(!has_image_extension(path.string()) && !has_array_extension(path.string()),
          ExitCode::data, path.string(),
          " is a single image; give the folder that holds the images");
    return open_list(path, data_root, format);
  }
  const fs::path folder = is_folder(path) ? path : path.parent_path();
  std::optional<fs::path> list;
  // Beside a list, one of the same kind.
  if (!is_folder(path)) list = file_of_split(folder, split, path.extension().string());
  if (!list) list = find_list(folder, split, format);
  check(list && *list != path, ExitCode::data, "there is no list for '", split, "' ",
        is_folder(path) ? "in " : "beside ", path.string(), "; expected ", split, ".txt");
  info("data: reading the images of ", list->string());
  return open_list(*list, data_root, format);
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
  return open_tars(shards.paths, split, format);
}

std::unique_ptr<Source> open_tables_of(const std::string& path, const std::string& split,
                                       const std::string& data_root, const DataFormat& format) {
  const Shards shards = find_tables(path, split);
  check(!shards.paths.empty(), ExitCode::data, "there is no .parquet or .arrow file for '", split,
        "' at ", path, "; its name or its folder must contain the word ", split);
  say_which(shards, path, split, ".parquet or .arrow");
  return open_tables(shards.paths, data_root, format);
}

// What `find` finds in the folder `path`, or else `path` itself.
template <class Find>
fs::path found_in(const fs::path& path, const Find& find, const char* what) {
  if (!is_folder(path)) return path;
  const std::optional<fs::path> found = find(path);
  check(found.has_value(), ExitCode::data, "there is no ", what, " in ", path.string());
  return *found;
}

}  // namespace

ImageView decode(const OpenedImage& opened, const CropBox& region, int channels, Image& buffer) {
  check(!opened.array, ExitCode::data,
        "a NumPy array, which 8-bit pixels cannot stand for; keep the images' values with --values "
        "stored");
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

void decode_bands(const OpenedImage& opened, const CropBox& region, int channels, Bands& bands) {
  SGMAE_ASSERT(opened.raw.data == nullptr);
  if (!opened.array) return decode_bands(opened.bytes, opened.info, region, channels, bands);
  check(opened.array->channels == channels, ExitCode::data, "the array has ",
        opened.array->channels, " channels, where ", channels,
        " are expected; if its axes lie otherwise, say how: --array_axes hwc or chw");
  decode_array(opened.bytes, *opened.array, region, bands);
}

void Source::read_info(OpenedImage& opened) const {
  opened.array.reset();
  const StoredValues reading = stored_.value_or(StoredValues{});
  if (is_npz(opened.bytes)) opened.bytes = npy_of_npz(opened.bytes);
  if (is_npy(opened.bytes)) {
    opened.array = read_array_info(opened.bytes, reading.axes);
    opened.size = opened.array->size;
    return;
  }
  opened.info = read_image_info(opened.bytes, reading.pages == Pages::channels ? all_pages : 0);
  opened.size = opened.info.size;
}

// With what its options say in text.
StoredValues stored_values_of(const DataFormat& format) {
  StoredValues stored = format.stored;
  const auto nodata = numbers_of<double>(format.nodata, "nodata");
  check(nodata.size() <= 1, ExitCode::usage, "nodata is '", format.nodata, "'; give one number");
  if (!nodata.empty()) stored.nodata = nodata.front();
  const auto picture = numbers_of<int>(format.picture_bands, "picture_bands");
  check(picture.empty() || picture.size() == 1 || picture.size() == 3, ExitCode::usage,
        "picture_bands is '", format.picture_bands,
        "'; name three channels, counted from 1, for red, green and blue, or one for grey");
  if (!picture.empty()) stored.picture = picture;
  return stored;
}

void Source::choose_values(const DataFormat& format) {
  const StoredValues reading = stored_values_of(format);
  if (format.values == DataFormat::eight_bit) return;
  // The first image speaks for all, unless it asks for values as stored: then most of some do.
  constexpr std::int64_t most_asked = 9;
  const std::int64_t some = std::min(size(), most_asked);
  OpenedImage opened;
  std::int64_t read = 0, asking = 0;
  std::string reason;
  stored_ = reading;
  for (std::int64_t i = 0; i < some; ++i) {
    try {
      open(i * size() / some, opened);
    } catch (const Error& error) {
      reason = str(name(i * size() / some), ": ", error.what());
      continue;
    }
    if (opened.raw.data != nullptr) break;
    const bool asks = opened.array || !opened.info.eight_bit;
    if (format.values == DataFormat::as_stored || asks) {
      const int channels = opened.array ? opened.array->channels : opened.info.channels;
      if (stored_channels_ == 0) stored_channels_ = channels;
    }
    ++read;
    asking += asks;
    if (format.values == DataFormat::as_stored || asking == 0) break;
  }
  const bool as_stored = format.values == DataFormat::as_stored;
  check(!as_stored || opened.raw.data == nullptr, ExitCode::usage,
        "--values stored is for image files, and this data set holds 8-bit pixels as they are; "
        "leave it out");
  check(!as_stored || read > 0, ExitCode::data,
        size() == 1 ? "cannot read " : "none of some images can be read, e.g. ", reason);
  if (!as_stored && 2 * asking <= read) {
    stored_.reset();
    stored_channels_ = 0;
    return;
  }
  for (const int channel : stored_->picture)
    check(channel >= 1 && channel <= stored_channels_, ExitCode::usage, "picture_bands names ",
          channel, ", but the images have channels 1 to ", stored_channels_);
  if (!as_stored)
    info("data: images of ", stored_channels_, stored_channels_ == 1 ? " channel" : " channels",
         " that are not 8-bit grey or colour; their values are kept as stored");
}

DataFormat DataFormat::read_as(const Normalisation& trained) const {
  DataFormat same = *this;
  if (!trained.stored) return same;
  same.values = as_stored;
  same.stored = *trained.stored;
  // Also as text, which goes first, and into files.
  same.nodata = same.picture_bands = "";
  if (same.stored.nodata) same.nodata = nlohmann::json(*same.stored.nodata).dump();
  for (const int band : same.stored.picture)
    same.picture_bands += str(same.picture_bands.empty() ? "" : ",", band);
  return same;
}

void Source::use_classes(const std::vector<std::string>& training) {
  std::map<std::string, std::int64_t> ids;
  for (std::size_t i = 0; i < training.size(); ++i)
    ids.emplace(training[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> new_id;
  for (const std::string& class_name : class_names_) {
    const auto found = ids.find(class_name);
    check(found != ids.end(), ExitCode::data, "the evaluation images have a class '", class_name,
          "' that the training images lack");
    new_id.push_back(found->second);
  }
  for (std::int64_t& label : labels_)
    if (label >= 0) label = new_id[static_cast<std::size_t>(label)];
  class_names_ = training;
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
      .add("data_format", format.kind,
           {{"auto", DataFormat::automatic},
            {"imagefolder", DataFormat::folder},
            {"list", DataFormat::list},
            {"idx", DataFormat::idx},
            {"webdataset", DataFormat::tar},
            {"ilsvrc", DataFormat::tar},
            {"parquet", DataFormat::table},
            {"arrow", DataFormat::table},
            {"cifar", DataFormat::cifar},
            {"cub", DataFormat::cub},
            {"inaturalist", DataFormat::inaturalist},
            {"pack", DataFormat::pack}},
           "format of data_path; auto: recognised by its files")
      .may_change_on_resume();
  options.add("image_key", format.image_key,
              "which file of a sample in .tar shards is the image, e.g. jpg or left.png, or which "
              "column of a list or of Parquet; empty: docs/data.md has the rule");
  options.add("label_key", format.label_key,
              "which file of a sample, or entry of its .json, is the label, or which column of a "
              "list or of Parquet");
  options.add(
      "values", format.values,
      {{"auto", DataFormat::by_images},
       {"8bit", DataFormat::eight_bit},
       {"stored", DataFormat::as_stored}},
      "pixels of 8 bits with 1 or 3 channels, or values as stored, of any number of channels "
      "and any range; auto: stored where images cannot be the former (docs/channels.md)");
  options.add("pages", format.stored.pages,
              {{"first", Pages::first}, {"channels", Pages::channels}, {"images", Pages::images}},
              "pages of a TIFF: the first is the image, all are its channels, or each is an image");
  options.add("array_axes", format.stored.axes,
              {{"auto", ArrayAxes::automatic}, {"hwc", ArrayAxes::hwc}, {"chw", ArrayAxes::chw}},
              "axes of NumPy arrays; auto: the one that differs from two equal ones is the "
              "channels', else the shorter of the first and the last");
  options.add("nodata", format.nodata,
              "stored value that stands for 'not measured', e.g. 0 or -9999; NaN always does");
  options
      .add("picture_bands", format.picture_bands,
           "channels that pictures show as red, green and blue, e.g. 4,3,2; empty: the first "
           "three, or the first as grey")
      .may_change_on_resume();
}

namespace {

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
  check(is_pattern(data_path) || fs::exists(data_path, ignored), ExitCode::data, "there is no ",
        data_path, "; give an existing folder of images, list file, archive or packed data set");
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
