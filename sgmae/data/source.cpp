#include "sgmae/data/source.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/parallel.h"
#include "sgmae/image/codecs.h"

namespace sgmae {

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
  if (!opened.array) {
    decode_bands(opened.bytes, opened.info, region, channels, bands);
    if (opened.nodata)
      std::replace(bands.values.begin(), bands.values.end(), static_cast<float>(*opened.nodata),
                   std::nanf(""));
    return;
  }
  check(opened.array->channels == channels, ExitCode::data, "the array has ",
        opened.array->channels, " channels, where ", channels,
        " are expected; if its axes lie otherwise, say how: --array_axes hwc or chw");
  decode_array(opened.bytes, *opened.array, region, bands);
}

void Source::read_info(OpenedImage& opened) const {
  opened.array.reset();
  opened.nodata.reset();
  const StoredValues reading = stored_.value_or(StoredValues{});
  if (is_npz(opened.bytes)) opened.bytes = npy_of_npz(opened.bytes);
  if (is_npy(opened.bytes)) {
    opened.array = read_array_info(opened.bytes, reading.axes);
    opened.size = opened.array->size;
    return;
  }
  opened.info = read_image_info(opened.bytes, reading.pages == Pages::channels ? all_pages : 0);
  opened.size = opened.info.size;
  read_nodata(opened);
}

void Source::read_nodata(OpenedImage& opened) const {
  if (stored_ && !stored_->nodata) opened.nodata = nodata_tag(opened.bytes, opened.info);
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
  std::set<double> tags;  // of no data
  stored_ = reading;
  for (std::int64_t i = 0; i < some; ++i) {
    try {
      open(i * size() / some, opened);
    } catch (const Error& error) {
      reason = str(name(i * size() / some), ": ", error.what());
      continue;
    }
    if (opened.raw.data != nullptr) break;
    if (opened.nodata) tags.insert(*opened.nodata);
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
    info("data: images of ", counted(stored_channels_, "channel"),
         " that are not 8-bit grey or colour; their values are kept as stored");
  if (!tags.empty()) {
    std::string numbers;
    for (const double tag : tags) numbers += str(numbers.empty() ? "" : ", ", tag);
    info("data: no data is what GDAL's tag in each image says (", numbers,
         "); --nodata overrules it");
  }
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
  options.add(
      "nodata", format.nodata,
      "stored value that stands for 'not measured', e.g. 0 or -9999; NaN always does. Empty: "
      "what GDAL's tag in each TIFF says");
  options
      .add("picture_bands", format.picture_bands,
           "channels that pictures show as red, green and blue, e.g. 4,3,2; empty: the first "
           "three, or the first as grey")
      .may_change_on_resume();
}

}  // namespace sgmae
