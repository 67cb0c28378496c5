#include "sgmae/data/loader.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/base/rng.h"
#include "sgmae/base/threads.h"
#include "sgmae/data/segmented_images.h"
#include "sgmae/image/photometric.h"
#include "sgmae/image/resize.h"

namespace sgmae {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What part of an image becomes what part of which scaled image.
struct Geometry {
  CropBox box;       // decoded, in source pixels
  ImageSize scaled;  // size to which `box` is scaled
  CropBox window;    // part of that which is kept
  CropBox seen;      // `window` in source pixels
  bool flip = false;
};

// torchvision's Resize and CenterCrop: the shorter side to 8/7 of the target's, the middle kept.
Geometry centre_crop(ImageSize size, ImageSize target) {
  const auto enlarged = [](int side) { return static_cast<int>(std::nearbyint(side * 8.0 / 7.0)); };
  Geometry geometry;
  geometry.box = whole(size);
  ImageSize& scaled = geometry.scaled;
  scaled = {enlarged(target.width), enlarged(target.height)};
  const double width = size.width, height = size.height;
  if (width * scaled.height <= height * scaled.width)
    scaled.height = std::max(scaled.height, static_cast<int>(scaled.width * height / width));
  else
    scaled.width = std::max(scaled.width, static_cast<int>(scaled.height * width / height));
  const auto middle = [](int outer, int inner) {
    return static_cast<int>(std::nearbyint((outer - inner) / 2.0));
  };
  geometry.window = {middle(scaled.width, target.width), middle(scaled.height, target.height),
                     target.width, target.height};
  const double x_scale = width / scaled.width, y_scale = height / scaled.height;
  const auto rounded = [](double value) { return static_cast<int>(std::lround(value)); };
  CropBox& seen = geometry.seen;
  seen.x = rounded(geometry.window.x * x_scale);
  seen.y = rounded(geometry.window.y * y_scale);
  seen.width = std::clamp(rounded(target.width * x_scale), 1, size.width - seen.x);
  seen.height = std::clamp(rounded(target.height * y_scale), 1, size.height - seen.y);
  return geometry;
}

bool on_canvas(Fit fit) {
  return fit == Fit::jitter || fit == Fit::scale_crop || fit == Fit::inside;
}

Geometry geometry_of(const Placement& placed, ImageSize size, bool flip) {
  Geometry geometry;
  geometry.box = whole(size);
  geometry.scaled = placed.scaled;
  geometry.window = {placed.x, placed.y, placed.content.width, placed.content.height};
  geometry.flip = flip;
  const double x_scale = static_cast<double>(size.width) / placed.scaled.width;
  const double y_scale = static_cast<double>(size.height) / placed.scaled.height;
  CropBox& seen = geometry.seen;
  seen.x = static_cast<int>(placed.x * x_scale);
  seen.y = static_cast<int>(placed.y * y_scale);
  const auto end = [](double edge, int side) {
    return std::min(static_cast<int>(std::ceil(edge)), side);
  };
  seen.width = end((placed.x + placed.content.width) * x_scale, size.width) - seen.x;
  seen.height = end((placed.y + placed.content.height) * y_scale, size.height) - seen.y;
  return geometry;
}

Placement placement_of(const Geometry& geometry) {
  const CropBox& window = geometry.window;
  return {geometry.scaled, window.x, window.y, {window.width, window.height}};
}

Geometry plan(const LoaderOptions& options, ImageSize size, const LabelMap* labels, Rng& rng) {
  const ImageSize target{options.width, options.height};
  const Fit fit = options.fit;
  const AugmentOptions& augment = options.augment;
  if (fit == Fit::centre_crop || (fit == Fit::automatic && size != target))
    return centre_crop(size, target);
  if (fit == Fit::inside) {
    const ImageSize scaled = fitted(size, target);
    return geometry_of({scaled, 0, 0, scaled}, size, false);
  }
  if (fit == Fit::jitter) {
    const Placement placed =
        large_scale_jitter(rng, size, target, options.jitter_min, options.jitter_max);
    return geometry_of(placed, size, random_flip(rng, augment));
  }
  if (fit == Fit::scale_crop) {
    const ImageSize scaled =
        random_scale(rng, size, target, options.jitter_min, options.jitter_max);
    const bool flip = random_flip(rng, augment);
    return geometry_of(random_crop(rng, scaled, target, labels, options.max_class_share), size,
                       flip);
  }
  Geometry geometry{whole(size), target, whole(target), whole(size), false};
  if (fit == Fit::augment) {
    geometry.box = geometry.seen = random_resized_crop(rng, size, augment);
    geometry.flip = random_flip(rng, augment);
  }
  return geometry;
}

// The smallest box that holds both.
CropBox around(const CropBox& a, const CropBox& b) {
  const int x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.x + a.width, b.x + b.width) - x,
          std::max(a.y + a.height, b.y + b.height) - y};
}

