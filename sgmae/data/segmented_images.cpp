#include "sgmae/data/segmented_images.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/segmented_formats.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Weight = LeftOut::Weight;

constexpr auto layouts =
    "expected ADE20K (ADEChallengeData2016/), Cityscapes (leftImg8bit/ and gtFine/), Pascal VOC "
    "(VOC2012/ with SegmentationClass/), COCO-Stuff (images/train2017/ and annotations/ or "
    "stuffthingmaps/), or images/ beside labels/, annotations/, masks/ or semantic/ with PNGs of "
    "the same names";

constexpr std::int64_t most_classes = 255;

std::string said(ImageSize size) {
  return str(size.width, "x", size.height);
}

// As the file's beginning says it, without an orientation that a PNG may have at its end; 0 where
// it cannot be read.
ImageSize size_at_the_beginning(const fs::path& path) {
  try {
    constexpr std::uint64_t beginning = 1 << 16;
    const RandomAccessFile file(path);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::min(file.size(), beginning)));
    file.read(0, bytes);
    return read_image_info(bytes).size;
  } catch (const Error&) {
    return {};
  }
}

// Files whose values a table turns into classes.
class StoredLabels : public SegmentedImages {
 public:
  StoredLabels(LabelledFiles found, const std::string& where);

  void read_labels(std::int64_t image, LabelMap& map) const override;

 private:
  [[noreturn]] void fail_above(const std::string& file, int value) const;

  std::vector<ImageSize> sizes_;  // 0 of images that cannot be read
};

StoredLabels::StoredLabels(LabelledFiles found, const std::string& where) {
  format_ = found.format;
  class_names_ = told_apart(std::move(found.class_names));
  named_ = found.named;
  class_of_ = found.class_of;
  left_out_ = std::move(found.left_out);
  struct Sizes {
    ImageSize image, labels;
  };
  std::vector<Sizes> sizes(found.files.size());
  // A network disk answers slowly, and many questions at once.
  constexpr std::int64_t share = 64, threads = 16;
  in_parallel(static_cast<std::int64_t>(sizes.size()), share, threads, [&] {
    return [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        const LabelledFile& file = found.files[i];
        sizes[i] = {size_at_the_beginning(file.image), size_at_the_beginning(file.labels)};
        if (sizes[i].image != sizes[i].labels)
          sizes[i] = {upright_size_of(file.image), upright_size_of(file.labels)};
      }
    };
  });
  std::vector<std::string> paths;
  std::string why;  // of the last one
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto& [image, labels] = sizes[i];
    const std::string name = found.files[i].image.string();
    if (image != ImageSize{} && labels != ImageSize{} && image != labels) {
      const bool turned = image.width == labels.height && image.height == labels.width;
      why = str(name, " is ", said(image), ", its labels are ", said(labels),
                turned ? ", as if its EXIF orientation did not count" : "");
      add_left_out(left_out_, "labels of another size than their image", Weight::lost, why);
      continue;
    }
    paths.push_back(name);
    label_files_.push_back(found.files[i].labels.string());
    sizes_.push_back(image);
  }
  check(!paths.empty(), ExitCode::data, where, " has no image whose labels can be used",
        why.empty() ? "" : str(", e.g. ", why));
  Labels unlabelled{std::vector<std::int64_t>(paths.size(), -1), {}};
  images_ = std::make_unique<FileSource>(fs::path(), std::move(paths), std::move(unlabelled));
}

void StoredLabels::read_labels(std::int64_t image, LabelMap& map) const {
  const std::string& file = label_file(image);
  try {
    read_label_map(read_file(file, ExitCode::data, max_image_bytes), map);
  } catch (const Error& error) {
    const std::string why = error.what();
    if (why.find(file) != std::string::npos) throw;
    fail(error.code(), "cannot read ", file, ": ", why);
  }
  const ImageSize size = sizes_[static_cast<std::size_t>(image)];
  check(size == ImageSize{} || size == map.size, ExitCode::data, file, " is ", said(map.size),
        ", but its image is ", said(size), "; each pixel of the image needs a label");
  int above = no_class;
  for (std::uint8_t& value : map.labels) {
    const std::int16_t number = class_of_[value];
    if (number == no_class) above = std::max<int>(above, value);
    value = static_cast<std::uint8_t>(number);
  }
  if (above != no_class) fail_above(file, above);
}

