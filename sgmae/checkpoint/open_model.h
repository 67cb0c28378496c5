// Any checkpoint as a model that runs.
//
//   OpenedModel opened = open_model("mae_pretrain_vit_base.pth");
//   at::Tensor tokens = opened.encoder().encode(pixels);   // [B, 1+N, D]
#pragma once

#include <filesystem>
#include <variant>
#include <vector>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/checkpoint/uses.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/position_embedding.h"
#include "sgmae/nn/vit.h"

namespace sgmae {

struct OpenedModel {
  std::variant<Mae, Vit> model;  // Mae where the file has a whole decoder
  ModelInfo info;
  Family family = Family::sgmae;
  std::filesystem::path path;  // the file or folder that was read

  const Encoder& encoder() const;
  const Mae* mae() const { return std::get_if<Mae>(&model); }  // nullptr for a Vit
  const Vit* vit() const { return std::get_if<Vit>(&model); }
  const std::vector<Parameter>& parameters() const;
  void set_precision(Precision precision);
  void move_to(at::Device device);  // Mae::move_to
};

// Opens what read_model_file reads; with options.height and width, for images of that size.
// Throws Error(checkpoint) for a missing tensor, one of another shape, one with no place in the
// model, or one with values that are not finite; Error(usage) for a size that the patches do not
// divide.
OpenedModel open_model(const std::filesystem::path& path, const OpenOptions& options = {});

// check_use of uses.h.
void check_use(Use use, const OpenedModel& opened);

// Throws Error(checkpoint), naming the tensor, unless all of its values are finite.
void check_finite(const std::filesystem::path& file, const std::string& name,
                  const at::Tensor& tensor);

// The autoencoder of a file, or Error(checkpoint) where it holds an encoder only.
Mae make_mae(const ModelFile& file);
// The encoder of a file, with its head where there is one.
Vit make_vit(const ModelFile& file);

// How the family's own program brings position embeddings to another grid. For DINOv2 transformers
// leaves the offset out, and smooths with registers as DINOv2 does.
PositionResize position_resize(const ModelFile& file);

// A parameter of a ViT whose size depends on the grid of patches, brought to another grid: position
// embeddings in the way named, relative positions of blocks without windows as transformers does.
// Others, and tensors that do not fit `from`, as they are.
at::Tensor fit_to_grid(const std::string& name, const at::Tensor& value, const VitConfig& from,
                       GridSize to, PositionResize how);

// Brings a file's positions to another image size, in that way.
void resize_input(ModelFile& file, std::int64_t height, std::int64_t width);

// Writes the file's tensors over the parameters of the same names and shapes. Decoder tensors and
// the head are left where the model has none; else both must have the same names.
void copy_weights(const ModelFile& file, std::vector<Parameter>& parameters);

}  // namespace sgmae
