// A source whose images stay in memory once they are decoded. Pixels are those of the source, bit
// for bit: crops are cut out of whole images.
#pragma once

#include <cstdint>
#include <memory>

#include "sgmae/data/options.h"
#include "sgmae/data/source.h"

namespace sgmae {

// --cache_decoded and --cache_mb, for commands that train on images for several epochs.
void declare_cache(Options& options, DataOptions& data);

// As the options say, for a training of `epochs`; `source` itself where nothing is kept: the
// options say so, images lie in memory undecoded anyway, or, with `automatic`, they would not all
// fit or are read only once. How large decoded images are is guessed from a few headers, and said
// where they are kept.
std::unique_ptr<Source> keep_decoded(std::unique_ptr<Source> source, const DataOptions& options,
                                     std::int64_t epochs);

// Keeps the first images that are opened, as many as fit in `most_bytes`; the others are as the
// source has them.
std::unique_ptr<Source> keep_decoded(std::unique_ptr<Source> source, std::int64_t most_bytes);

// How many bytes of images a source will keep, as far as that is known; 0 of any that is not one of
// these.
std::int64_t kept_bytes(const Source& source);

// Bytes of all images of the source decoded, by the headers of up to 64 of them, evenly chosen; 0
// where they need no decoding.
std::int64_t decoded_bytes(const Source& source);

}  // namespace sgmae
