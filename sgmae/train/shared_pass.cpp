#include "sgmae/train/shared_pass.h"

#include "sgmae/base/error.h"
#include "sgmae/base/signals.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

LoaderOptions own_share(LoaderOptions options) {
  options.share = {processes().rank(), processes().size()};
  return options;
}

SharedPass shared_pass(const Source& source, const LoaderOptions& options,
                       const std::function<void(const Batch&)>& use) {
  SharedPass pass;
  processes().together([&] {
    Loader loader(source, own_share(options));
    loader.start_epoch(0);
    for (Batch batch; loader.next(batch);) {
      if (stop_requested()) throw StopRequested();
      pass.images += batch.size();
      use(batch);
    }
    pass.unreadable = loader.stats().unreadable;
  });
  pass.images = static_cast<std::int64_t>(processes().sum(static_cast<double>(pass.images)));
  pass.unreadable =
      static_cast<std::int64_t>(processes().sum(static_cast<double>(pass.unreadable)));
  check(pass.images > 0, ExitCode::data, "none of the images can be read; the first is ",
        source.name(options.subset.empty() ? 0 : options.subset.front()));
  return pass;
}

}  // namespace sgmae
