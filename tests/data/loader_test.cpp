// Oracles: the transform done step by step with the functions of image/; torchvision (golden
// numbers) for the centre crop; one worker count for another.
#include "sgmae/data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "arrays.h"
#include "folder.h"
#include "segmented.h"
#include "sgmae/base/log.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/photometric.h"
#include "sgmae/image/resize.h"

namespace sgmae {
namespace {

std::vector<float> values(const at::Tensor& tensor) {
  const float* data = tensor.const_data_ptr<float>();
  return {data, data + tensor.numel()};
}

// Everything that a batch says, as one comparable thing.
struct Record {
  std::vector<float> pixels;
  std::vector<std::int64_t> index, label;
  std::vector<CropBox> crop;
  std::vector<std::uint8_t> flipped;
  bool operator==(const Record&) const = default;
};

std::vector<Record> run(Loader& loader, std::int64_t epoch, std::int64_t first_batch = 0) {
  std::vector<Record> records;
  loader.start_epoch(epoch, first_batch);
  for (Batch batch; loader.next(batch);)
    records.push_back({values(batch.pixels), batch.index, batch.label, batch.crop, batch.flipped});
  return records;
}

LoaderOptions small_options() {
  LoaderOptions options;
  options.batch_size = 4;
  options.num_workers = 2;
  options.seed = 7;
  options.height = 8;
  options.width = 6;
  return options;
}

// n images in two classes, image i with red = i.
void fill_folder(const Folder& folder, int n) {
  for (int i = 0; i < n; ++i)
    folder.image(str(i < n / 2 ? "a/" : "b/", static_cast<char>('A' + i), ".png"), i, 12 + i,
                 20 - i);
}

TEST(Loader, DoesNotDependOnWorkers) {
  Folder folder;
  fill_folder(folder, 14);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.num_workers = 0;
  Loader plain(*source, options);
  const auto first = run(plain, 0), second = run(plain, 1);
  EXPECT_EQ(first.size(), 3u);
  EXPECT_NE(first[0].index, second[0].index);
  for (const int workers : {1, 3}) {
    options.num_workers = workers;
    options.prefetch = workers;
    Loader loader(*source, options);
    EXPECT_EQ(run(loader, 0), first);
    EXPECT_EQ(run(loader, 1), second);
    EXPECT_EQ(run(loader, 0), first);
    auto rest = first;
    rest.erase(rest.begin());
    EXPECT_EQ(run(loader, 0, 1), rest);
  }
}

TEST(Loader, SharesAreTheBatchesByTurns) {
  Folder folder;
  fill_folder(folder, 18);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.drop_last = false;
  Loader whole(*source, options);
  const auto all = run(whole, 2);
  ASSERT_EQ(all.size(), 5u);
  for (const int workers : {0, 2})
    for (const std::size_t first : {0u, 2u, 4u})
      for (std::size_t process = 0; process < 4; ++process) {
        options.num_workers = workers;
        options.share = {static_cast<std::int64_t>(process), 4};
        Loader loader(*source, options);
        std::vector<Record> expected;
        for (std::size_t b = first; b < all.size(); ++b)
          if (b % 4 == process) expected.push_back(all[b]);
        EXPECT_EQ(run(loader, 2, static_cast<std::int64_t>(first)), expected);
      }
}

TEST(Loader, EpochsVisitEveryImageOnce) {
  Folder folder;
  fill_folder(folder, 10);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.drop_last = false;
  Loader loader(*source, options);
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  std::multiset<std::int64_t> seen;
  std::vector<std::size_t> sizes;
  for (const Record& record : run(loader, 3)) {
    seen.insert(record.index.begin(), record.index.end());
    sizes.push_back(record.index.size());
    EXPECT_EQ(record.pixels.size(), record.index.size() * 3 * 8 * 6);
    for (std::size_t i = 0; i < record.index.size(); ++i)
      EXPECT_EQ(record.label[i], source->label(record.index[i]));
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{4, 4, 2}));
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), 10u);
  EXPECT_EQ(loader.stats().images, 10);
}

// The same draws and steps, one at a time. Bit for bit: it is the same arithmetic.
TEST(Loader, AugmentsByTheBook) {
  Folder folder;
  fill_folder(folder, 8);
  const auto source = open_source(folder.path());
  const LoaderOptions options = small_options();
  Loader loader(*source, options);
  int flips = 0, boxes = 0;
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);) {
      for (std::size_t i = 0; i < batch.index.size(); ++i) {
        const std::int64_t index = batch.index[i];
        const Image image = decode_image(read_file(source->name(index)), 3);
        EXPECT_EQ(batch.source_size[i], image.size());
        Rng rng(options.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index),
                Purpose::augment);
        const CropBox box = random_resized_crop(rng, image.size());
        const bool flip = random_flip(rng);
        EXPECT_EQ(batch.crop[i], box);
        EXPECT_EQ(batch.flipped[i], flip);
        const Image scaled = resize(crop(view(image), box), {6, 8}, flip);
        std::vector<float> expected(3 * 8 * 6);
        normalise(scaled, default_normalisation(3), expected.data());
        EXPECT_EQ(values(batch.pixels[static_cast<std::int64_t>(i)]), expected);
        flips += flip;
        boxes += box != whole(image.size());
      }
    }
  }
  EXPECT_GT(flips, 4);
  EXPECT_GT(boxes, 16);
}

