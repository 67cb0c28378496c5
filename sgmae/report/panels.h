// Pictures made of panels in rows and columns, and what is drawn into a panel: images, maps over
// their patches, matrices, clusters with boundaries, points.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/image/image.h"
#include "sgmae/image/normalise.h"

namespace sgmae {

inline constexpr Colour masked_colour{150, 150, 150}, object_colour{235, 80, 40};

// Colours that stay apart for most colour-blind readers (Okabe & Ito 2008), repeated beyond eight.
Colour cluster_colour(std::int64_t cluster);

// What a mark in the panels of a column means, said on a line below the column's heading.
struct Key {
  enum Mark { none, filled, outlined, heat };  // heat: the bar of colours from 0 to 1
  Mark mark = none;
  Colour colour = {};  // of filled and outlined
  std::string text = {};
};

struct Column {
  std::string heading;
  std::vector<Key> keys = {};
};

class Panels {
 public:
  // Panels of `panel` pixels under a title, if there is one, and a heading with keys over each
  // column, which is as wide as these need, too; `row_titles`: with room for a title over each row.
  Panels(ImageSize panel, const std::vector<Column>& columns, std::int64_t rows,
         const std::string& title, bool row_titles);

  void title_row(std::int64_t row, const std::string& title);
  CropBox place(std::int64_t row, std::size_t column) const;
  Image& canvas() { return canvas_; }
  Image take() { return std::move(canvas_); }

 private:
  int key_width(const Key& key) const;
  void write_key(const Key& key, int x, int y);

  ImageSize panel_;
  int letters_;            // pixels an em
  std::vector<int> left_;  // of each column
  int top_ = 0, row_ = 0;  // of the first row; from one row to the next
  Image canvas_;
};

// The panel for images of a size: enlarged by the whole number that brings the longer side to at
// least 160 pixels.
ImageSize enlarged_panel(ImageSize image);

// Image i of normalised pixels [B, C, H, W]. Of values as stored what picture_of() shows, stretched
// as the same image of `like`.
Image image_of(const at::Tensor& pixels, std::int64_t i, const Normalisation& normalisation,
               const at::Tensor& like);

// Patch p of a grid stretched over the panel.
CropBox patch_box(const CropBox& panel, std::int64_t p, std::int64_t rows, std::int64_t columns);

// The picture, as large as fits the panel by whole numbers, in its upper left, with a thin line
// around it.
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