void StoredLabels::fail_above(const std::string& file, int value) const {
  int first = 256, last = 0;
  for (int v = 0; v < 256; ++v)
    if (class_of_[static_cast<std::size_t>(v)] != no_class &&
        class_of_[static_cast<std::size_t>(v)] != unlabelled_pixel) {
      first = std::min(first, v);
      last = v;
    }
  fail(ExitCode::data, file, " has pixels of value ", value, ", but the ", classes(),
       " classes have the values ", first, " to ", last, "; give --classes, or --ignore ", value,
       " if that value means nothing",
       format_ == std::string(folders_format) ? "" : " (both with --label_format folders)");
}

SegmentedFormat recognise(const fs::path& path, const std::string& split) {
  if (find_ade20k(path, split)) return SegmentedFormat::ade20k;
  if (find_cityscapes(path, split)) return SegmentedFormat::cityscapes;
  if (find_voc_segmentation(path)) return SegmentedFormat::voc;
  if (find_coco_stuff(path, split)) return SegmentedFormat::coco_stuff;
  if (find_label_folders(path, split)) return SegmentedFormat::folders;
  return SegmentedFormat::automatic;
}

LabelledFiles list_files(SegmentedFormat format, const std::string& path, const std::string& split,
                         const LabelCoding& coding) {
  const auto needs = [&](bool there, const char* what) {
    check(there, ExitCode::data, "there is no part '", split, "' of ", what, " in ", path);
  };
  switch (format) {
    case SegmentedFormat::automatic:
      break;
    case SegmentedFormat::ade20k: {
      const auto folder = find_ade20k(path, split);
      needs(folder.has_value(), "ADE20K (images/training/, annotations/training/ …)");
      return list_ade20k(*folder, split);
    }
    case SegmentedFormat::cityscapes:
      needs(find_cityscapes(path, split), "Cityscapes (leftImg8bit/train/, gtFine/train/ …)");
      return list_cityscapes(path, split);
    case SegmentedFormat::voc: {
      const auto folder = find_voc_segmentation(path);
      needs(folder.has_value(), "Pascal VOC (JPEGImages/, SegmentationClass/)");
      return list_voc_segmentation(*folder, split);
    }
    case SegmentedFormat::coco_stuff: {
      const auto folders = find_coco_stuff(path, split);
      needs(folders.has_value(), "COCO-Stuff (images/train2017/, annotations/train2017/ …)");
      return list_coco_stuff(path, *folders);
    }
    case SegmentedFormat::folders: {
      const auto folders = find_label_folders(path, split);
      needs(folders.has_value(),
            "images/ with PNGs of the same names in labels/, annotations/, "
            "masks/ or semantic/");
      return list_label_folders(path, *folders, coding);
    }
  }
  fail(ExitCode::data, "there are no images with label maps for '", split, "' in ", path, "; ",
       layouts);
}

// Whether there is anything to learn: by a look at some images, evenly from all.
void check_for_classes(const SegmentedImages& data, const std::string& where) {
  constexpr std::int64_t most = 64;
  const std::int64_t images = data.images().size(), count = std::min(most, images);
  std::set<std::uint8_t> seen;
  LabelMap map;
  std::int64_t read = 0;
  for (std::int64_t i = 0; i < count && seen.size() < 2; ++i) {
    try {
      data.read_labels(i * images / count, map);
      ++read;
    } catch (const Error&) {  // the loader will say why
      continue;
    }
    for (const std::uint8_t label : map.labels)
      if (label != unlabelled_pixel) seen.insert(label);
  }
  const bool all = read == images;
  check(read == 0 || !seen.empty(), ExitCode::data, "in ", all ? "all " : "", read,
        " label maps of ", where, " that were looked at no pixel has a class, e.g. ",
        data.label_file(0), "; sgmae data stats counts the values");
  check(!all || seen.size() > 1, ExitCode::data, "all labelled pixels of ", where,
        " are of one class, e.g. in ", data.label_file(0), "; there is nothing to tell apart");
}

}  // namespace

