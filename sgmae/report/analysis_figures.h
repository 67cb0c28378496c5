// The picture-like figures of an analysis, for a few images and models.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/eval/survey.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct FigureOptions {
  std::int64_t clusters = 5;  // parts of an image, at most
  std::int64_t images = 4;    // rows
  std::int64_t models = 4;    // side by side, at most; of more, spread evenly from first to last
  std::vector<std::string> names = {};  // of the images, over their rows; empty: none
};

struct Figure {
  std::string file;  // name, e.g. clusters.png
  std::string title, paper, caption;
  Image image;
};

// One figure for each measure of `options.measures` that has one, for images [B, C, H, W]
// normalised as the first subject wants them. Features, layer and centring are those of `options`.
std::vector<Figure> analysis_figures(const std::vector<Subject>& subjects, const at::Tensor& images,
                                     const SurveyOptions& options, const FigureOptions& figures);

// At most `count` of 0 ... n-1, evenly spread, first and last among them.
std::vector<std::size_t> spread_evenly(std::size_t n, std::size_t count);

}  // namespace sgmae