// Each view as by the book: crop, flip, then colours, out of one stream.
TEST(Loader, TwoViewsHaveCropsAndColoursOfTheirOwn) {
  Folder folder;
  fill_folder(folder, 8);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.augment.min_scale = 0.08;
  options.two_views.emplace();
  Loader loader(*source, options);
  int apart = 0;
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);)
      for (std::size_t i = 0; i < batch.index.size(); ++i) {
        const std::int64_t index = batch.index[i];
        const Image image = decode_image(read_file(source->name(index)), 3);
        const auto expect = [&](Purpose purpose, const ViewOptions& view, const at::Tensor& got) {
          Rng rng(options.seed, static_cast<std::uint64_t>(epoch),
                  static_cast<std::uint64_t>(index), purpose);
          const CropBox box = random_resized_crop(rng, image.size(), options.augment);
          const bool flip = random_flip(rng);
          Image scaled = resize(crop(sgmae::view(image), box), {6, 8}, flip);
          apply(draw_view(rng, view), scaled);
          std::vector<float> expected(3 * 8 * 6);
          normalise(scaled, default_normalisation(3), expected.data());
          EXPECT_EQ(values(got), expected);
          return std::pair(box, flip);
        };
        const auto k = static_cast<std::int64_t>(i);
        const auto first = expect(Purpose::augment, options.two_views->first, batch.pixels[k]);
        const auto second =
            expect(Purpose::second_view, options.two_views->second, batch.second_view[k]);
        EXPECT_EQ(batch.crop[i], first.first);
        EXPECT_EQ(batch.flipped[i], first.second);
        apart += first != second;
      }
  }
  EXPECT_GT(apart, 28);
}

TEST(Loader, ASecondViewStaysWithItsImageWhereOthersAreLeftOut) {
  Folder folder;
  fill_folder(folder, 6);
  folder.write("a/AA.png", "broken");
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.two_views.emplace();
  options.batch_size = 7;
  options.shuffle = false, options.drop_last = false;
  options.unreadable = Unreadable::leave_out;
  Loader loader(*source, options);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  ASSERT_EQ(batch.size(), 6);
  ASSERT_EQ(batch.second_view.size(0), 6);
  for (std::int64_t i = 0; i < 6; ++i) {
    options.subset = {batch.index[static_cast<std::size_t>(i)]};
    Loader alone(*source, options);
    alone.start_epoch(0);
    Batch one;
    ASSERT_TRUE(alone.next(one));
    EXPECT_EQ(values(one.second_view), values(batch.second_view[i].contiguous()));
    EXPECT_EQ(values(one.pixels), values(batch.pixels[i].contiguous()));
  }
}

TEST(Loader, RandAugmentAndErasingFollowCropAndFlip) {
  Folder folder;
  fill_folder(folder, 14);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.normalisation = {{0.5f, 0.25f, 0.5f}, {0.5f, 0.5f, 0.25f}};
  Loader plain(*source, options);
  options.rand_augment.count = 2;
  options.random_erase.probability = 0.5;
  Loader augmented(*source, options);
  plain.start_epoch(1);
  augmented.start_epoch(1);
  int changed = 0;
  for (Batch before, after; plain.next(before) && augmented.next(after);) {
    ASSERT_EQ(before.index, after.index);
    EXPECT_EQ(before.crop, after.crop);
    for (std::int64_t i = 0; i < before.size(); ++i) {
      // The pixels again, by hand: the values are whole numbers of 255ths, so nothing is lost.
      const auto index = static_cast<std::uint64_t>(before.index[static_cast<std::size_t>(i)]);
      const ImageSize size{options.width, options.height};
      Image image =
          denormalise(before.pixels[i].const_data_ptr<float>(), 3, size, options.normalisation);
      Rng draws(options.seed, 1, index, Purpose::rand_augment);
      for (const AugmentStep& step : draw_rand_augment(draws, options.rand_augment))
        apply(step, {128, 64, 128}, image);
      std::vector<float> want(image.pixels.size());
      normalise(image, options.normalisation, want.data());
      Rng erasing(options.seed, 1, index, Purpose::random_erase);
      random_erase(erasing, options.random_erase, 3, size, want.data());
      EXPECT_EQ(values(after.pixels[i].contiguous()), want);
      changed += values(before.pixels[i].contiguous()) != want;
    }
  }
  EXPECT_GT(changed, 6);
}

TEST(Loader, SquashTakesTheWholeImage) {
  Folder folder;
  fill_folder(folder, 4);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.fit = Fit::squash;
  options.shuffle = false;
  Loader loader(*source, options);
  const auto records = run(loader, 0);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].index, (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(records[0].crop[1], (CropBox{0, 0, 13, 19}));
  EXPECT_EQ(records[0].flipped, (std::vector<std::uint8_t>(4, 0)));
  const LoadedImage one = load_image(source->name(1), 8, 6, 3, default_normalisation(3));
  EXPECT_EQ(one.image.size(), (ImageSize{13, 19}));
  const std::vector<float> first = values(one.pixels);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), records[0].pixels.begin() + 3 * 8 * 6));
}

// The same done the long way: the whole image decoded, all of it resized, and then cut, mirrored,
// normalised and laid on zeros. Bit for bit: it is the same arithmetic.
class OnACanvas : public testing::Test {
 protected:
  void SetUp() override {
    fill_folder(folder_, 6);
    // Large enough for a part of a JPEG to be decoded; a strip; a single pixel.
    Image photo{90, 70, 3, {}};
    for (int i = 0; i < 90 * 70 * 3; ++i)
      photo.pixels.push_back(static_cast<std::uint8_t>(i * i / 97 + i / 270 * 3));
    const auto bytes = encode_jpeg(view(photo), 90);
    folder_.write("b/Y.jpg", std::string(bytes.begin(), bytes.end()));
    folder_.image("b/X.png", 7, 200, 2);
    folder_.image("b/Z.png", 9, 1, 1);
    source_ = open_source(folder_.path());
    options_ = small_options();
    options_.height = 24;
    options_.width = 33;
    options_.batch_size = 3;
  }

