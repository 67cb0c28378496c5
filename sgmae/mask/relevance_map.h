// Stored relevance: one fp16 map per training image, made in one pass over the data set and read
// back, warped with each crop and flip, in every later epoch.
//
// The file is a safetensors file, so any tool reads it: `relevance` F16 [images, rows, columns]
// (NaN: no guidance for this image), `position_mean` F32 [N, D] where features were centred by
// position, and metadata that says what the maps were made from, with a checksum (io/checksum.h)
// that is looked at when the file is opened. It is memory-mapped for reading and written as the
// pass goes; neither ever holds all maps in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/data/batch.h"
#include "sgmae/mask/options.h"

namespace sgmae {

// What maps were made from. Maps that were made from anything else are refused.
struct MapInfo {
  std::int64_t images = 0, rows = 0, columns = 0;
  std::string model_hash = {};  // of the weights that made them
  std::int64_t epoch = 0;       // epochs finished by those weights
  std::string tap = {};         // e.g. encoder.10.attention_out
  std::string data = {};        // data_hash of the images; empty in files of older versions
  GuideCenter center = GuideCenter::none;
  ObjectRule object = ObjectRule::eigenvector;
};

class RelevanceMapWriter {
 public:
  // Reserves the whole file beside `path`. Throws Error(usage) when the folder or disk does not
  // allow it. `position_mean` may be undefined.
  RelevanceMapWriter(const std::filesystem::path& path, const MapInfo& info,
                     const at::Tensor& position_mean);
  // Stores relevance [rows * columns] of image `index`, in any order. Images never put stay NaN.
  void put(std::int64_t index, std::span<const float> relevance);
  void commit();  // syncs and renames into place; without it nothing remains

 private:
  AtomicFile file_;
  MapInfo info_;
  std::size_t data_begin_ = 0, checksum_place_ = 0;
  std::vector<std::uint16_t> row_;
};

class RelevanceMaps {
 public:
  // Throws Error(checkpoint) for a file that is not a complete map file.
  explicit RelevanceMaps(const std::filesystem::path& path);

  const MapInfo& info() const { return info_; }
  const at::Tensor& position_mean() const { return position_mean_; }  // [N, D] fp32 or undefined
  // Map of image `index`, [rows * columns]; all NaN where there is no guidance.
  std::vector<float> map(std::int64_t index) const;

 private:
  MappedFile file_;
  MapInfo info_;
  at::Tensor position_mean_;
  const std::uint8_t* data_ = nullptr;
};

// Map files of a run: their name, and those in a folder by the epoch whose weights made them.
std::string maps_name(std::int64_t epoch);
std::map<std::int64_t, std::filesystem::path> list_maps(const std::filesystem::path& folder);

// Throws Error(checkpoint), naming the difference and the cure, unless `have` (the file's) fits
// what is wanted. Empty strings and a negative epoch in `want` match anything, as does an empty
// `data` in `have`.
void check_maps(const MapInfo& have, const MapInfo& want, const std::filesystem::path& path);

// Between patch centres of the map: the value there, or, of labels, that of the nearest one.
enum class MapSampling { bilinear, nearest };

// The map [rows * columns] of a whole image (squashed to the model's input) seen through a crop:
// its value at each patch centre of the crop, u = ((c + 1/2) / columns * crop.width + crop.x) /
// source.width * columns - 1/2, rows alike, clamped at the border; columns mirrored when `flipped`.
std::vector<float> sample_map(std::span<const float> map, std::int64_t rows, std::int64_t columns,
                              const CropBox& crop, const ImageSize& source, bool flipped,
                              MapSampling sampling = MapSampling::bilinear);

// The maps of a batch's images, each through its crop and flip: [B, rows * columns] fp32. `map`
// gives that of an image by its position in the data set, to several threads.
using MapOfImage = std::function<std::vector<float>(std::int64_t index)>;
at::Tensor sample_maps(const MapOfImage& map, std::int64_t rows, std::int64_t columns,
                       const Batch& batch, MapSampling sampling = MapSampling::bilinear);
at::Tensor sample_maps(const RelevanceMaps& maps, const Batch& batch,
                       MapSampling sampling = MapSampling::bilinear);

std::string to_string(GuideCenter center);

}  // namespace sgmae