constexpr double max_jitter = 16;  // keeps scaled sizes far from what an int holds

ResizeFilter filter_of(Fit fit) {
  return fit == Fit::scale_crop ? ResizeFilter::bilinear : ResizeFilter::bicubic;
}

// Scratch memory of one thread.
struct Worker {
  explicit Worker(Fit fit) : resizer(Simd::automatic, filter_of(fit)) {}

  OpenedImage opened;
  Image decoded, scaled;
  LabelMap labels, seen;  // of the whole image and of what the network sees
  Resizer resizer;
  // Of values as stored:
  Bands bands, scaled_bands;
  BandResizer band_resizer;
};

// Decoded values, resized and normalised, to `out` [C, H, W].
void prepare(Bands& bands, ImageSize scaled, const CropBox& window, bool flip,
             const Normalisation& normalisation, BandResizer& resizer, Bands& scratch, float* out) {
  fill_nodata(bands, normalisation);
  resizer.resize(bands, scaled, window, flip, scratch);
  normalise(scratch, normalisation, out);
}

// Labels in the upper left corner of a canvas without any.
void lay_labels(const LabelMap& map, ImageSize canvas, std::uint8_t* out) {
  std::fill_n(out, static_cast<std::ptrdiff_t>(canvas.width) * canvas.height, unlabelled_pixel);
  for (int y = 0; y < map.size.height; ++y)
    std::copy_n(map.labels.data() + static_cast<std::ptrdiff_t>(y) * map.size.width, map.size.width,
                out + static_cast<std::ptrdiff_t>(y) * canvas.width);
}

// The order of one epoch's images.
struct Epoch {
  std::int64_t number = 0;
  std::vector<std::int64_t> order;  // positions in the source
};

// A batch being filled.
struct Slot {
  std::shared_ptr<const Epoch> epoch;
  std::int64_t first = 0;             // its first image's place in the epoch
  std::int64_t claimed = 0;           // images given to workers
  std::int64_t remaining = 0;         // images not yet finished
  std::vector<std::uint8_t> missing;  // [B] 1: unreadable, to be left out
  Batch batch;
  std::exception_ptr error;
  std::int64_t error_at = 0;  // the first image of the share that failed
};

