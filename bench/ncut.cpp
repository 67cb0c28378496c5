// The cut of similarity graphs on one core: fast solver against fp64 and fp32 eigendecomposition,
// and how often their partitions agree; then what one informed mask costs.
//
//   bench_ncut [DATA [CHECKPOINT]]
//
// DATA (default: Debian's Fashion-MNIST) is any data set that `sgmae pretrain` takes. Features are
// overlapping windows of its images under a fixed random projection, at four grid sizes, and with a
// CHECKPOINT also the model's own guide features, uncentred and centred.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/data/loader.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/relevance_map.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/lanczos.h"
#include "sgmae/ncut/ncut.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

class Stopwatch {
 public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Features [B, N, D] of pixels [B, C, 4 G + 8, 4 G + 8]: 12 x 12 windows every 4 pixels.
at::Tensor window_features(const at::Tensor& pixels) {
  const at::Tensor windows = at::im2col(pixels, {12, 12}, {1, 1}, {0, 0}, {4, 4}).transpose(1, 2);
  const std::int64_t width = windows.size(2), features = 64;
  Rng rng(1, 0, 0, Purpose::initialise);
  std::vector<float> weights(width * features);
  for (float& w : weights)
    w = static_cast<float>(rng.normal() / std::sqrt(static_cast<double>(width)));
  const at::Tensor projection = at::tensor(weights).view({width, features});
  return at::matmul(windows, projection).tanh();
}

struct Totals {
  double fast = 0, exact64 = 0, exact32 = 0;  // ms
  std::int64_t images = 0, timed = 0, fallbacks = 0, degenerate = 0, patches = 0, differing = 0;
  double steps = 0;

  // Adds a batch of graphs; the two eigendecompositions are timed on its first `exact_images`.
  void add(const at::Tensor& similarity, std::int64_t exact_images) {
    const std::int64_t batch = similarity.size(0), n = similarity.size(1);
    LanczosWorkspace workspace;
    std::vector<float> y(n);
    const float* graphs = similarity.data_ptr<float>();
    const Stopwatch fast_watch;
    for (std::int64_t i = 0; i < batch; ++i)
      steps += second_eigenvector(graphs + i * n * n, n, {}, workspace, y.data()).steps;
    fast += fast_watch.milliseconds();
    const at::Tensor some = similarity.slice(0, 0, exact_images);
    const Stopwatch exact_watch;
    const Bipartition exact = bipartition(some, {}, NcutSolver::exact);
    exact64 += exact_watch.milliseconds();
    const Stopwatch single_watch;
    at::linalg_eigh(some);
    exact32 += single_watch.milliseconds();
    const Bipartition quick = bipartition(similarity);
    images += batch;
    timed += some.size(0);
    fallbacks += quick.exact_solves;
    degenerate += quick.degenerate_count();
    patches += some.size(0) * n;
    differing += (quick.object_side.slice(0, 0, exact_images) != exact.object_side)
                     .sum()
                     .item<std::int64_t>();
  }

  void print(const std::string& name, std::int64_t n) const {
    std::printf("%-26s %4lld %7lld  %8.4f %6.1f  %8.3f %8.3f  %7.1fx  %6.2f%%  %9.5f%%  %lld\n",
                name.c_str(), static_cast<long long>(n), static_cast<long long>(images),
                fast / images, steps / images, exact64 / timed, exact32 / timed,
                exact64 / timed / (fast / images), 100.0 * fallbacks / images,
                100.0 - 100.0 * differing / patches, static_cast<long long>(degenerate));
    std::fflush(stdout);
  }
};

template <class Features>
void bench(const std::string& name, const Source& source, int height, int width, int channels,
           const Normalisation& normalisation, std::int64_t images, std::int64_t exact_images,
           const Features& features_of) {
  LoaderOptions options;
  options.batch_size = std::min<std::int64_t>(50, images);
  options.height = height;
  options.width = width;
  options.channels = channels;
  options.normalisation = normalisation;
  options.fit = Fit::squash;
  Loader loader(source, options);
  loader.start_epoch(0);
  Totals totals;
  std::int64_t n = 0;
  for (Batch batch; totals.images < images && loader.next(batch);) {
    const at::Tensor graphs = similarity(features_of(batch.pixels)).contiguous();
    n = graphs.size(1);
    totals.add(graphs, std::max<std::int64_t>(exact_images * options.batch_size / images, 1));
  }
  check(totals.images > 0, ExitCode::data, "too few images for the bench");
  totals.print(name, n);
}

void bench_masks(std::int64_t rows) {
  const std::int64_t n = rows * rows;
  std::vector<float> map(n);
  Rng rng(1, 0, 0, Purpose::probe);
  for (float& value : map) value = rng.uniform_float();
  std::vector<std::int64_t> order(n);
  constexpr int kRepeats = 2000;
  const Stopwatch random_watch;
  for (int i = 0; i < kRepeats; ++i) random_order(Rng(0, 0, i, Purpose::mask), order);
  const double random = random_watch.milliseconds() / kRepeats;
  const Stopwatch informed_watch;
  for (int i = 0; i < kRepeats; ++i) {
    const std::vector<float> seen =
        sample_map(map, rows, rows, {i % 50, 20, 150, 100}, {300, 200}, i % 2 == 1);
    informed_order(seen, n / 4, n / 20, HintStrategy::random, GuideTarget::object,
                   Rng(0, 0, i, Purpose::hint), order);
  }
  std::printf("masks of %4lld patches: random %.4f ms, from a stored map %.4f ms an image\n",
              static_cast<long long>(n), random, informed_watch.milliseconds() / kRepeats);
}

void run(int argc, char** argv) {
  at::set_num_threads(1);
  const std::string data = argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist";
  const auto source = open_source(data);
  const int channels = source->native_channels();
  std::printf(
      "one core; milliseconds an image\n%-26s %4s %7s  %8s %6s  %8s %8s  %8s  %7s  %10s  %s\n",
      "features", "n", "images", "fast", "steps", "eigh64", "eigh32", "speed-up", "fallen",
      "agreement", "degenerate");
  struct Size {
    int rows;
    std::int64_t images, exact_images;
  };
  for (const Size size : {Size{8, 1000, 1000}, {14, 2000, 2000}, {16, 500, 500}, {28, 100, 20}})
    bench("image windows", *source, 4 * size.rows + 8, 4 * size.rows + 8, channels, {}, size.images,
          size.exact_images, window_features);
  if (argc > 2) {
    const LoadedMae loaded = load_mae(argv[2]);
    const MaeConfig& config = loaded.model.config();
    for (const GuideFeatures kind :
         {GuideFeatures::attention_out, GuideFeatures::block_out, GuideFeatures::key})
      for (const GuideCenter center : {GuideCenter::none, GuideCenter::mean}) {
        const GuideOptions options{.features = kind, .center = center};
        bench(guide_tap(config, options).substr(8) + " " + to_string(center), *source,
              static_cast<int>(config.height), static_cast<int>(config.width),
              static_cast<int>(config.channels), {loaded.info.mean, loaded.info.std}, 2000, 2000,
              [&](const at::Tensor& pixels) {
                return center_features(guide_features(loaded.model, pixels, options), center);
              });
      }
  }
  for (const std::int64_t rows : {8, 14, 28}) bench_masks(rows);
}

}  // namespace
}  // namespace sgmae

int main(int argc, char** argv) {
  try {
    sgmae::run(argc, argv);
  } catch (const sgmae::Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}