ClassOfValue classes_from(int first, std::int64_t classes, const std::vector<int>& ignored) {
  ClassOfValue class_of;
  class_of.fill(no_class);
  for (int c = 0; c < classes && first + c < 256; ++c)
    class_of[static_cast<std::size_t>(first + c)] = static_cast<std::int16_t>(c);
  for (const int value : ignored) class_of[static_cast<std::size_t>(value)] = unlabelled_pixel;
  return class_of;
}

LabelledFiles pair_files(const FolderPair& folders, const std::string& image_end,
                         const std::string& label_end) {
  LabelledFiles found;
  // What a file is called below its folder, without its ending, is its key.
  using Files = std::map<std::string, fs::path>;
  const auto collect = [&](const fs::path& root, const std::string& end, bool labels) {
    Files files;
    constexpr int deepest = 16;  // links may lead in circles
    const auto walk = [&](const auto& self, const fs::path& folder, const std::string& prefix,
                          int depth) -> void {
      for (const auto& [name, is_a_folder] : list_folder(folder)) {
        if (is_a_folder && depth < deepest)
          self(self, folder / name, prefix + name + "/", depth + 1);
        if (is_a_folder) continue;
        std::string stem = fs::path(name).stem().string();
        if (!stem.ends_with(end)) continue;
        if (labels ? extension_of(name) != "png" : !has_image_extension(name)) {
          if (end.empty()) add_other_file(found.left_out, (folder / name).string());
          continue;
        }
        stem.erase(stem.size() - end.size());
        if (!files.emplace(prefix + stem, folder / name).second)
          add_left_out(found.left_out, "images of one name and several types", Weight::lost,
                       (folder / name).string());
      }
    };
    walk(walk, root, "", 0);
    return files;
  };
  Files images = collect(folders.images, image_end, false);
  Files labels = collect(folders.labels, label_end, true);
  for (auto& [key, image] : images) {
    const auto label = labels.find(key);
    if (label == labels.end()) {
      add_left_out(found.left_out, "images without labels", Weight::lost, image.string());
      continue;
    }
    found.files.push_back({std::move(image), std::move(label->second)});
    labels.erase(label);
  }
  for (const auto& [key, label] : labels)
    add_left_out(found.left_out, "labels without an image", Weight::lost, label.string());
  check(!found.files.empty(), ExitCode::data, "no image in ", folders.images.string(),
        " has a PNG of its name in ", folders.labels.string(),
        images.empty()
            ? "; there is no image"
            : str(", e.g. ", (folders.labels / images.begin()->first).string(), label_end, ".png"));
  return found;
}

std::vector<std::string> made_up_names(const ClassOfValue& class_of) {
  std::map<std::int16_t, std::string> names;
  for (std::size_t value = 0; value < class_of.size(); ++value)
    if (class_of[value] != no_class && class_of[value] != unlabelled_pixel)
      names.emplace(class_of[value], str("class ", value));
  std::vector<std::string> list;
  for (auto& [number, name] : names) list.push_back(std::move(name));
  return list;
}

void SegmentedImages::use_classes(const std::vector<std::string>& training) {
  if (class_names_ == training) return;
  check(class_names_.size() == training.size(), ExitCode::data, "the evaluation images have ",
        class_names_.size(), " classes, the training images ", training.size());
  if (named_)
    for (std::size_t i = 0; i < training.size(); ++i)
      check(class_names_[i] == training[i], ExitCode::data, "class ", i,
            " of the evaluation images is '", class_names_[i], "', of the training images '",
            training[i], "'");
  class_names_ = training;
}

bool holds_segmented(const std::string& path, const std::string& split) {
  names_of_split(split);
  return is_folder(path) && recognise(path, split) != SegmentedFormat::automatic;
}