  static std::vector<float> expected(const Image& image, const Placement& placed, bool flip,
                                     const LoaderOptions& options) {
    const Image scaled = resize(view(image), placed.scaled);
    const CropBox window{placed.x, placed.y, placed.content.width, placed.content.height};
    const ImageView cut = crop(view(scaled), window);
    Image content{window.width, window.height, 3, {}};
    for (int y = 0; y < window.height; ++y)
      for (int x = 0; x < window.width; ++x) {
        const std::uint8_t* pixel = cut.row(y) + 3 * (flip ? window.width - 1 - x : x);
        content.pixels.insert(content.pixels.end(), pixel, pixel + 3);
      }
    std::vector<float> values(content.pixels.size());
    normalise(content, default_normalisation(3), values.data());
    std::vector<float> canvas;
    for (int c = 0; c < 3; ++c)
      for (int y = 0; y < options.height; ++y)
        for (int x = 0; x < options.width; ++x)
          canvas.push_back(
              x < window.width && y < window.height
                  ? values[static_cast<std::size_t>((c * window.height + y) * window.width + x)]
                  : 0.f);
    return canvas;
  }

  const Folder folder_;
  std::unique_ptr<Source> source_;
  LoaderOptions options_;
};

TEST_F(OnACanvas, Jitter) {
  options_.fit = Fit::jitter;
  Loader loader(*source_, options_);
  int flips = 0, cut = 0, small = 0;
  for (std::int64_t epoch = 0; epoch < 12; ++epoch) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);) {
      ASSERT_EQ(batch.placed.size(), batch.index.size());
      for (std::size_t i = 0; i < batch.index.size(); ++i) {
        const std::int64_t index = batch.index[i];
        const Image image = decode_image(read_file(source_->name(index)), 3);
        Rng rng(options_.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index),
                Purpose::augment);
        const Placement placed = large_scale_jitter(rng, image.size(), {33, 24}, 0.1, 2);
        const bool flip = random_flip(rng);
        EXPECT_EQ(batch.placed[i], placed);
        EXPECT_EQ(batch.flipped[i], flip);
        EXPECT_EQ(batch.source_size[i], image.size());
        EXPECT_EQ(values(batch.pixels[static_cast<std::int64_t>(i)]),
                  expected(image, placed, flip, options_));
        const CropBox& seen = batch.crop[i];
        EXPECT_TRUE(seen.x >= 0 && seen.y >= 0 && seen.width > 0 && seen.height > 0);
        EXPECT_TRUE(seen.x + seen.width <= image.width && seen.y + seen.height <= image.height);
        flips += flip;
        cut += placed.content != placed.scaled;
        small += placed.content == placed.scaled;
      }
    }
  }
  EXPECT_GT(flips, 20);
  EXPECT_GT(cut, 20);
  EXPECT_GT(small, 20);
}

TEST_F(OnACanvas, Inside) {
  options_ = whole_images(options_);
  options_.fit = Fit::inside;
  options_.batch_size = 20;
  Loader loader(*source_, options_);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  for (std::size_t i = 0; i < batch.index.size(); ++i) {
    const std::string name = source_->name(batch.index[i]);
    const Image image = decode_image(read_file(name), 3);
    const ImageSize scaled = fitted(image.size(), {33, 24});
    EXPECT_EQ(batch.placed[i], (Placement{scaled, 0, 0, scaled}));
    EXPECT_EQ(batch.crop[i], whole(image.size()));
    EXPECT_FALSE(batch.flipped[i]);
    const auto pixels = values(batch.pixels[static_cast<std::int64_t>(i)]);
    EXPECT_EQ(pixels, expected(image, batch.placed[i], false, options_));
    const LoadedImage one = load_image(name, 24, 33, 3, default_normalisation(3), Fit::inside);
    EXPECT_EQ(values(one.pixels), pixels);
    EXPECT_EQ(one.placed, batch.placed[i]);
  }
}

// The places stay with their images when others are left out.
TEST_F(OnACanvas, UnreadableImagesAreLeftOut) {
  set_log_quiet(true);
  folder_.write("a/0.png", "a text file");
  const auto source = open_source(folder_.path());
  options_ = whole_images(options_);
  options_.fit = Fit::inside;
  Loader loader(*source, options_);
  loader.start_epoch(0);
  for (Batch batch; loader.next(batch);) {
    ASSERT_EQ(batch.placed.size(), batch.index.size());
    for (std::size_t i = 0; i < batch.index.size(); ++i)
      EXPECT_EQ(batch.placed[i].scaled, fitted(batch.source_size[i], {33, 24}));
  }
  EXPECT_EQ(loader.stats().unreadable, 1);
}

TEST_F(OnACanvas, OtherFitsHaveNoPlaces) {
  Loader loader(*source_, options_);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  EXPECT_TRUE(batch.placed.empty());
}

TEST(Loader, Subset) {
  Folder folder;
  fill_folder(folder, 8);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.subset = {6, 1, 3};
  options.shuffle = false;
  options.drop_last = false;
  Loader loader(*source, options);
  const auto records = run(loader, 0);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].index, (std::vector<std::int64_t>{6, 1, 3}));
}

