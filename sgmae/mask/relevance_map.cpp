#include "sgmae/mask/relevance_map.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "sgmae/io/checksum.h"
#include "sgmae/io/safetensors_header.h"

namespace sgmae {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "sgmae relevance maps 1";
constexpr const char* kCure =
    "; delete it (or use another --output_dir) to have the maps recomputed";

std::uint16_t to_half_bits(float value) {
  return c10::Half(value).x;
}

const std::uint16_t kNoGuidance = to_half_bits(std::numeric_limits<float>::quiet_NaN());

GuideCenter center_from(const std::string& text, const std::filesystem::path& path) {
  for (const GuideCenter center : {GuideCenter::none, GuideCenter::mean, GuideCenter::position})
    if (text == to_string(center)) return center;
  fail(ExitCode::checkpoint, path.string(), " is a damaged map file: unknown guide_center '", text,
       "'", kCure);
}

}  // namespace

std::string to_string(GuideCenter center) {
  switch (center) {
    case GuideCenter::none:
      return "none";
    case GuideCenter::mean:
      return "mean";
    case GuideCenter::position:
      return "position";
  }
  return {};
}

RelevanceMapWriter::RelevanceMapWriter(const std::filesystem::path& path, const MapInfo& info,
                                       const at::Tensor& position_mean)
    : file_(path), info_(info), row_(info.rows * info.columns) {
  SGMAE_ASSERT(info.images > 0 && info.rows > 0 && info.columns > 0);
  const std::size_t map_bytes = info.images * row_.size() * sizeof(std::uint16_t);
  json header;
  header["__metadata__"] = {{"format", kFormat},
                            {"model_hash", info.model_hash},
                            {"epoch", std::to_string(info.epoch)},
                            {"tap", info.tap},
                            {"data", info.data},
                            {checksum_key, checksum_unknown},
                            {"guide_center", to_string(info.center)},
                            {"guide_object", to_string(info.object)}};
  at::Tensor mean;
  std::size_t mean_bytes = 0;
  if (position_mean.defined()) {
    mean = position_mean.to(at::kCPU, at::kFloat).contiguous();
    mean_bytes = mean.numel() * sizeof(float);
    header["position_mean"] = {
        {"dtype", "F32"}, {"shape", mean.sizes().vec()}, {"data_offsets", {0, mean_bytes}}};
  }
  header["relevance"] = {{"dtype", "F16"},
                         {"shape", {info.images, info.rows, info.columns}},
                         {"data_offsets", {mean_bytes, mean_bytes + map_bytes}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  checksum_place_ = sizeof(std::uint64_t) + checksum_place(text).value();
  const std::uint64_t length = text.size();
  file_.write(&length, sizeof length);
  file_.write(text);
  if (mean_bytes > 0) file_.write(mean.data_ptr<float>(), mean_bytes);
  data_begin_ = sizeof length + text.size() + mean_bytes;

  // The whole size at once, so that a full disk shows now and not at the end of the pass.
  const std::vector<std::uint16_t> empty(std::min<std::size_t>(map_bytes / 2, 1 << 19),
                                         kNoGuidance);
  for (std::size_t left = map_bytes; left > 0;) {
    const std::size_t part = std::min(left, empty.size() * sizeof(std::uint16_t));
    file_.write(empty.data(), part);
    left -= part;
  }
}

void RelevanceMapWriter::put(std::int64_t index, std::span<const float> relevance) {
  SGMAE_ASSERT(index >= 0 && index < info_.images && relevance.size() == row_.size());
  std::transform(relevance.begin(), relevance.end(), row_.begin(), to_half_bits);
  const std::size_t bytes = row_.size() * sizeof(std::uint16_t);
  file_.write_at(data_begin_ + index * bytes, row_.data(), bytes);
}

void RelevanceMapWriter::commit() {
  const std::string checksum = checksum_digits(
      crc32c(MappedFile(file_.temporary(), ExitCode::usage).bytes()));  // its own place holds zeros
  file_.write_at(checksum_place_, checksum.data(), checksum.size());
  file_.commit();
}

RelevanceMaps::RelevanceMaps(const std::filesystem::path& path)
    : file_(path, ExitCode::checkpoint) {
  const SafetensorsHeader header = parse_safetensors_header(file_.bytes(), path.string());
  const auto need = [&](bool condition, const char* what) {
    check(condition, ExitCode::checkpoint, path.string(), " is not a complete map file (", what,
          ")", kCure);
  };
  const auto said = [&](const char* key) {
    const auto found = header.metadata.find(key);
    return found == header.metadata.end() ? "" : found->second;
  };
  need(said("format") == kFormat, "another format");
  need(check_checksum(file_.bytes()) != Checksum::wrong, "its bytes do not match its checksum");
  info_.model_hash = said("model_hash");
  const std::string epoch = said("epoch");
  need(std::from_chars(epoch.data(), epoch.data() + epoch.size(), info_.epoch).ec == std::errc(),
       "no epoch");
  info_.tap = said("tap");
  info_.data = said("data");
  info_.center = center_from(said("guide_center"), path);
  const std::string object = said("guide_object");
  if (!object.empty()) {  // files from before there was a choice do not say
    need(object_rule(object).has_value(), "an object rule of another version");
    info_.object = *object_rule(object);
  }
  for (const SafetensorsEntry& entry : header.entries) {
    const std::uint8_t* const data = header.data.data() + entry.begin;
    if (entry.name == "relevance") {
      need(entry.type == DType::f16 && entry.shape.size() == 3, "maps of another type");
      info_.images = entry.shape[0];
      info_.rows = entry.shape[1];
      info_.columns = entry.shape[2];
      data_ = data;
    } else if (entry.name == "position_mean") {
      need(entry.type == DType::f32 && entry.shape.size() == 2, "position means of another type");
      position_mean_ = at::empty(entry.shape, at::kFloat);
      std::memcpy(position_mean_.data_ptr<float>(), data, entry.end - entry.begin);
    }
  }
  need(info_.images > 0 && info_.rows > 0 && info_.columns > 0, "no maps");
}

std::vector<float> RelevanceMaps::map(std::int64_t index) const {
  SGMAE_ASSERT(index >= 0 && index < info_.images);
  const std::int64_t n = info_.rows * info_.columns;
  std::vector<float> values(n);
  const std::uint8_t* from = data_ + index * n * sizeof(std::uint16_t);
  for (float& value : values) {
    c10::Half half;
    std::memcpy(&half.x, from, sizeof half.x);
    from += sizeof half.x;
    value = half;
  }
  return values;
}

std::string maps_name(std::int64_t epoch) {
  return str("relevance-", epoch, ".safetensors");
}

std::map<std::int64_t, std::filesystem::path> list_maps(const std::filesystem::path& folder) {
  std::map<std::int64_t, std::filesystem::path> maps;
  std::error_code ignored;  // a folder that is not there has no maps
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().filename().string();
    long long epoch = 0;
    if (std::sscanf(file.c_str(), "relevance-%lld", &epoch) == 1 && file == maps_name(epoch))
      maps[epoch] = entry.path();
  }
  return maps;
}

void check_maps(const MapInfo& have, const MapInfo& want, const std::filesystem::path& path) {
  const auto same = [&](const auto& is, const auto& wanted, const char* what) {
    check(is == wanted, ExitCode::checkpoint, "the relevance maps in ", path.string(),
          " do not belong to this run: ", what, " is ", is, ", here ", wanted, kCure);
  };
  same(have.images, want.images, "the number of images");
  if (!have.data.empty() && !want.data.empty())
    same(have.data, want.data, "the digest of the images (their names, order and sizes)");
  same(have.rows, want.rows, "the number of patch rows");
  same(have.columns, want.columns, "the number of patch columns");
  if (!want.tap.empty()) same(have.tap, want.tap, "the guide layer");
  same(to_string(have.center), to_string(want.center), "guide_center");
  same(to_string(have.object), to_string(want.object), "guide_object");
  if (want.epoch >= 0) same(have.epoch, want.epoch, "the epoch of the model");
  if (!want.model_hash.empty()) same(have.model_hash, want.model_hash, "the hash of the model");
}

std::vector<float> sample_map(std::span<const float> map, std::int64_t rows, std::int64_t columns,
                              const CropBox& crop, const ImageSize& source, bool flipped,
                              MapSampling sampling) {
  SGMAE_ASSERT(static_cast<std::int64_t>(map.size()) == rows * columns);
  SGMAE_ASSERT(source.width > 0 && source.height > 0 && crop.width > 0 && crop.height > 0);
  // Where along one axis a patch centre of the crop falls on the map.
  struct Place {
    std::int64_t low, high;
    float weight;  // of high
  };
  const auto places = [sampling](std::int64_t count, double begin, double extent, double whole) {
    std::vector<Place> result(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const double n = static_cast<double>(count);
      const double u = ((static_cast<double>(i) + 0.5) / n * extent + begin) / whole * n - 0.5;
      const double clamped =
          std::clamp(sampling == MapSampling::nearest ? std::round(u) : u, 0.0, n - 1);
      const auto low = static_cast<std::int64_t>(clamped);
      result[i] = {low, std::min(low + 1, count - 1),
                   static_cast<float>(clamped - static_cast<double>(low))};
    }
    return result;
  };
  const std::vector<Place> y = places(rows, crop.y, crop.height, source.height);
  const std::vector<Place> x = places(columns, crop.x, crop.width, source.width);
  std::vector<float> result(map.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const upper = map.data() + y[r].low * columns;
    const float* const lower = map.data() + y[r].high * columns;
    for (std::int64_t c = 0; c < columns; ++c) {
      const Place& p = x[flipped ? columns - 1 - c : c];
      const float above = upper[p.low] + p.weight * (upper[p.high] - upper[p.low]);
      const float below = lower[p.low] + p.weight * (lower[p.high] - lower[p.low]);
      result[r * columns + c] = above + y[r].weight * (below - above);
    }
  }
  return result;
}

at::Tensor sample_maps(const MapOfImage& map, std::int64_t rows, std::int64_t columns,
                       const Batch& batch, MapSampling sampling) {
  const std::int64_t n = rows * columns;
  at::Tensor values = at::empty({batch.size(), n}, at::kFloat);
  float* const to = values.data_ptr<float>();
  at::parallel_for(0, batch.size(), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::vector<float> seen =
          sample_map(map(batch.index[i]), rows, columns, batch.crop[i], batch.source_size[i],
                     batch.flipped[i] != 0, sampling);
      std::copy(seen.begin(), seen.end(), to + i * n);
    }
  });
  return values;
}

at::Tensor sample_maps(const RelevanceMaps& maps, const Batch& batch, MapSampling sampling) {
  return sample_maps([&](std::int64_t index) { return maps.map(index); }, maps.info().rows,
                     maps.info().columns, batch, sampling);
}

}  // namespace sgmae
