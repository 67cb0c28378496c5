// Mean and deviation of a data set's channels: measured, and kept in a file of JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sgmae/data/source.h"
#include "sgmae/image/normalise.h"

namespace sgmae {

// Sums over the channels of images with values as stored. Adding in the same order gives the same
// bits.
struct ChannelSums {
  std::vector<double> sum, square_sum;
  std::vector<std::int64_t> count;  // of values that are not nodata
  std::vector<float> lowest, highest;

  void add(const Bands& bands, const StoredValues& stored);
  void add(const ChannelSums& other);
  double mean(std::size_t channel) const;
  double deviation(std::size_t channel) const;
};

// Of a channel that is the same everywhere, or where nothing was measured: deviation 1.
Normalisation normalisation_of(const ChannelSums& sums, const StoredValues& stored);

// Of images with values as stored, at most so many, spread evenly, decoded by `threads` threads;
// the result does not depend on these. Throws Error(data) where none can be read.
struct MeasuredNormalisation {
  Normalisation normalisation;
  std::int64_t images = 0;
};
MeasuredNormalisation measure_normalisation(const Source& source, int threads,
                                            std::int64_t most_images);

// What training begins with where nobody says: the usual for 8-bit pixels, else as measured on some
// images, which is said.
Normalisation own_normalisation(const Source& source, int channels, int threads);

// {"values": "stored" or "8bit", "channels", "mean", "std"}, and of values as stored
// "stored_values": how they were read. Of 8-bit pixels values count from 0 to 1.
nlohmann::ordered_json to_json(const Normalisation& normalisation);
// Other entries of the file do not count. Throws Error(data), naming it, for anything malformed.
Normalisation read_normalisation(const std::filesystem::path& path);

}  // namespace sgmae
