// Oracles: the transform done step by step with the functions of image/; torchvision (golden
// numbers) for the centre crop; one worker count for another.
#include "sgmae/data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "folder.h"
#include "sgmae/base/rng.h"
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
    EXPECT_EQ(loader.stats().images, 10);
    runs.push_back(std::move(both));
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
}

TEST(Loader, NothingReadableIsAnError) {
  Folder folder;
  for (int i = 0; i < 6; ++i) folder.write(str(i, ".png"), "nonsense");
  const auto source = open_source(folder.path());
  for (const int workers : {0, 2}) {
    LoaderOptions options = small_options();
    options.num_workers = workers;
    Loader loader(*source, options);
    const auto why = error_of(ExitCode::data, [&] { run(loader, 0); });
    EXPECT_NE(why.find("none of the 6 images can be read"), std::string::npos) << why;
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

TEST(LoadImage, NamesTheFile) {
  Folder folder;
  folder.write("bad.jpg", "text");
  for (const char* name : {"bad.jpg", "missing.jpg"}) {
    const auto why = error_of(
        ExitCode::data, [&] { load_image(folder.path(name), 8, 8, 3, default_normalisation(3)); });
    EXPECT_NE(why.find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace sgmae
