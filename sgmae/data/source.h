// Where images come from: folders, archives, packed files. A source knows names and labels and
// opens single images; it decodes nothing until asked and is safe to use from several threads.
//
//   auto source = open_source("/data/flowers");
//   OpenedImage opened;
//   source->open(0, opened);
//   Image image;
//   ImageView pixels = decode(opened, whole(opened.size), 3, image);
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/data/array_image.h"
#include "sgmae/image/decode.h"
#include "sgmae/image/image.h"

namespace sgmae {

// An image whose size is known and whose pixels are not yet decoded.
struct OpenedImage {
  ImageSize size;
  ImageView raw;                    // pixels, where the source has them undecoded (IDX); else empty
  std::vector<std::uint8_t> bytes;  // else the encoded file
  ImageInfo info;
  std::optional<ArrayInfo> array;  // of `bytes`, where they are a NumPy array; `info` then is not
  std::optional<double> nodata;    // of this image, where none holds for the whole source
};

// The pixels of `region` with 1 or 3 channels; they lie in `buffer` or in the source itself.
// Throws Error(data), without the image's name, when they cannot be read.
ImageView decode(const OpenedImage& opened, const CropBox& region, int channels, Image& buffer);

// The same with the values as stored; NaN where the image's own value for no data stands.
void decode_bands(const OpenedImage& opened, const CropBox& region, int channels, Bands& bands);

// What was found and is not among a source's images, by reason.
struct LeftOut {
  enum class Weight : std::uint8_t {
    by_rule,  // no image at all, or left out as docs/data.md says
    told,     // an image or a name that one may have wanted
    lost      // an image or a label that was meant to count
  };
  std::string reason;
  Weight weight = Weight::by_rule;
  std::int64_t count = 0;
  std::string example;  // the first one

  bool operator==(const LeftOut&) const = default;
};

// "REASON: COUNT (e.g. EXAMPLE); …" of what weighs at least so much; "" where nothing does.
std::string describe(const std::vector<LeftOut>& left_out, LeftOut::Weight least);

struct DataFormat;

class Source {
 public:
  virtual ~Source() = default;
  virtual std::int64_t size() const = 0;
  virtual std::string name(std::int64_t index) const = 0;  // for messages: a path, or file#number
  // 1: all grey, 3: perhaps in colour; of values as stored the number of the first image.
  int native_channels() const { return stored_channels_ ? stored_channels_ : colour_channels(); }
  // How values as stored are read; none where images are 8-bit pixels.
  const std::optional<StoredValues>& stored_values() const { return stored_; }
  // Throws Error(data), without the image's name, when the image cannot be read.
  virtual void open(std::int64_t index, OpenedImage& opened) const = 0;

  // Tells data sets apart: a hash of all images' names and sizes, in order. A name counts from the
  // folder on that is common to all, so that a data set keeps its digest where it is moved or given
  // by another path. Labels do not count. Files are not read: each is asked for its size, when the
  // digest is first asked for; safe to use from several threads.
  std::uint64_t digest() const;

  std::int64_t label(std::int64_t index) const { return labels_[static_cast<std::size_t>(index)]; }
  const std::vector<std::int64_t>& labels() const { return labels_; }  // -1: unlabelled
  // Names of the classes that labels count, in their order; empty where nothing is labelled.
  const std::vector<std::string>& class_names() const { return class_names_; }

  const std::vector<LeftOut>& left_out() const { return left_out_; }

  // Renumbers the labels of an evaluation set by the training set's class names. Throws Error(data)
  // for a class that is not among them.
  void use_classes_of(const Source& training) { use_classes(training.class_names_); }
  void use_classes(const std::vector<std::string>& training);

  // As `format` says or, where it leaves that open, as the images ask for: values as stored where
  // most of some cannot be 8-bit grey or colour, which is said. Throws Error: data where none of
  // some can be read, usage for values that do not fit.
  void choose_values(const DataFormat& format);