// Moves the images that are there to the front, in order, and cuts off the rest.
void leave_out_missing(const std::vector<std::uint8_t>& missing, Batch& batch) {
  const auto move_up = [&](const at::Tensor& tensor, std::size_t to, std::size_t from) {
    if (!tensor.defined()) return;
    const std::size_t bytes = tensor.nbytes() / missing.size();
    auto* const data = static_cast<std::uint8_t*>(tensor.mutable_data_ptr());
    std::memcpy(data + to * bytes, data + from * bytes, bytes);
  };
  std::size_t kept = 0;
  for (std::size_t i = 0; i < missing.size(); ++i) {
    if (missing[i]) continue;
    if (kept < i) {
      move_up(batch.pixels, kept, i);
      move_up(batch.labels, kept, i);
      move_up(batch.second_view, kept, i);
      batch.index[kept] = batch.index[i];
      batch.crop[kept] = batch.crop[i];
      batch.source_size[kept] = batch.source_size[i];
      batch.flipped[kept] = batch.flipped[i];
      batch.label[kept] = batch.label[i];
      if (!batch.placed.empty()) batch.placed[kept] = batch.placed[i];
    }
    ++kept;
  }
  if (kept == missing.size()) return;
  for (at::Tensor* const tensor : {&batch.pixels, &batch.labels, &batch.second_view})
    if (tensor->defined()) *tensor = tensor->narrow(0, 0, static_cast<std::int64_t>(kept));
  batch.index.resize(kept);
  batch.crop.resize(kept);
  batch.source_size.resize(kept);
  batch.flipped.resize(kept);
  batch.label.resize(kept);
  if (!batch.placed.empty()) batch.placed.resize(kept);
}

}  // namespace

struct Loader::Impl {
  const Source& source;
  LoaderOptions options;
  std::vector<std::uint8_t> mean_colour;            // [channels], which RandAugment fills with
  std::int64_t images = 0;                          // in an epoch
  std::unique_ptr<std::atomic<bool>[]> unreadable;  // by position in the source
  std::atomic<std::int64_t> unreadable_count{0};
  std::atomic<bool> has_read{false};  // some image, in this epoch or before

  std::shared_ptr<const Epoch> epoch = std::make_shared<Epoch>();
  std::int64_t next_batch = 0, end_batch = 0;  // not yet begun
  std::vector<at::Tensor> spare;               // pixels of batches that nobody uses any more
  LoaderStats stats;
  Clock::time_point epoch_start;
  Worker own;  // for num_workers = 0

  // The mutex guards `slots`, `next_batch`, `spare` and every slot's fields but its batch.
  std::mutex mutex;
  std::condition_variable work, ready;
  std::deque<std::shared_ptr<Slot>> slots;  // in order; the oldest is handed out next
  std::exception_ptr failure;               // of a worker that could not begin a batch
  bool stop = false;
  // Images that a worker takes at a time: few enough that the workers finish a batch together, many
  // enough that taking them costs nothing beside tiny images.
  std::int64_t share = 1;
  std::optional<Threads> threads;

  Impl(const Source& from, LoaderOptions given)
      : source(from), options(std::move(given)), own(options.fit) {
    if (options.normalisation.mean.empty() && options.normalisation.std.empty())
      options.normalisation = default_normalisation(options.channels);
    check_values();
    const auto channels = static_cast<std::size_t>(options.channels);
    check(options.normalisation.mean.size() == channels &&
              options.normalisation.std.size() == channels,
          ExitCode::usage, "mean and std need one value for each of the ", channels, " channel(s)");
    for (const float mean : options.normalisation.mean)
      mean_colour.push_back(
          static_cast<std::uint8_t>(std::lround(255 * std::clamp(mean, 0.f, 1.f))));
    check(options.batch_size > 0 && options.height > 0 && options.width > 0, ExitCode::usage,
          "batch size and image size must be positive");
    check(0 < options.jitter_min && options.jitter_min <= options.jitter_max &&
              options.jitter_max <= max_jitter,
          ExitCode::usage, "jitter_min and jitter_max must be above 0, at most ", max_jitter,
          ", and not the wrong way round, but are ", options.jitter_min, " and ",
          options.jitter_max);
    check(options.max_class_share > 0 && options.max_class_share <= 1, ExitCode::usage,
          "a class's largest share of a crop must be above 0 and at most 1, but is ",
          options.max_class_share);
    SGMAE_ASSERT(!options.two_views || options.fit == Fit::augment);
    SGMAE_ASSERT(options.labels == nullptr || &options.labels->images() == &source);
    // Both would move or remove what is placed there.
    SGMAE_ASSERT(!on_canvas(options.fit) ||
                 (options.rand_augment.count == 0 && options.random_erase.probability == 0));
    check(options.num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
          options.num_workers);
    SGMAE_ASSERT(options.prefetch > 0);
    SGMAE_ASSERT(options.share.process >= 0 && options.share.process < options.share.of);
    for (const std::int64_t index : options.subset)
      SGMAE_ASSERT(index >= 0 && index < source.size());
    images =
        options.subset.empty() ? source.size() : static_cast<std::int64_t>(options.subset.size());
    unreadable = std::make_unique<std::atomic<bool>[]>(static_cast<std::size_t>(source.size()));
    share = std::clamp<std::int64_t>(
        options.batch_size / (4 * std::max<std::int64_t>(1, options.num_workers)), 1, 32);
    threads.emplace(options.num_workers, [this] { run_worker(); });
    options.num_workers = threads->count();
  }