// Batches stay full; the missing one is counted once, and who takes its place does not depend on
// the number of workers nor on when it was found out.
TEST(Loader, UnreadableImagesAreReplaced) {
  Folder folder;
  fill_folder(folder, 8);
  folder.write("a/0.jpg", "");
  folder.write("b/z.jpg", "a text file");
  const auto source = open_source(folder.path());
  ASSERT_EQ(source->size(), 10);
  std::vector<std::vector<Record>> runs;
  for (const int workers : {0, 1, 3}) {
    LoaderOptions options = small_options();
    options.num_workers = workers;
    options.drop_last = false;
    Loader loader(*source, options);
    std::vector<Record> both = run(loader, 0);
    for (Record& record : run(loader, 1)) both.push_back(std::move(record));
    for (const Record& record : both)
      for (const std::int64_t index : record.index) EXPECT_TRUE(index != 0 && index != 9);
    EXPECT_EQ(loader.stats().unreadable, 2);
    EXPECT_EQ(loader.unreadable(), (std::vector<std::int64_t>{0, 9}));
    EXPECT_EQ(loader.stats().images, 10);
    runs.push_back(std::move(both));
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
}

// Twelve images in two classes and ways in which some of them cannot be read.
class Unread : public testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    fill_folder(folder_, 12);
    source_ = open_source(folder_.path());  // which looks at names only
    options_ = whole_images(small_options());
  }
  void spoil(std::int64_t index, int way) const {
    const std::string path = source_->name(index), whole = read_text(path);
    if (way == 0) write_file(path, whole.substr(0, whole.size() / 2));
    if (way == 1) write_file(path, "");
    if (way == 2) write_file(path, "a text file");
    if (way == 3) std::filesystem::remove(path);
  }
  // What there is of the images at `kept`, each loaded alone, in batches of any size.
  void expect_only(const Ids& kept, const std::vector<Record>& records) const {
    Ids index, label;
    std::vector<float> pixels;
    for (const Record& record : records) {
      EXPECT_FALSE(record.index.empty());
      EXPECT_EQ(record.crop.size(), record.index.size());
      EXPECT_EQ(record.flipped.size(), record.index.size());
      index.insert(index.end(), record.index.begin(), record.index.end());
      label.insert(label.end(), record.label.begin(), record.label.end());
      pixels.insert(pixels.end(), record.pixels.begin(), record.pixels.end());
    }
    EXPECT_EQ(index, kept);
    Ids labels;
    std::vector<float> alone;
    for (const std::int64_t i : kept) {
      labels.push_back(source_->label(i));
      const std::vector<float> one =
          values(load_image(source_->name(i), 8, 6, 3, default_normalisation(3)).pixels);
      alone.insert(alone.end(), one.begin(), one.end());
    }
    EXPECT_EQ(label, labels);
    EXPECT_EQ(pixels, alone);
  }

  const Folder folder_;
  std::unique_ptr<Source> source_;
  LoaderOptions options_;
};

TEST_F(Unread, LeavesOutAndHandsOutTheOthersUnchanged) {
  const std::vector<Ids> broken = {{5}, {0}, {11}, {4, 5, 6, 7}, {0, 1, 2, 3, 8, 9, 10, 11}};
  int way = 0;
  Ids spoiled;
  for (const Ids& set : broken) {
    for (const std::int64_t i : spoiled)  // whole again
      folder_.image(std::filesystem::relative(source_->name(i), folder_.path()).string(),
                    static_cast<int>(i), 12 + static_cast<int>(i), 20 - static_cast<int>(i));
    for (const std::int64_t i : set) spoil(i, way++ % 4);
    spoiled = set;
    Ids kept;
    for (std::int64_t i = 0; i < 12; ++i)
      if (std::count(set.begin(), set.end(), i) == 0) kept.push_back(i);
    for (const int workers : {0, 1, 2, 4})
      for (const std::int64_t batch_size : {1, 3, 4, 12, 50}) {
        SCOPED_TRACE(testing::Message() << workers << " workers, batches of " << batch_size);
        options_.num_workers = workers;
        options_.batch_size = batch_size;
        Loader loader(*source_, options_);
        expect_only(kept, run(loader, 0));
        expect_only(kept, run(loader, 1));
        EXPECT_EQ(loader.stats().unreadable, static_cast<std::int64_t>(set.size()));
        EXPECT_EQ(loader.stats().images, static_cast<std::int64_t>(kept.size()));
      }
  }
}

TEST_F(Unread, OfASubset) {
  options_.subset = {9, 2, 4};
  options_.batch_size = 2;
  spoil(2, 0);
  spoil(7, 0);
  Loader loader(*source_, options_);
  expect_only({9, 4}, run(loader, 0));
  EXPECT_EQ(loader.stats().unreadable, 1);
}

