// Batches of a source, prepared by threads ahead of their use.
//
//   LoaderOptions options;
//   options.batch_size = 64;
//   Loader loader(*source, options);
//   for (int epoch = 0; epoch < 400; ++epoch) {
//     loader.start_epoch(epoch);
//     for (Batch batch; loader.next(batch);) step(batch);
//   }
//
// What a batch holds depends on (seed, epoch, position) alone, not on the number of workers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/batch.h"
#include "sgmae/data/source.h"
#include "sgmae/image/augment.h"
#include "sgmae/image/contrastive_augment.h"
#include "sgmae/image/normalise.h"
#include "sgmae/image/randaugment.h"
#include "sgmae/image/random_erase.h"

namespace sgmae {

class SegmentedImages;

// The last three lay the image in the upper left corner of the height x width canvas; the rest is 0
// after normalisation, and Batch::placed says where the image is.
enum class Fit {
  augment,      // MAE's training transform: random resized crop and flip
  squash,       // the whole image, whatever its shape, to height x width
  centre_crop,  // shorter side to 8/7 of the target's (256 for 224), then its middle
  automatic,    // an image of the target's size as it is, any other's centre_crop
  jitter,       // large-scale jitter and flip: detection's training transform (image/augment.h)
  scale_crop,   // scale, crop by labels and flip: segmentation's (image/augment.h); bilinear
  inside        // the whole image, its shape kept, as large as fits
};

// What becomes of an image that cannot be read. Either way it is named in the log, once in a run.
enum class Unreadable {
  substitute,  // another one of the data set takes its place: training, whose batches stay full
  leave_out,   // its batch holds one image fewer: whatever counts, measures or writes images
  fail         // Error(data) that names it
};

// Several processes take the batches of an epoch by turns: this one those whose number is `process`
// modulo `of`.
struct LoaderShare {
  std::int64_t process = 0, of = 1;
};

struct LoaderOptions {
  std::int64_t batch_size = 64;
  int num_workers = 2;  // threads; 0: the calling thread works inside next()
  std::uint64_t seed = 0;
  int height = 224, width = 224;
  int channels = 3;             // 1 or 3; of values as stored those of the source
  Normalisation normalisation;  // empty: default_normalisation(channels); says whether values
                                // are as stored, and then so does the source
  Fit fit = Fit::augment;
  AugmentOptions augment;  // jitter and scale_crop take its `flip`
  // Scale: of jitter in terms of what fits the canvas, of scale_crop of its shorter side.
  double jitter_min = 0.1, jitter_max = 2;
  double max_class_share = 0.75;  // of scale_crop's labels; 1: any
  bool photometric = false;       // distortion of colours, after crop and flip
  // The classes of the source's pixels (labels->images() is the source), which then make
  // Batch::labels; must outlive the loader. An image whose labels cannot be read counts as
  // unreadable.
  const SegmentedImages* labels = nullptr;
  // With Fit::augment: two views of every image, each with a crop and a flip of its own, and these
  // changes of colour; the second one is Batch::second_view. All else that a batch says of crops is
  // of the first.
  std::optional<TwoViews> two_views = {};
  RandAugmentOptions rand_augment;   // after crop and flip; not on a canvas
  RandomEraseOptions random_erase;   // of the normalised pixels; not on a canvas
  bool shuffle = true;               // a new order each epoch; else the source's own
  bool drop_last = true;             // leave out the last batch of an epoch when it is not full
  int prefetch = 3;                  // batches prepared ahead, at most
  bool pinned = false;               // pixels in page-locked memory, for fast copies to a GPU
  std::vector<std::int64_t> subset;  // positions of the source to use; empty: all
  Unreadable unreadable = Unreadable::substitute;
  LoaderShare share = {};
};

// The same images whole, squashed to the size, in the source's order, each once; those that cannot
// be read are left out.
LoaderOptions whole_images(LoaderOptions options);

struct LoaderStats {
  std::int64_t images = 0;      // handed out since start_epoch
  std::int64_t unreadable = 0;  // distinct images found unreadable since construction
  double waited_seconds = 0;    // inside next(), since start_epoch
  double elapsed_seconds = 0;   // from start_epoch to the end of the last next()

  double wait_share() const { return elapsed_seconds > 0 ? waited_seconds / elapsed_seconds : 0; }
};

class Loader {
 public:
  // `source` must outlive the loader. Throws Error(usage) for options that do not fit together.
  Loader(const Source& source, LoaderOptions options);
  ~Loader();

  std::int64_t batches_per_epoch() const;  // of all shares
  const LoaderOptions& options() const;

  // Begins an epoch, at the first batch of this share from `first_batch` on; what is left of the
  // last one is dropped.
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);

  // The next batch, or false at the epoch's end. If `batch` still holds the only reference to the
  // pixels of an earlier batch, that memory is used again, unless it is pinned.
  // batch.index says which images it holds: substitutes among them, or fewer than batch_size, but
  // never none. Throws Error(data) when no image of the data set can be read; one share of several
  // is then empty.
  bool next(Batch& batch);

  LoaderStats stats() const;
  // Positions in the source of the images that LoaderStats::unreadable counts.
  std::vector<std::int64_t> unreadable() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The pixels of an image file with 1 or 3 channels. Throws Error(data), naming the file, when it
// cannot be read.
Image read_image(const std::string& path, int channels);

// One image file as the network wants it, for the commands that look at single images.
struct LoadedImage {
  Image image;        // the whole, as decoded; empty for values as stored
  at::Tensor pixels;  // [1, C, H, W] fp32, normalised
  Placement placed;   // of Fit::inside
};

// Throws Error(data), naming the file, when it cannot be read.
LoadedImage load_image(const std::string& path, int height, int width, int channels,
                       const Normalisation& normalisation, Fit fit = Fit::squash);

// The pixels [B, C, H, W] of several files, each as load_image() gives them.
at::Tensor load_images(const std::vector<std::string>& paths, int height, int width, int channels,
                       const Normalisation& normalisation, Fit fit = Fit::squash);

}  // namespace sgmae
