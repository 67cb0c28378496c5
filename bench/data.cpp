// How fast images become batches: `bench_data PATH [WORKERS [SIZE [CHANNELS [EPOCHS [jitter]]]]]`
// loads and augments every image of PATH, with `jitter` as detection does, and prints one JSON
// object. data_peer.py runs it beside torchvision, channels_peer.py beside tifffile.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/data/loader.h"
#include "sgmae/data/normalisation_file.h"

namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}  // all threads

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    sgmae::check(argc >= 2, sgmae::ExitCode::usage,
                 "usage: bench_data PATH [WORKERS [SIZE [CHANNELS [EPOCHS [jitter]]]]]");
    const auto number = [&](int i, int otherwise) {
      return argc > i ? std::atoi(argv[i]) : otherwise;
    };
    const auto source = sgmae::open_source(argv[1]);
    sgmae::LoaderOptions options;
    options.num_workers = number(2, 0);
    options.height = options.width = number(3, 224);
    options.channels = number(4, source->native_channels());
    options.normalisation =
        sgmae::own_normalisation(*source, options.channels, options.num_workers);
    const bool jitter = argc > 6 && std::string(argv[6]) == "jitter";
    if (jitter) options.fit = sgmae::Fit::jitter;
    options.batch_size = jitter ? 4 : 64;
    options.drop_last = false;
    sgmae::Loader loader(*source, options);

    const double cpu = cpu_seconds(), wall = wall_seconds();
    std::int64_t images = 0;
    for (int epoch = 0; epoch < number(5, 1); ++epoch) {
      loader.start_epoch(epoch);
      for (sgmae::Batch batch; loader.next(batch);) images += batch.size();
    }
    const double cpu_used = cpu_seconds() - cpu, wall_used = wall_seconds() - wall;
    std::printf(
        "{\"images\": %lld, \"per_core_second\": %.1f, \"per_second\": %.1f, \"unreadable\": "
        "%lld}\n",
        static_cast<long long>(images), static_cast<double>(images) / cpu_used,
        static_cast<double>(images) / wall_used, static_cast<long long>(loader.stats().unreadable));
  } catch (const sgmae::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
