// Semantic segmentation without training: each patch of an image gets the classes of the patches of
// training images that are most like it.
#pragma once

#include "sgmae/data/loader.h"
#include "sgmae/eval/knn.h"
#include "sgmae/eval/segment_photo.h"
#include "sgmae/nn/encoder.h"

namespace sgmae {

struct PatchNeighbours {
  KnnOptions votes;
  std::int64_t patches = 100000;  // of training images, about as many of each
};

// Encodes one crop of every training image (`loader`: Fit::scale_crop with labels, not shuffled)
// and keeps some of its patches, each with the class that most of its pixels have; those of which
// fewer than half are labelled are left out. Processes share the work, and all have all patches.
// The classifier's logits are the logarithms of shares of votes. `encoder` must outlive it. Throws
// Error(data) where there are fewer patches than neighbours, and what shared_pass() throws.
PixelClassifier classify_by_neighbours(const Encoder& encoder, const Source& train,
                                       std::int64_t classes, const LoaderOptions& loader,
                                       const PatchNeighbours& options);

// labels [H, W] of whole patches, row by row: the class of most pixels of each patch, of several
// the lowest; -1 where fewer than half of its pixels are labelled.
std::vector<std::int64_t> patch_classes(const std::uint8_t* labels, std::int64_t height,
                                        std::int64_t width, std::int64_t patch);

}  // namespace sgmae