 protected:
  virtual int colour_channels() const = 0;
  // What `opened.bytes` are. An array in a .npz is unpacked.
  void read_info(OpenedImage& opened) const;
  // By the tag of the image, where values are kept as stored and --nodata is not given.
  void read_nodata(OpenedImage& opened) const;
  // What is cheap to know of an image's contents: its file's size in bytes (-1 where there is no
  // file) and its checksum where that is stored; of raw pixels their hash.
  virtual std::int64_t content_mark(std::int64_t index) const = 0;
  // That of another source, for one that stands in for it.
  static std::int64_t content_mark_of(const Source& other, std::int64_t index) {
    return other.content_mark(index);
  }

  std::vector<std::int64_t> labels_;
  std::vector<std::string> class_names_;
  std::vector<LeftOut> left_out_;

 private:
  std::optional<StoredValues> stored_;
  int stored_channels_ = 0;
  mutable std::once_flag digested_;
  mutable std::uint64_t digest_ = 0;
};

// What lies at a path, and which of its files or columns count where there are several.
struct DataFormat {
  enum Kind { automatic, folder, list, idx, tar, table, cifar, cub, inaturalist, pack };
  Kind kind = automatic;
  // In a sample of a .tar: the file that is the image (`jpg`, `left.png`), and the file or the
  // entry of its .json that is the label; in a list with a header line and in Parquet: columns.
  // Several names, separated by semicolons, stand for the first that is there. "": docs/data.md has
  // the rule.
  std::string image_key, label_key;
  // Pixels of 8 bits, 1 or 3 channels, or values as stored (docs/channels.md).
  enum Values { by_images, eight_bit, as_stored };
  Values values = by_images;
  StoredValues stored;
  std::string nodata, picture_bands;  // of it, as text: a number; one or three with commas

  DataFormat(Kind k = automatic) : kind(k) {}  // NOLINT: a kind is a format
  // The same, read as the images were that a model was trained on.
  DataFormat read_as(const Normalisation& trained) const;
  // The same keys for a file whose kind shows by itself.
  DataFormat keys() const {
    DataFormat same = *this;
    same.kind = automatic;
    return same;
  }
  bool operator==(const DataFormat&) const = default;
};

// --data_format, --image_key, --label_key, --values and what says how values as stored are read.
// Declared here once: several commands have them.
void declare_data_format(Options& options, DataFormat& format);

// Opens what lies at `data_path`; docs/data.md describes each kind. `automatic` tells them apart by
// their names:
// - a packed data set, .sgpack: what `sgmae data pack` wrote, or a folder that holds train.sgpack.
// - tar: WebDataset shards (a folder of .tar files or a pattern name-{0000..0012}.tar), ILSVRC's
//   tar of tars, any .tar of images. Read in place through an index (tar_source.cpp).
// - tables: Parquet and Arrow shards of the Hugging Face hub (a folder, a file or a pattern), read
//   in place through an index too (table_source.cpp).
// - CIFAR-10 and CIFAR-100, binary or Python files: their folder, the folder above or the .tar.gz.
// - CUB-200-2011: its folder or the one above.
// - iNaturalist: a JSON file that gives images one category each, or the folder of train2019.json.
// - a folder with a list file `split`.txt, or the list file itself (list_file.h). Without labels
// the
//   class is the folder named in the path. Paths are relative to `data_root`; if that is empty, to
//   the list's folder, `images/` in it, or the folder of the list's name (train/ for train.txt).
// - IDX: a folder with train-images-idx3-ubyte (and t10k-…), or that file itself, plain or .gz,
//   labels beside it.
// - a folder of images (file_type.h), nested or flat. Its sub-folder `split` is used where there is
//   one (split.h). The class is the first folder below that, numbered in sorted order; images
//   beside the class folders, or in a flat folder, have label -1.
// `split` is "train", "val" or "test"; "val" and "test" stand in for each other where only one
// exists. A data set that has no separate evaluation part fails for "val" and "test"; one that has
// only that fails for "train".
// Says in one line which of several parts is read, and in one what is left out that may be missed.
// Throws Error(data) when nothing is there or it holds no image.
std::unique_ptr<Source> open_source(const std::string& data_path,
                                    const std::string& split = "train",
                                    const std::string& data_root = "", DataFormat format = {});

// How far the folders of all images' names agree: the length of "common/folder/".
std::size_t common_folder(const Source& source);

// Image files by name, without labels.
std::unique_ptr<Source> open_files(std::vector<std::string> files, const DataFormat& format = {});

}  // namespace sgmae
