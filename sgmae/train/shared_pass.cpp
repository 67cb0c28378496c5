#include "sgmae/train/shared_pass.h"

#include <optional>
#include <unordered_map>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"
#include "sgmae/base/signals.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

// Of what each process met.
SharedPass of_all(SharedPass pass, const Source& source, const LoaderOptions& options) {
  for (std::int64_t* own : {&pass.images, &pass.unreadable})
    *own = static_cast<std::int64_t>(processes().sum(static_cast<double>(*own)));
  check(pass.images > 0, ExitCode::data, "none of the images can be read; the first is ",
        source.name(options.subset.empty() ? 0 : options.subset.front()));
  return pass;
}

// Of one process, all of which go on alike.
std::int64_t images_of_pass(const Source& source, const LoaderOptions& options) {
  const std::int64_t all =
      options.subset.empty() ? source.size() : static_cast<std::int64_t>(options.subset.size());
  return (all + processes().size() - 1) / processes().size();
}

}  // namespace

LoaderOptions own_share(LoaderOptions options) {
  options.share = {processes().rank(), processes().size()};
  return options;
}

SharedPass shared_pass(const std::string& what, const Source& source, const LoaderOptions& options,
                       const std::function<void(const Batch&)>& use) {
  SharedPass pass;
  Progress progress(what, images_of_pass(source, options));
  processes().together([&] {
    Loader loader(source, own_share(options));
    loader.start_epoch(0);
    for (Batch batch; loader.next(batch);) {
      if (stop_requested()) throw StopRequested();
      pass.images += batch.size();
      use(batch);
      progress.show(pass.images);
    }
    pass.unreadable = loader.stats().unreadable;
  });
  return of_all(pass, source, options);
}

SharedPass shared_rounds(const std::string& what, const Source& source,
                         const LoaderOptions& options,
                         const std::function<void(const Batch&)>& round) {
  SGMAE_ASSERT(!options.shuffle);
  std::unordered_map<std::int64_t, std::int64_t> places;  // in the subset, by index
  for (const std::int64_t index : options.subset)
    places.emplace(index, static_cast<std::int64_t>(places.size()));
  const auto round_of = [&](const Batch& batch) {
    const std::int64_t first = batch.index.front();
    const std::int64_t place = places.empty() ? first : places.at(first);
    return place / options.batch_size / processes().size();
  };
  SharedPass pass;
  std::optional<Loader> loader;
  processes().together([&] {
    loader.emplace(source, own_share(options));
    loader->start_epoch(0);
  });
  const std::int64_t of = processes().size(), rounds = (loader->batches_per_epoch() + of - 1) / of;
  Progress progress(what, images_of_pass(source, options));
  Batch ahead;  // the next one, which may be of a later round
  bool taken = true;
  for (std::int64_t r = 0; r < rounds; ++r) {
    processes().together([&] {
      if (taken) taken = !loader->next(ahead);
    });
    const bool due = !taken && round_of(ahead) == r;
    round(due ? ahead : Batch());
    progress.show((r + 1) * options.batch_size);
    if (!due) continue;
    pass.images += ahead.size();
    taken = true;
  }
  pass.unreadable = loader->stats().unreadable;
  return of_all(pass, source, options);
}

}  // namespace sgmae