TEST_F(Unread, MayBeGoneInTheMiddleOfARun) {
  Loader loader(*source_, options_);
  expect_only({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, run(loader, 0));
  spoil(3, 3);
  expect_only({0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11}, run(loader, 1));
}

TEST_F(Unread, FailureNamesTheFirst) {
  options_.unreadable = Unreadable::fail;
  options_.batch_size = 12;
  spoil(3, 0);
  spoil(8, 3);
  for (const int workers : {0, 1, 4}) {
    options_.num_workers = workers;
    Loader loader(*source_, options_);
    const std::string why = error_of(ExitCode::data, [&] { run(loader, 0); });
    EXPECT_NE(why.find(source_->name(3)), std::string::npos) << why;
  }
}

TEST_F(Unread, IsNamedOnceHoweverManyLoadersMeetIt) {
  spoil(3, 0);
  testing::internal::CaptureStderr();
  const LogFile run_begins(folder_.path("train.log"));
  for (const bool training : {true, false, false}) {
    if (training) options_.unreadable = Unreadable::substitute;
    Loader loader(*source_, options_);
    run(loader, 0);
    options_.unreadable = Unreadable::leave_out;
  }
  const std::string said = testing::internal::GetCapturedStderr();
  const std::string words = "unreadable image, another takes its place: " + source_->name(3);
  EXPECT_EQ(said.find(words), said.find("unreadable image"));
  EXPECT_EQ(said.find("unreadable image"), said.rfind("unreadable image")) << said;
}

TEST_F(Unread, AllOfThemIsAnError) {
  for (const Unreadable use : {Unreadable::substitute, Unreadable::leave_out})
    for (const int workers : {0, 2})
      for (const std::int64_t batch_size : {1, 5, 50}) {
        for (int i = 0; i < 12; ++i)
          folder_.image(str(i < 6 ? "a/" : "b/", static_cast<char>('A' + i), ".png"), i, 12, 20);
        options_.num_workers = workers;
        options_.batch_size = batch_size;
        options_.unreadable = use;
        Loader used(*source_, options_);
        run(used, 0);
        for (int i = 0; i < 12; ++i) spoil(i, i % 4);
        std::string why = error_of(ExitCode::data, [&] { run(used, 1); });
        EXPECT_NE(why.find("none of the 12 images can be read any longer"), std::string::npos)
            << why;
        Loader fresh(*source_, options_);
        why = error_of(ExitCode::data, [&] { run(fresh, 0); });
        EXPECT_NE(why.find("none of the 12 images can be read;"), std::string::npos) << why;
      }
}

TEST(Loader, MemoryOfABatchIsUsedAgainOnlyWhenFree) {
  Folder folder;
  fill_folder(folder, 8);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.num_workers = 0;
  options.batch_size = 2;
  Loader loader(*source, options);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  const at::Tensor kept = batch.pixels;
  const auto before = values(kept);
  ASSERT_TRUE(loader.next(batch));
  EXPECT_NE(batch.pixels.data_ptr(), kept.data_ptr());
  EXPECT_EQ(values(kept), before);
  const void* free = batch.pixels.data_ptr();
  ASSERT_TRUE(loader.next(batch));
  EXPECT_EQ(batch.pixels.data_ptr(), free);
}

// Within 1e-6: a few roundings to fp32 of numbers up to 1.
void expect_near(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6) << i;
}

TEST(Loader, GreyAndColour) {
  Folder folder;
  folder.write("train-images-idx3-ubyte", idx({2, 1, 1}, {0, 255}));
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.shuffle = false;
  options.batch_size = 2;
  options.height = options.width = 1;
  options.channels = 1;
  options.normalisation = {{0.5f}, {0.5f}};
  Loader grey(*source, options);
  expect_near(run(grey, 0)[0].pixels, {-1, 1});
  options.channels = 3;
  options.normalisation = {{0, 0.5f, 0.5f}, {1, 0.5f, 1}};
  Loader colour(*source, options);
  expect_near(run(colour, 0)[0].pixels, {0, -1, -0.5f, 1, 1, 0.5f});
}

// Leaving an epoch in the middle, or the loader, neither hangs nor mixes epochs.
TEST(Loader, AbandonedEpochs) {
  Folder folder;
  fill_folder(folder, 12);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.batch_size = 2;
  options.num_workers = 3;
  Loader loader(*source, options);
  const auto expected = run(loader, 5);
  for (int i = 0; i < 20; ++i) {
    loader.start_epoch(i);
    Batch batch;
    for (int k = 0; k < i % 4; ++k) loader.next(batch);
  }
  EXPECT_EQ(run(loader, 5), expected);
  loader.start_epoch(0);
}

TEST(Loader, RefusesOptionsThatDoNotFit) {
  Folder folder;
  fill_folder(folder, 2);
  const auto source = open_source(folder.path());
  LoaderOptions options = small_options();
  options.channels = 4;
  EXPECT_NE(error_of(ExitCode::usage, [&] { Loader(*source, options); }).find("channels"),
            std::string::npos);
  for (const int workers : {-1, -1000}) {
    options = small_options();
    options.num_workers = workers;
    EXPECT_NE(error_of(ExitCode::usage, [&] { Loader(*source, options); }).find("num_workers"),
              std::string::npos);
  }
  for (const auto& [low, high] : {std::pair{0., 1.}, {-1., 1.}, {1., 0.5}, {0.1, 1e9}}) {
    options = small_options();
    options.jitter_min = low;
    options.jitter_max = high;
    EXPECT_NE(error_of(ExitCode::usage, [&] { Loader(*source, options); }).find("jitter_min"),
              std::string::npos);
  }
  options = small_options();
  options.channels = 1;
  options.normalisation = default_normalisation(3);
  EXPECT_NE(error_of(ExitCode::usage, [&] { Loader(*source, options); }).find("mean and std"),
            std::string::npos);
}

// Bit for bit, once the pixels are made 8-bit again.
TEST(LoadImage, CentreCropEqualsTorchvision) {
  const std::string folder = SGMAE_TEST_DATA "/image/";
  const auto golden = nlohmann::json::parse(read_text(folder + "golden.json"))["centre_crop"];
  EXPECT_EQ(golden.size(), 3u);
  for (const auto& entry : golden) {
    const int size = entry["size"];
    const Normalisation plain{{0, 0, 0}, {1, 1, 1}};
    const LoadedImage loaded = load_image(folder + entry["source"].get<std::string>(), size, size,
                                          3, plain, Fit::centre_crop);
    const Image expected = decode_image(read_file(folder + entry["file"].get<std::string>()), 3);
    EXPECT_EQ(denormalise(loaded.pixels.const_data_ptr<float>(), 3, {size, size}, plain).pixels,
              expected.pixels)
        << entry["file"];
  }
}