  // Whether source and options agree on what the pixels are.
  void check_values() const {
    const bool stored = options.normalisation.stored.has_value();
    const auto of = [](int channels) { return counted(channels, "channel"); };
    if (!stored) {
      check(!source.stored_values(), ExitCode::usage, "the images are values as stored, of ",
            of(source.native_channels()), ", e.g. ", source.name(0),
            ", and the model takes 8-bit grey or colour; train one on such values "
            "(docs/channels.md)");
      check(options.channels == 1 || options.channels == 3, ExitCode::usage,
            "images can be loaded with 1 or 3 channels, not ", options.channels,
            "; more are of values as stored, --values stored");
      return;
    }
    check(source.stored_values().has_value(), ExitCode::usage,
          "the model takes values as stored, of ", of(options.channels),
          ", and the images are read here as 8-bit pixels, e.g. ", source.name(0),
          "; give the data it was trained on or such like");
    check(options.channels == source.native_channels(), ExitCode::usage,
          "the model takes images of ", of(options.channels), ", and these have ",
          source.native_channels(), ", e.g. ", source.name(0),
          "; give images of the same channels, in the same order");
    check(options.rand_augment.count == 0, ExitCode::usage,
          "RandAugment changes the colours of 8-bit photos, which values as stored are not; leave "
          "it out with --aa none");
    check(
        !options.photometric && !options.two_views && !on_canvas(options.fit), ExitCode::usage,
        "this training changes colours or lays photos on a canvas, and these images are values as "
        "stored; pretrain, linprobe, finetune, knn and extract take them");
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    threads->join();
  }

  std::int64_t batches() const {
    const bool rest = !options.drop_last && images % options.batch_size != 0;
    return images / options.batch_size + rest;
  }

  void start_epoch(std::int64_t number, std::int64_t first_batch) {
    auto begun = std::make_shared<Epoch>();
    begun->number = number;
    if (options.shuffle) {
      begun->order = Rng(options.seed, static_cast<std::uint64_t>(number), 0, Purpose::shuffle)
                         .permutation(images);
    } else {
      begun->order.resize(static_cast<std::size_t>(images));
      std::iota(begun->order.begin(), begun->order.end(), 0);
    }
    if (!options.subset.empty())
      for (std::int64_t& index : begun->order)
        index = options.subset[static_cast<std::size_t>(index)];
    {
      const std::lock_guard lock(mutex);
      epoch = std::move(begun);
      slots.clear();
      const std::int64_t of = options.share.of;
      next_batch = first_batch + ((options.share.process - first_batch) % of + of) % of;
      end_batch = std::max(batches(), next_batch);
    }
    stats.images = 0;
    stats.waited_seconds = stats.elapsed_seconds = 0;
    epoch_start = Clock::now();
    work.notify_all();
  }

