// What the measurements of sgmae analyze cost beside the forward passes they need: ViT-B/16 at 224
// with decoder, every measure, objects marked in every image.
//
//   bench_analyze [IMAGES [THREADS [bf16]]]     64 images, one thread, fp32 unless given
//
// The passes are: encoder and decoder on all patches, and once more with 75 % masked, with nothing
// tapped. Passes and measurements take turns on the same images, four at a time. Processor time, so
// that other work on the machine disturbs it little; wall-clock time beside it.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <string>

#include "sgmae/eval/survey.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/nn/ops.h"
#include "sgmae/report/analysis_figures.h"

namespace {

using namespace sgmae;

struct Timer {
  double processor = 0, wall = 0;  // seconds

  template <class Work>
  void time(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t clock = std::clock();
    work();
    processor += static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC;
    wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t images = argc > 1 ? std::stoll(argv[1]) : 64;
  at::set_num_threads(argc > 2 ? std::stoi(argv[2]) : 1);
  keep_freed_memory();
  const bool bf16 = argc > 3 && std::string(argv[3]) == "bf16";
  Mae model(named_config("mae_vit_base_patch16"), 1);
  if (bf16) model.set_precision(Precision::bf16);
  const std::int64_t n = model.config().n_patches();
  SurveyOptions options;
  options.center = GuideCenter::mean;
  for (const Measure& measure : measures()) options.measures.insert(measure.name);
  const Subject subject{.name = "ViT-B/16",
                        .encoder = &model.encoder(),
                        .mae = &model,
                        .normalisation = default_normalisation(3),
                        .epoch = 1,
                        .last_of_run = 0};
  Survey survey({subject}, options);
  const std::optional<MarkedObjects> object = MarkedObjects{{{0.2, 0.3, 0.7, 0.8}}, {}};

  Timer passes, measurements, figures;
  at::Tensor shown;
  for (std::int64_t begin = 0; begin < images; begin += 4) {
    const std::int64_t count = std::min<std::int64_t>(4, images - begin);
    // Blobs of some patches' size, as images have them: cutting pure noise takes the solver longer.
    const at::Tensor blobs =
        at::upsample_bilinear2d(at::randn({count, 3, 7, 7}), {224, 224}, false);
    const at::Tensor pixels = blobs + 0.2 * at::randn({count, 3, 224, 224});
    std::vector<std::int64_t> index(count);
    std::iota(index.begin(), index.end(), begin);
    const MaskPlan plan = random_plan(index, n, visible_count(n, 0.75), 0, 0);
    const std::vector<std::optional<MarkedObjects>> objects(count, object);
    passes.time([&] {
      model.forward(pixels, whole_image(count, n));
      model.forward(pixels, plan);
    });
    measurements.time([&] { survey.add(pixels, index, objects); });
    if (!shown.defined()) shown = pixels;
  }
  figures.time([&] { analysis_figures({subject}, shown, options, {}); });

  const auto per_image = [&](double seconds) {
    return 1000 * seconds / static_cast<double>(images);
  };
  std::printf("%lld images, %d thread(s), %s, ms per image: processor (wall-clock)\n",
              static_cast<long long>(images), at::get_num_threads(), bf16 ? "bf16" : "fp32");
  std::printf("forward passes alone       %7.1f (%7.1f)\n", per_image(passes.processor),
              per_image(passes.wall));
  std::printf("with all measurements      %7.1f (%7.1f)\n", per_image(measurements.processor),
              per_image(measurements.wall));
  std::printf("ratio                      %7.2f (%7.2f)   goal 1.30\n",
              measurements.processor / passes.processor, measurements.wall / passes.wall);
  std::printf("all figures, once          %7.0f ms (%.0f) for %lld images\n",
              1000 * figures.processor, 1000 * figures.wall, static_cast<long long>(shown.size(0)));
}
