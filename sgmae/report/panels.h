// Pictures made of panels in rows and columns, and what is drawn into a panel: images, maps over
// their patches, matrices, clusters with boundaries, points.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/image/image.h"

namespace sgmae {

// Colours that stay apart for most colour-blind readers (Okabe & Ito 2008), repeated beyond eight.
Colour cluster_colour(std::int64_t cluster);

class Panels {
 public:
  // Panels of `width` x `height` pixels; a title over each column and room for one over each row.
  Panels(ImageSize panel, const std::vector<std::string>& columns, std::int64_t rows);

  void title_row(std::int64_t row, const std::string& title);
  CropBox place(std::int64_t row, std::size_t column) const;
  Image& canvas() { return canvas_; }
  Image take() { return std::move(canvas_); }

 private:
  ImageSize panel_;
  Image canvas_;
};

// The picture, as large as fits the panel by whole numbers, in its upper left.
void draw_picture(Image& canvas, const CropBox& panel, const Image& picture);

// Values [N], 0 ... 1, of patches in rows of `columns`, as heat; `strength` below 1 lets what is
// there show through.
void draw_patch_map(Image& canvas, const CropBox& panel, const at::Tensor& values,
                    std::int64_t columns, double strength);

// A matrix [R, C] of 0 ... 1 as heat, stretched over the panel.
void draw_matrix(Image& canvas, const CropBox& panel, const at::Tensor& matrix);

// Clusters [N] of patches: a tint each, and a line along every border between two of them that
// follows the patches' edges, `width` pixels inside each cluster's own side.
void draw_clusters(Image& canvas, const CropBox& panel, const std::vector<std::int64_t>& label,
                   std::int64_t columns, int width);

// Points [N, 2], scaled to fill the panel with one scale for both axes, coloured by label.
void draw_points(Image& canvas, const CropBox& panel, const at::Tensor& points,
                 const std::vector<std::int64_t>& label);

}  // namespace sgmae