  // The next batch, empty. With the mutex held.
  std::shared_ptr<Slot> begin_batch() {
    auto slot = std::make_shared<Slot>();
    slot->epoch = epoch;
    slot->first = next_batch * options.batch_size;
    next_batch += options.share.of;
    const std::int64_t count = std::min(options.batch_size, images - slot->first);
    slot->remaining = count;
    const std::vector<std::int64_t> shape{count, options.channels, options.height, options.width};
    Batch& batch = slot->batch;
    while (!spare.empty() && !batch.pixels.defined()) {
      if (spare.back().sizes() == at::IntArrayRef(shape)) batch.pixels = std::move(spare.back());
      spare.pop_back();
    }
    if (!batch.pixels.defined())
      batch.pixels = at::empty(shape, at::TensorOptions(at::kFloat).pinned_memory(options.pinned));
    if (options.two_views)
      batch.second_view =
          at::empty(shape, at::TensorOptions(at::kFloat).pinned_memory(options.pinned));
    if (options.labels != nullptr)
      batch.labels = at::empty({count, options.height, options.width},
                               at::TensorOptions(at::kByte).pinned_memory(options.pinned));
    const auto n = static_cast<std::size_t>(count);
    batch.index.resize(n);
    batch.crop.resize(n);
    batch.source_size.resize(n);
    batch.flipped.resize(n);
    batch.label.resize(n);
    if (on_canvas(options.fit)) batch.placed.resize(n);
    if (options.unreadable == Unreadable::leave_out) slot->missing.resize(n);
    return slot;
  }

  void run_worker() {
    Worker worker(options.fit);
    std::unique_lock lock(mutex);
    while (true) {
      std::shared_ptr<Slot> slot;
      work.wait(lock, [&] {
        if (stop || failure) return true;
        for (const auto& open : slots)
          if (open->claimed < open->batch.size()) {
            slot = open;
            return true;
          }
        return next_batch < end_batch && static_cast<int>(slots.size()) < options.prefetch;
      });
      if (stop || failure) return;
      if (!slot) {
        try {
          slots.push_back(begin_batch());
        } catch (...) {  // no memory
          failure = std::current_exception();
          ready.notify_all();
          work.notify_all();
          return;
        }
        slot = slots.back();
      }
      const std::int64_t begin = slot->claimed;
      const std::int64_t end = std::min(begin + share, slot->batch.size());
      slot->claimed = end;
      lock.unlock();
      work.notify_one();
      std::exception_ptr error;
      try {
        fill(*slot, begin, end, worker);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error && (!slot->error || begin < slot->error_at)) {
        slot->error = error;
        slot->error_at = begin;
      }
      slot->remaining -= end - begin;
      if (slot->remaining == 0) ready.notify_all();
    }
  }

  bool next(Batch& batch) {
    const Clock::time_point start = Clock::now();
    const auto done = [&](bool result) {
      stats.waited_seconds += seconds_since(start);
      stats.elapsed_seconds = seconds_since(epoch_start);
      if (result) stats.images += batch.size();
      return result;
    };
    std::unique_lock lock(mutex);
    // A GPU may still be copying from page-locked memory. LibTorch knows, and keeps that until
    // then.
    if (!options.pinned && batch.pixels.defined() && batch.pixels.use_count() == 1 &&
        batch.pixels.is_contiguous())
      spare.push_back(std::move(batch.pixels));
    batch = {};
    bool left_out = false;  // a whole batch
    while (!slots.empty() || next_batch < end_batch) {
      const std::shared_ptr<Slot> slot = take_slot(lock);
      if (slot->error) std::rethrow_exception(slot->error);
      batch = std::move(slot->batch);
      if (!slot->missing.empty()) leave_out_missing(slot->missing, batch);
      if (batch.size() > 0) {
        has_read.store(true, std::memory_order_relaxed);
        return done(true);
      }
      left_out = true;
      lock.lock();
    }
    spare.clear();
    if (left_out && stats.images == 0 && options.share.of == 1) fail_with_nothing();
    return done(false);
  }

  // The oldest batch, finished. Called with the mutex held, which is given up.
  std::shared_ptr<Slot> take_slot(std::unique_lock<std::mutex>& lock) {
    std::shared_ptr<Slot> slot;
    if (options.num_workers == 0) {
      slot = begin_batch();
      lock.unlock();
      fill(*slot, 0, slot->batch.size(), own);
      return slot;
    }
    ready.wait(lock, [&] { return failure || (!slots.empty() && slots.front()->remaining == 0); });
    if (failure) std::rethrow_exception(failure);
    slot = std::move(slots.front());
    slots.pop_front();
    lock.unlock();
    work.notify_one();
    return slot;
  }