// Each image by its own size, whatever the others' are.
TEST(LoadImage, AnImageOfTheSizeItselfStaysAsItIs) {
  const std::string folder = SGMAE_TEST_DATA "/image/";
  const Normalisation plain{{0, 0, 0}, {1, 1, 1}};
  const std::string photo =
      folder + nlohmann::json::parse(read_text(folder + "golden.json"))["centre_crop"][0]["source"]
                   .get<std::string>();
  const ImageSize own = decode_image(read_file(photo), 3).size();
  const auto pixels = [&](int height, int width, Fit fit) {
    return load_image(photo, height, width, 3, plain, fit).pixels;
  };
  EXPECT_TRUE(pixels(own.height, own.width, Fit::automatic)
                  .equal(pixels(own.height, own.width, Fit::squash)));
  EXPECT_TRUE(pixels(32, 32, Fit::automatic).equal(pixels(32, 32, Fit::centre_crop)));
  EXPECT_FALSE(pixels(32, 32, Fit::automatic).equal(pixels(32, 32, Fit::squash)));
}

TEST(LoadImage, NamesTheFile) {
  Folder folder;
  folder.write("bad.jpg", "text");
  for (const char* name : {"bad.jpg", "missing.jpg"}) {
    const auto why = error_of(
        ExitCode::data, [&] { load_image(folder.path(name), 8, 8, 3, default_normalisation(3)); });
    EXPECT_NE(why.find(name), std::string::npos);
  }
}

// Images whose colour is a function of the label, in areas larger than what resizing mixes.
class Segmented : public testing::Test {
 protected:
  static constexpr int classes = 5;
  static int label_at(int image, int x, int y) {
    const int label = (x / 32 + 2 * (y / 32) + image) % (classes + 1);
    return label == classes ? unlabelled_pixel : label;
  }
  static int red_of_label(int label) { return label == unlabelled_pixel ? 250 : 20 + 40 * label; }
  // The left half of some images is mirrored in blue, so that a flip shows.
  void add(int image, int width, int height, const std::function<int(int, int)>& label) {
    Image photo{width, height, 3, {}};
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (const int value : {red_of_label(label(x, y)), 128, 255 * x / width})
          photo.pixels.push_back(static_cast<std::uint8_t>(value));
    const auto png = encode_png(view(photo));
    folder_.write(str("images/", image, ".png"), std::string(png.begin(), png.end()));
    write_labels(folder_, str("labels/", image, ".png"), width, height, label);
  }
  void SetUp() override {
    for (int i = 0; i < 6; ++i)
      add(i, 64 + 23 * i, 120 - 13 * i, [&](int x, int y) { return label_at(i, x, y); });
    options_.height = 48;
    options_.width = 64;
    options_.batch_size = 3;
    options_.fit = Fit::scale_crop;
    options_.jitter_min = 0.5;
    options_.jitter_max = 2;
    options_.seed = 3;
    // Pixels come out as 0 … 255.
    options_.normalisation = {{0, 0, 0}, {1.f / 255, 1.f / 255, 1.f / 255}};
  }
  void open() {
    data_ =
        open_segmented(folder_.path(), "train", SegmentedFormat::automatic, {.classes = classes});
    options_.labels = data_.get();
  }
  static std::vector<std::uint8_t> bytes(const at::Tensor& tensor) {
    const auto* data = tensor.const_data_ptr<std::uint8_t>();
    return {data, data + tensor.numel()};
  }

  const Folder folder_;
  std::unique_ptr<SegmentedImages> data_;
  LoaderOptions options_;
};

// Where a pixel's neighbours are in the crop and have its label, its colour is that label's,
// whatever scale, crop and flip; beyond the image pixels are 0 and of no class.
TEST_F(Segmented, PixelsAndLabelsAgree) {
  open();
  Loader loader(data_->images(), options_);
  std::int64_t inner = 0, wrong = 0, flips = 0, padded = 0, cut = 0;
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);) {
      ASSERT_EQ(batch.labels.sizes(), (at::IntArrayRef{3, 48, 64}));
      ASSERT_EQ(batch.placed.size(), 3u);
      for (std::int64_t i = 0; i < 3; ++i) {
        const auto labels = bytes(batch.labels[i]);
        const auto pixels = values(batch.pixels[i]);
        const ImageSize content = batch.placed[static_cast<std::size_t>(i)].content;
        const auto label = [&](int x, int y) {
          return labels[static_cast<std::size_t>(y * 64 + x)];
        };
        for (int y = 0; y < 48; ++y)
          for (int x = 0; x < 64; ++x) {
            const float red = pixels[static_cast<std::size_t>(y * 64 + x)];
            if (x >= content.width || y >= content.height) {
              EXPECT_EQ(red, 0);
              EXPECT_EQ(label(x, y), unlabelled_pixel);
              ++padded;
              continue;
            }
            bool mixed = x < 3 || y < 3 || x + 3 >= content.width || y + 3 >= content.height;
            for (int dy = -3; dy <= 3 && !mixed; ++dy)
              for (int dx = -3; dx <= 3; ++dx)
                mixed = mixed || label(x + dx, y + dy) != label(x, y);
            if (mixed) continue;
            ++inner;
            wrong += std::lround(red) != red_of_label(label(x, y));
          }
        const bool flip = batch.flipped[static_cast<std::size_t>(i)] != 0;
        const std::size_t blue = 2 * 48 * 64;
        const bool falls =
            pixels[blue] > pixels[blue + static_cast<std::size_t>(content.width) - 1];
        EXPECT_EQ(falls, flip);
        flips += flip;
        cut += content != batch.placed[static_cast<std::size_t>(i)].scaled;
      }
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(inner, 30'000);
  EXPECT_GT(padded, 1000);
  EXPECT_GT(flips, 15);
  EXPECT_LT(flips, 45);
  EXPECT_GT(cut, 30);
}

// The same draws and steps, one at a time. Bit for bit: it is the same arithmetic.
TEST_F(Segmented, ScaleCropByTheBook) {
  open();
  options_.photometric = true;
  options_.drop_last = false;
  Loader loader(data_->images(), options_);
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    for (Batch batch; loader.next(batch);)
      for (std::size_t i = 0; i < batch.index.size(); ++i) {
        const std::int64_t index = batch.index[i];
        const auto draws = [&](Purpose purpose) {
          return Rng(3, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index),
                     purpose);
        };
        Rng rng = draws(Purpose::augment);
        const Image image = decode_image(read_file(data_->images().name(index)), 3);
        LabelMap map;
        data_->read_labels(index, map);
        const ImageSize scaled = random_scale(rng, image.size(), {64, 48}, 0.5, 2);
        const bool flip = random_flip(rng);
        const Placement placed = random_crop(rng, scaled, {64, 48}, &map, 0.75);
        EXPECT_EQ(batch.placed[i], placed);
        EXPECT_EQ(batch.flipped[i], flip);
        Image part;
        Resizer resizer(Simd::automatic, ResizeFilter::bilinear);
        const CropBox window{placed.x, placed.y, placed.content.width, placed.content.height};
        resizer.resize(view(image), scaled, window, flip, part);
        Rng colours = draws(Purpose::photometric);
        apply(draw_photometric(colours), part);
        std::vector<float> want(3 * 48 * 64);
        normalise(part, options_.normalisation, {64, 48}, want.data());
        EXPECT_EQ(values(batch.pixels[static_cast<std::int64_t>(i)]), want);
        LabelMap seen;
        resize_labels(map, whole(map.size), scaled, window, flip, seen);
        const auto labels = bytes(batch.labels[static_cast<std::int64_t>(i)]);
        for (int y = 0; y < 48; ++y)
          for (int x = 0; x < 64; ++x)
            ASSERT_EQ(labels[static_cast<std::size_t>(y * 64 + x)],
                      x < window.width && y < window.height
                          ? seen.labels[static_cast<std::size_t>(y * window.width + x)]
                          : unlabelled_pixel);
      }
  }
}

