// One pass over the data set that makes the stored relevance maps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/batch.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/relevance_map.h"

namespace sgmae {

// Fills in the next batch of whole images, squashed to the model's input, not flipped; false at the
// end. Of several processes each gets a share, and what is made of all is the same in all of them.
using NextBatch = std::function<bool(Batch&)>;

// Accumulates where object sides lie.
class PositionBias {
 public:
  // object_side [B, N] uint8; degenerate images are left out.
  void add(const at::Tensor& object_side, const std::vector<std::uint8_t>& degenerate);

  std::int64_t images() const { return images_; }
  std::int64_t degenerate() const { return degenerate_; }  // left out
  double object_share() const;                             // mean of the object side
  // Variance over the N grid positions of the mean object side. 0: objects lie anywhere alike;
  // `object_share * (1 - object_share)`: every image is cut at the same place.
  double value() const;
  // What value() would be on average if every patch fell on a side by chance.
  double by_chance() const;
  // value() is above chance by more than kPositionBiasWarning.
  bool follows_position() const;

  // What all processes added, in every one of them.
  void sum_over_processes();

  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  std::vector<double> count_;  // [N]
  std::int64_t images_ = 0, degenerate_ = 0;
};

// Above this, value() - by_chance() says that guidance follows position rather than content.
inline constexpr double kPositionBiasWarning = 0.02;

// Says so and what may help; silent where the rule asks for a place, the centre, and where it asks
// for what is hard, wherever objects lie.
void warn_of_position(const PositionBias& bias, ObjectRule object);

struct RelevancePassStats {
  std::int64_t images = 0;        // looked at
  std::int64_t unreadable = 0;    // without a map, to be masked at random should they be read later
  std::int64_t degenerate = 0;    // without guidance, to be masked at random
  std::int64_t exact_solves = 0;  // left to the exact solver
  double position_bias = 0;       // PositionBias::value
  double bias_by_chance = 0;
  double object_share = 0;
  double seconds = 0;
  bool follows_position = false;  // position_bias above chance by kPositionBiasWarning
};

// Positions, ascending, of `count` images (all when fewer) drawn for estimating position means. An
// ImageFolder is sorted by class, so its first images would not do.
std::vector<std::int64_t> position_sample(std::int64_t images, std::int64_t count,
                                          std::uint64_t seed, std::int64_t epoch);

// Mean feature of every grid position, [N, D] fp32 (sums in fp64), over the batches of `next`.
// Throws Error(data) when there are none.
at::Tensor estimate_position_mean(const Mae& model, const GuideOptions& options,
                                  const NextBatch& next);

// Writes the maps of all images that `next` yields, each once, to `path` in process 0: rows
// [B, N] of `look(batch)`. Where some of info.images are not among them, that is said. Draws on the
// console how far it is. Returns the images looked at.
std::int64_t write_maps(const std::function<at::Tensor(const Batch&)>& look, const NextBatch& next,
                        const std::filesystem::path& path, const MapInfo& info,
                        const at::Tensor& position_mean = {});

// Maps of relevance. `position_mean` from estimate_position_mean for GuideCenter::position, else
// undefined. Warns when guidance follows position.
RelevancePassStats make_relevance_maps(const Mae& model, const GuideOptions& options,
                                       const at::Tensor& position_mean, const NextBatch& next,
                                       const std::filesystem::path& path, const MapInfo& info);

}  // namespace sgmae