  // Images begin … end-1 of a batch.
  void fill(Slot& slot, std::int64_t begin, std::int64_t end, Worker& worker) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t index = slot.epoch->order[static_cast<std::size_t>(slot.first + i)];
      if (load(slot, i, index, index, worker)) continue;
      if (options.unreadable == Unreadable::leave_out)
        slot.missing[static_cast<std::size_t>(i)] = 1;
      else
        load_substitute(slot, i, index, worker);
    }
  }

  // Position in the source of the epoch's k-th image, unshuffled.
  std::int64_t pick(std::int64_t k) const {
    return options.subset.empty() ? k : options.subset[static_cast<std::size_t>(k)];
  }

  // An image in place of the unreadable one at `index`; which one depends on (seed, epoch, index).
  void load_substitute(Slot& slot, std::int64_t i, std::int64_t index, Worker& worker) {
    constexpr int draws = 16;
    Rng rng(options.seed, static_cast<std::uint64_t>(slot.epoch->number),
            static_cast<std::uint64_t>(index), Purpose::substitute);
    std::int64_t last = 0;
    for (int draw = 0; draw < draws; ++draw) {
      last = rng.below(images);
      if (load(slot, i, index, pick(last), worker)) return;
    }
    for (std::int64_t step = 1; step < images; ++step)
      if (load(slot, i, index, pick((last + step) % images), worker)) return;
    fail_with_nothing();
  }

  [[noreturn]] void fail_with_nothing() const {
    const std::string name = source.name(pick(0));
    if (images == 1)
      fail(ExitCode::data, name, ", the only image, cannot be read (the reason is given above)");
    if (has_read.load(std::memory_order_relaxed))
      fail(ExitCode::data, "none of the ", images, " images can be read any longer, ", name,
           " among them; were they moved, or is their disk gone?");
    fail(ExitCode::data, "none of the ", images, " images can be read; the first is ", name,
         " (reasons are given above)");
  }

  // Puts the image at position `actual` into place i of the batch, augmented as the one at
  // `planned` would have been. False, and counted, when it cannot be read; Error(data) where that
  // is not allowed.
  bool load(Slot& slot, std::int64_t i, std::int64_t planned, std::int64_t actual, Worker& worker) {
    std::atomic<bool>& bad = unreadable[static_cast<std::size_t>(actual)];
    if (bad.load(std::memory_order_relaxed)) return false;
    Geometry geometry, second;
    CropBox part;  // decoded
    ImageView pixels;
    const ImageSize target{options.width, options.height};
    const bool crops_scaled = options.fit == Fit::jitter || options.fit == Fit::scale_crop;
    const auto draws = [&](Purpose purpose) {
      return Rng(options.seed, static_cast<std::uint64_t>(slot.epoch->number),
                 static_cast<std::uint64_t>(planned), purpose);
    };
    Rng rng = draws(Purpose::augment), second_rng = draws(Purpose::second_view);
    try {
      source.open(actual, worker.opened);
      if (options.labels != nullptr) read_labels(actual, worker);
      geometry = plan(options, worker.opened.size,
                      options.labels != nullptr ? &worker.labels : nullptr, rng);
      // Of a crop out of a larger scaled image only what it needs is decoded.
      if (crops_scaled)
        part = worker.resizer.part_read(worker.opened.size, geometry.scaled, geometry.window);
      else
        part = geometry.box;
      if (options.two_views) {
        second = plan(options, worker.opened.size, nullptr, second_rng);
        part = around(part, second.box);
      }
      if (options.normalisation.stored)
        decode_bands(worker.opened, part, options.channels, worker.bands);
      else
        pixels = decode(worker.opened, part, options.channels, worker.decoded);
    } catch (const Error& error) {
      if (options.unreadable == Unreadable::fail)
        fail(ExitCode::data, "cannot read ", reason(actual, error));
      if (!bad.exchange(true)) report(actual, error);
      return false;
    }
    const std::int64_t values =
        static_cast<std::int64_t>(options.channels) * options.height * options.width;
    float* const out = slot.batch.pixels.mutable_data_ptr<float>() + i * values;
    if (options.normalisation.stored) {
      prepare(worker.bands, geometry.scaled, geometry.window, geometry.flip, options.normalisation,
              worker.band_resizer, worker.scaled_bands, out);
    } else {
      const auto seen = [&](const CropBox& box) {
        return crop(pixels, {box.x - part.x, box.y - part.y, box.width, box.height});
      };
      if (options.two_views) {
        worker.resizer.resize(seen(second.box), target, second.flip, worker.scaled);
        apply(draw_view(second_rng, options.two_views->second), worker.scaled);
        normalise(worker.scaled, options.normalisation,
                  slot.batch.second_view.mutable_data_ptr<float>() + i * values);
      }
      if (crops_scaled)
        worker.resizer.resize(pixels, part, worker.opened.size, geometry.scaled, geometry.window,
                              geometry.flip, worker.scaled);
      else
        worker.resizer.resize(seen(geometry.box), geometry.scaled, geometry.window, geometry.flip,
                              worker.scaled);
      if (options.two_views) apply(draw_view(rng, options.two_views->first), worker.scaled);
      if (options.rand_augment.count > 0) {
        Rng own = draws(Purpose::rand_augment);
        for (const AugmentStep& step : draw_rand_augment(own, options.rand_augment))
          apply(step, mean_colour, worker.scaled);
      }
      if (options.photometric) {
        Rng own = draws(Purpose::photometric);
        apply(draw_photometric(own), worker.scaled);
      }
      if (on_canvas(options.fit))
        normalise(worker.scaled, options.normalisation, target, out);
      else
        normalise(worker.scaled, options.normalisation, out);
    }
    if (options.random_erase.probability > 0) {
      Rng own = draws(Purpose::random_erase);
      random_erase(own, options.random_erase, options.channels, target, out);
    }
    if (options.labels != nullptr) {
      resize_labels(worker.labels, geometry.box, geometry.scaled, geometry.window, geometry.flip,
                    worker.seen);
      lay_labels(worker.seen, target,
                 slot.batch.labels.mutable_data_ptr<std::uint8_t>() +
                     i * std::int64_t{target.width} * target.height);
    }
    const auto at = static_cast<std::size_t>(i);
    slot.batch.index[at] = actual;
    slot.batch.crop[at] = geometry.seen;
    slot.batch.source_size[at] = worker.opened.size;
    slot.batch.flipped[at] = geometry.flip;
    slot.batch.label[at] = source.label(actual);
    if (on_canvas(options.fit)) slot.batch.placed[at] = placement_of(geometry);
    return true;
  }

  void read_labels(std::int64_t index, Worker& worker) const {
    options.labels->read_labels(index, worker.labels);
    const ImageSize have = worker.labels.size, want = worker.opened.size;
    check(have == want, ExitCode::data, "its labels are ", have.width, "x", have.height,
          ", the image is ", want.width, "x", want.height);
  }

  // Other loaders of the run may have met the same image.
  void report(std::int64_t index, const Error& error) {
    constexpr std::int64_t most_named = 20;
    const std::int64_t count = ++unreadable_count;
    if (count > most_named) return;
    const char* const instead =
        options.unreadable == Unreadable::leave_out ? "left out" : "another takes its place";
    warn_once("unreadable image " + source.name(index),
              str("unreadable image, ", instead, ": ", reason(index, error)));
    if (count == most_named) warn_once("more unreadable images are counted but not named");
  }

  std::string reason(std::int64_t index, const Error& error) const {
    const std::string name = source.name(index), why = error.what();
    return why.find(name) == std::string::npos ? name + ": " + why : why;
  }
};