TEST_F(Segmented, DoesNotDependOnWorkers) {
  open();
  options_.photometric = true;
  const auto run_labels = [&](int workers) {
    options_.num_workers = workers;
    Loader loader(data_->images(), options_);
    std::vector<std::uint8_t> all;
    std::vector<float> pixels;
    for (const std::int64_t epoch : {0, 1}) {
      loader.start_epoch(epoch);
      for (Batch batch; loader.next(batch);) {
        const auto labels = bytes(batch.labels);
        all.insert(all.end(), labels.begin(), labels.end());
        const auto more = values(batch.pixels);
        pixels.insert(pixels.end(), more.begin(), more.end());
      }
    }
    return std::pair(all, pixels);
  };
  const auto alone = run_labels(0);
  EXPECT_EQ(alone.first.size(), 2u * 6 * 48 * 64);
  EXPECT_EQ(run_labels(1), alone);
  EXPECT_EQ(run_labels(3), alone);
}

// Every other fit has its labels too: those of the nearest pixels of the same geometry.
TEST_F(Segmented, LabelsOfOtherFits) {
  open();
  for (const Fit fit : {Fit::squash, Fit::centre_crop, Fit::inside, Fit::augment, Fit::jitter}) {
    options_.fit = fit;
    Loader loader(data_->images(), options_);
    loader.start_epoch(0);
    std::int64_t inner = 0, wrong = 0;
    for (Batch batch; loader.next(batch);)
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        const auto labels = bytes(batch.labels[i]);
        const auto pixels = values(batch.pixels[i]);
        for (std::size_t y = 4; y < 44; ++y)
          for (std::size_t x = 4; x < 60; ++x) {
            bool mixed = pixels[y * 64 + x] == 0;  // beyond the image
            for (std::size_t dy = 0; dy <= 8; ++dy)
              for (std::size_t dx = 0; dx <= 8; ++dx)
                mixed = mixed || labels[(y + dy - 4) * 64 + x + dx - 4] != labels[y * 64 + x];
            if (mixed) continue;
            ++inner;
            wrong += std::lround(pixels[y * 64 + x]) != red_of_label(labels[y * 64 + x]);
          }
      }
    EXPECT_EQ(wrong, 0) << static_cast<int>(fit);
    EXPECT_GT(inner, 200) << static_cast<int>(fit);
  }
}

// An image all of whose pixels count nowhere is as good as any; its crop is the last one drawn.
TEST_F(Segmented, NothingIsLabelled) {
  add(0, 90, 80, [](int, int) { return unlabelled_pixel; });
  open();
  options_.subset = {0};
  options_.batch_size = 1;
  Loader loader(data_->images(), options_);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  for (const std::uint8_t label : bytes(batch.labels)) EXPECT_EQ(label, unlabelled_pixel);
}

