// Images whose every pixel has a class: ADE20K, Cityscapes, Pascal VOC, COCO-Stuff, and any pair of
// folders of images and label PNGs; docs/data.md describes each.
//
//   const auto data = open_segmented("/data/ADEChallengeData2016", "train");
//   LoaderOptions options;
//   options.labels = data.get();
//   Loader loader(data->images(), options);  // batches with Batch::labels
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/data/source.h"
#include "sgmae/image/label_map.h"

namespace sgmae {

// What the values of label PNGs mean, where the layout does not say it.
struct LabelCoding {
  std::int64_t classes = 0;        // 0: as many as the values that occur need
  std::int64_t ignore = 255;       // value of pixels that count nowhere; -1: there is none
  bool reduce_zero_label = false;  // 0 is "other" and counts nowhere; 1 is the first class

  bool operator==(const LabelCoding&) const = default;
};

class SegmentedImages {
 public:
  virtual ~SegmentedImages() = default;

  const Source& images() const { return *images_; }  // unlabelled
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }
  const std::vector<std::string>& class_names() const { return class_names_; }
  const char* format() const { return format_; }  // "ADE20K", "Cityscapes" …
  const std::vector<LeftOut>& left_out() const { return left_out_; }

  // Of the image at a position of images(), upright and of its size. `map` is overwritten, its
  // memory used again. Safe to use from several threads. Throws Error(data), naming the file, for
  // labels that are damaged, of another size, in colour, of 16 bits, or above the classes.
  virtual void read_labels(std::int64_t image, LabelMap& map) const = 0;

  // The PNG of an image's labels, and what each value of it is: a class, unlabelled_pixel, or -1.
  const std::string& label_file(std::int64_t image) const {
    return label_files_[static_cast<std::size_t>(image)];
  }
  const std::array<std::int16_t, 256>& class_of_value() const { return class_of_; }

  // Makes sure that the classes are those of another part of the data, whose names it takes over
  // where it has none. Throws Error(data) where they are others.
  void use_classes(const std::vector<std::string>& training);

 protected:
  std::unique_ptr<Source> images_;
  std::vector<std::string> label_files_;
  std::array<std::int16_t, 256> class_of_{};
  std::vector<std::string> class_names_;
  bool named_ = true;  // else the names are made up
  std::vector<LeftOut> left_out_;
  const char* format_ = "";
};

enum class SegmentedFormat { automatic, ade20k, cityscapes, voc, coco_stuff, folders };

// Opens what lies at `path`: a folder in one of the layouts of docs/data.md. `split` is as in
// open_source(). Every file is asked for its size: images without labels, labels without an image
// and labels of another size than their image are left out and counted. Says in one line what was
// opened, in one what was left out, and of plain folders without `coding.classes` what a look at
// their labels showed. Throws Error(data) for what is not there, and for a single class;
// Error(usage) for a coding where the layout has its own.
std::unique_ptr<SegmentedImages> open_segmented(const std::string& path,
                                                const std::string& split = "train",
                                                SegmentedFormat format = SegmentedFormat::automatic,
                                                const LabelCoding& coding = {});

// Whether open_segmented() finds images with label maps at `path`.
bool holds_segmented(const std::string& path, const std::string& split);

void declare_segmented_format(Options& options, SegmentedFormat& format);
void declare_label_coding(Options& options, LabelCoding& coding);
void check_label_coding(const LabelCoding& coding);  // throws Error(usage)

// Which segmented data, for training and testing.
struct SegmentedData {
  std::string data_path, test_path;
  SegmentedFormat label_format = SegmentedFormat::automatic;
  std::string train_split = "train", test_split = "val";
  LabelCoding coding;
  int num_workers = 2;  // decoding threads

  void declare(Options& options);  // section [data]
  void check() const;              // throws Error(usage)

  // Throws Error(data) too where a look at some labels shows nothing to learn: no pixel of a class,
  // or all of one.
  std::unique_ptr<SegmentedImages> open_training_part() const;
  // Throws Error(data) for other classes than `class_names`, where any are given.
  std::unique_ptr<SegmentedImages> open_test_part(
      const std::vector<std::string>& class_names) const;
};

}  // namespace sgmae