LoaderOptions whole_images(LoaderOptions options) {
  options.fit = Fit::squash;
  options.shuffle = false;
  options.drop_last = false;
  options.unreadable = Unreadable::leave_out;
  return options;
}

Loader::Loader(const Source& source, LoaderOptions options)
    : impl_(std::make_unique<Impl>(source, std::move(options))) {}
Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const {
  return impl_->batches();
}
const LoaderOptions& Loader::options() const {
  return impl_->options;
}
void Loader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  SGMAE_ASSERT(epoch >= 0 && first_batch >= 0);
  impl_->start_epoch(epoch, first_batch);
}
bool Loader::next(Batch& batch) {
  return impl_->next(batch);
}

LoaderStats Loader::stats() const {
  LoaderStats stats = impl_->stats;
  stats.unreadable = impl_->unreadable_count;
  return stats;
}

std::vector<std::int64_t> Loader::unreadable() const {
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < impl_->source.size(); ++i)
    if (impl_->unreadable[static_cast<std::size_t>(i)].load()) found.push_back(i);
  return found;
}

namespace {

// What `read` makes of a file's bytes; its errors name the file.
template <class Read>
auto read_named(const std::string& path, const Read& read) {
  std::error_code ignored;
  check(!std::filesystem::is_directory(path, ignored), ExitCode::usage, path,
        " is a folder; name image files, e.g. ", path, "/*");
  try {
    return read();
  } catch (const Error& error) {
    const std::string why = error.what();
    if (why.find(path) != std::string::npos) throw;
    fail(error.code(), "cannot read ", path, ": ", why);
  }
}

// The whole image with its values as stored.
Bands read_bands(const std::string& path, int channels, const Normalisation& normalisation) {
  const auto source = open_files({path}, DataFormat().read_as(normalisation));
  OpenedImage opened;
  source->open(0, opened);
  Bands bands;
  decode_bands(opened, whole(opened.size), channels, bands);
  return bands;
}

}  // namespace

