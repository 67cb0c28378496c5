// A pass over images that the processes of a run share, so that each image is met exactly once.
#pragma once

#include <functional>
#include <string>

#include "sgmae/data/loader.h"

namespace sgmae {

struct SharedPass {
  std::int64_t images = 0, unreadable = 0;  // over all processes
};

// `options` with the batches that are this process's.
LoaderOptions own_share(LoaderOptions options);

// Reads `source` as `options` say; `use` gets the batches that are this process's. `what` names the
// work where it is said how far it is (base/progress.h). Back when all processes have done theirs.
// Throws Error(data) where no image can be read; StopRequested and what `use` throws, in every
// process (ProcessGroup::together).
SharedPass shared_pass(const std::string& what, const Source& source, const LoaderOptions& options,
                       const std::function<void(const Batch&)>& use);

// The same in rounds, for what is put together in the order of the images, as one process meets
// them: in round r, batch r * processes + rank is this process's, or an empty one where there is
// none or none of its images can be read. `round` is collective. `options` do not shuffle.
SharedPass shared_rounds(const std::string& what, const Source& source,
                         const LoaderOptions& options,
                         const std::function<void(const Batch&)>& round);

}  // namespace sgmae