std::unique_ptr<SegmentedImages> open_segmented(const std::string& path, const std::string& split,
                                                SegmentedFormat format, const LabelCoding& coding) {
  names_of_split(split);  // an unknown split is an error of usage, whatever is there
  check_label_coding(coding);
  check(!path.empty(), ExitCode::usage, "no data set given; use --data_path FOLDER");
  check(is_folder(path), ExitCode::data,
        is_file(path) ? path + " is a file and no folder" : "there is no folder " + path, "; ",
        layouts);
  if (format == SegmentedFormat::automatic) format = recognise(path, split);
  auto found = list_files(format, path, split, coding);
  const bool own = format == SegmentedFormat::folders;
  const auto count = static_cast<std::int64_t>(found.class_names.size());
  check(own || coding == LabelCoding{} || coding == LabelCoding{.classes = count}, ExitCode::usage,
        path, " is laid out as ", found.format,
        ", whose labels are known; leave out --classes, --ignore and --reduce_zero_label, or give "
        "--label_format folders");
  auto data = std::make_unique<StoredLabels>(std::move(found), path);
  info("data: ", counted(data->images().size(), "image"), " with label maps (", data->format(),
       ") for '", split, "' in ", path, ", ", counted(data->classes(), "class", "classes"));
  if (const std::string text = describe(data->left_out(), Weight::told); !text.empty())
    warn("left out of ", path, ": ", text, "; sgmae data stats lists all");
  return data;
}

void declare_segmented_format(Options& options, SegmentedFormat& format) {
  options
      .add("label_format", format,
           {{"auto", SegmentedFormat::automatic},
            {"ade20k", SegmentedFormat::ade20k},
            {"cityscapes", SegmentedFormat::cityscapes},
            {"voc", SegmentedFormat::voc},
            {"coco_stuff", SegmentedFormat::coco_stuff},
            {"folders", SegmentedFormat::folders}},
           "layout of images with label maps; auto: recognised by their folders")
      .may_change_on_resume();
}

void declare_label_coding(Options& o, LabelCoding& coding) {
  o.add("classes", coding.classes,
        "of label PNGs in plain folders: how many classes; 0: as many as the values that occur "
        "need");
  o.add("ignore", coding.ignore, "likewise: value of pixels that count nowhere; -1: there is none");
  o.add("reduce_zero_label", coding.reduce_zero_label,
        "likewise: 0 counts nowhere and 1 is the first class");
}

void check_label_coding(const LabelCoding& coding) {
  check(coding.classes == 0 || (coding.classes >= 2 && coding.classes <= most_classes),
        ExitCode::usage, "classes must be 2 to ", most_classes,
        ", or 0 for as many as there are, but is ", coding.classes);
  check(coding.ignore >= -1 && coding.ignore <= 255, ExitCode::usage,
        "ignore must be a value from 0 to 255, or -1 for none, but is ", coding.ignore);
}

void SegmentedData::declare(Options& o) {
  o.section("data");
  o.add("data_path", data_path,
        "images with label maps: a folder in the layout of ADE20K, Cityscapes, Pascal VOC or "
        "COCO-Stuff, or with images/ and labels/")
      .may_change_on_resume();
  declare_segmented_format(o, label_format);
  declare_label_coding(o, coding);
  o.add("test_path", test_path,
        "images with label maps to test on, where they are not a part of data_path")
      .may_change_on_resume();
  o.add("train_split", train_split, "split to train on: train, val or test");
  o.add("test_split", test_split, "split to test on");
  o.add("num_workers", num_workers, "threads that decode images; 0: decode in the main thread")
      .may_change_on_resume();
}

void SegmentedData::check() const {
  sgmae::check(!data_path.empty(), ExitCode::usage,
               "name images with label maps with --data_path; ", layouts);
  sgmae::check(num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
               num_workers);
  check_label_coding(coding);
  names_of_split(train_split);
  names_of_split(test_split);
}

std::unique_ptr<SegmentedImages> SegmentedData::open_training_part() const {
  auto data = open_segmented(data_path, train_split, label_format, coding);
  check_for_classes(*data, data_path);
  return data;
}

std::unique_ptr<SegmentedImages> SegmentedData::open_test_part(
    const std::vector<std::string>& class_names) const {
  LabelCoding same = coding;
  if (same.classes == 0) same.classes = static_cast<std::int64_t>(class_names.size());
  auto data =
      open_segmented(test_path.empty() ? data_path : test_path, test_split, label_format, same);
  if (!class_names.empty()) data->use_classes(class_names);
  return data;
}

}  // namespace sgmae