Image read_image(const std::string& path, int channels) {
  return read_named(path, [&] {
    return decode_image(read_file(path, ExitCode::data, max_image_bytes), channels);
  });
}

LoadedImage load_image(const std::string& path, int height, int width, int channels,
                       const Normalisation& normalisation, Fit fit) {
  SGMAE_ASSERT(fit != Fit::augment && fit != Fit::jitter && fit != Fit::scale_crop);
  LoadedImage loaded;
  loaded.pixels = at::empty({1, channels, height, width}, at::kFloat);
  float* const out = loaded.pixels.mutable_data_ptr<float>();
  Rng unused(0, 0, 0, Purpose::augment);
  LoaderOptions options;
  options.fit = fit;
  options.width = width;
  options.height = height;
  if (normalisation.stored) {
    SGMAE_ASSERT(!on_canvas(fit));
    Bands bands = read_named(path, [&] { return read_bands(path, channels, normalisation); });
    const Geometry geometry = plan(options, bands.size(), nullptr, unused);
    BandResizer resizer;
    Bands scaled;
    prepare(bands, geometry.scaled, geometry.window, false, normalisation, resizer, scaled, out);
    return loaded;
  }
  loaded.image = read_image(path, channels);
  const Geometry geometry = plan(options, loaded.image.size(), nullptr, unused);
  Image scaled;
  Resizer().resize(view(loaded.image), geometry.scaled, geometry.window, false, scaled);
  if (on_canvas(fit)) {
    normalise(scaled, normalisation, {width, height}, out);
    loaded.placed = placement_of(geometry);
  } else {
    normalise(scaled, normalisation, out);
  }
  return loaded;
}

at::Tensor load_images(const std::vector<std::string>& paths, int height, int width, int channels,
                       const Normalisation& normalisation, Fit fit) {
  std::vector<at::Tensor> pixels;
  for (const std::string& path : paths)
    pixels.push_back(load_image(path, height, width, channels, normalisation, fit).pixels);
  return at::cat(pixels);
}

}  // namespace sgmae
