// What a detector found, drawn on its images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/eval/detection_scores.h"

namespace sgmae {

// `photo` with those of `found` that have at least shown_score, named and scored; masks where there
// are any.
Image picture_of(const ImageView& photo, const std::vector<DetectedObject>& found,
                 const std::vector<std::string>& class_names);

// The test's images with the lowest quality() to folder/worst_01.png …, those with the highest that
// have something to find to best_01.png …, at most `count` each, what is marked on the left and
// what was found on the right, under the image's name and verdict. Looks once more, by way of
// `loader`, that of the test. Images that cannot be read are left out.
void write_pictures(const std::filesystem::path& folder, const MaskRcnn& model,
                    const AnnotatedImages& data, const DetectionTest& test, LoaderOptions loader,
                    std::size_t count);

}  // namespace sgmae