// Labels that cannot be read make their image unreadable.
TEST_F(Segmented, UnreadableLabels) {
  open();
  write_labels(folder_, "labels/1.png", 87, 107, [](int, int) { return 77; });
  folder_.write("labels/4.png", "a text file");
  Loader training(data_->images(), options_);
  training.start_epoch(0);
  std::int64_t images = 0;
  for (Batch batch; training.next(batch);)
    for (const std::int64_t index : batch.index) {
      EXPECT_TRUE(index != 1 && index != 4);
      ++images;
    }
  EXPECT_EQ(images, 6);
  EXPECT_EQ(training.unreadable(), (std::vector<std::int64_t>{1, 4}));

  LoaderOptions options = whole_images(options_);
  options.batch_size = 6;
  Loader whole(data_->images(), options);
  whole.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(whole.next(batch));
  EXPECT_EQ(batch.index, (std::vector<std::int64_t>{0, 2, 3, 5}));
  ASSERT_EQ(batch.labels.sizes(), (at::IntArrayRef{4, 48, 64}));
  options.subset = {5};
  Loader last(data_->images(), options);
  last.start_epoch(0);
  Batch one;
  ASSERT_TRUE(last.next(one));
  EXPECT_EQ(bytes(batch.labels[3]), bytes(one.labels[0]));

  options.subset = {1};
  options.unreadable = Unreadable::fail;
  Loader strict(data_->images(), options);
  strict.start_epoch(0);
  const auto error = error_of(ExitCode::data, [&] { strict.next(one); });
  EXPECT_NE(error.find("images/1.png"), std::string::npos) << error;
  EXPECT_NE(error.find("labels/1.png has pixels of value 77"), std::string::npos) << error;
}

// ---- Values as stored ---------------------------------------------------------------------------

LoaderOptions stored_options(int channels) {
  LoaderOptions options = small_options();
  options.channels = channels;
  options.normalisation.stored.emplace();
  for (int c = 0; c < channels; ++c) {
    options.normalisation.mean.push_back(1000 * static_cast<float>(c));
    options.normalisation.std.push_back(100 + static_cast<float>(c));
  }
  return options;
}

// The same boxes and flips as of photos of the same size, and the bands' own functions.
TEST(Loader, StoredValuesStepByStep) {
  const ArrayFolder data(9, 5);
  const auto source = open_source(data.path());
  const LoaderOptions options = stored_options(5);
  Loader loader(*source, options);
  loader.start_epoch(3);
  std::int64_t flips = 0;
  for (Batch batch; loader.next(batch);)
    for (std::size_t i = 0; i < batch.index.size(); ++i) {
      OpenedImage opened;
      source->open(batch.index[i], opened);
      EXPECT_EQ(batch.source_size[i], (ImageSize{12, 10}));
      Bands bands, scaled;
      decode_bands(opened, batch.crop[i], 5, bands);
      BandResizer().resize(bands, {6, 8}, {0, 0, 6, 8}, batch.flipped[i] != 0, scaled);
      std::vector<float> expected(5 * 6 * 8);
      normalise(scaled, options.normalisation, expected.data());
      EXPECT_EQ(values(batch.pixels[static_cast<std::int64_t>(i)]), expected);
      flips += batch.flipped[i];
      Rng rng(options.seed, 3, static_cast<std::uint64_t>(batch.index[i]), Purpose::augment);
      EXPECT_EQ(batch.crop[i], random_resized_crop(rng, {12, 10}));
    }
  EXPECT_GT(flips, 0);
}

TEST(Loader, StoredValuesByAnyNumberOfWorkers) {
  const ArrayFolder data(11, 3);
  const auto source = open_source(data.path());
  LoaderOptions options = stored_options(3);
  options.num_workers = 0;
  Loader none(*source, options);
  options.num_workers = 3;
  Loader three(*source, options);
  EXPECT_EQ(run(none, 1), run(three, 1));
}

TEST(Loader, StoredValuesOfOtherChannelsAreUnreadable) {
  ArrayFolder data(6, 4);
  data.write("a/9.npy", array_file(0, 3));
  data.write("b/8.npy", "no array");
  const auto source = open_source(data.path());
  Loader loader(*source, whole_images(stored_options(4)));
  loader.start_epoch(0);
  std::int64_t images = 0;
  for (Batch batch; loader.next(batch);) images += batch.size();
  EXPECT_EQ(images, 6);
  EXPECT_EQ(loader.unreadable().size(), 2u);
}

TEST(Loader, StoredValuesThatDoNotFitAreRefused) {
  const ArrayFolder data(4, 5);
  const auto stored = open_source(data.path());
  Folder photos;
  fill_folder(photos, 4);
  const auto eight_bit = open_source(photos.path());
  const auto why = [](const Source& source, const LoaderOptions& options) {
    return error_of(ExitCode::usage, [&] { Loader loader(source, options); });
  };
  EXPECT_NE(why(*stored, small_options()).find("values as stored, of 5 channels"),
            std::string::npos);
  EXPECT_NE(why(*eight_bit, stored_options(3)).find("read here as 8-bit pixels"),
            std::string::npos);
  EXPECT_NE(why(*stored, stored_options(4)).find("of 4 channels, and these have 5"),
            std::string::npos);
  LoaderOptions options = stored_options(5);
  options.rand_augment = parse_rand_augment("rand-m9-mstd0.5-inc1");
  EXPECT_NE(why(*stored, options).find("--aa none"), std::string::npos);
  options = stored_options(5);
  options.two_views.emplace();
  EXPECT_NE(why(*stored, options).find("changes colours"), std::string::npos);
}

// The file alone gives what the loader gives.
TEST(LoadImage, StoredValues) {
  const ArrayFolder data(1, 5);
  const auto source = open_source(data.path());
  const LoaderOptions options = whole_images(stored_options(5));
  Loader loader(*source, options);
  loader.start_epoch(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  EXPECT_EQ(values(load_image(data.path("a/1000.npy"), 8, 6, 5, options.normalisation).pixels),
            values(batch.pixels));
  const std::string why = error_of(
      ExitCode::data, [&] { load_image(data.path("a/1000.npy"), 8, 6, 4, options.normalisation); });
  EXPECT_NE(why.find("1000.npy"), std::string::npos) << why;
  EXPECT_NE(why.find("5 channels, where 4"), std::string::npos) << why;
}

}  // namespace
}  // namespace sgmae
