// A look at every image of a data set: can all be read, what do they look like, are any twice
// there.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

struct DataStats {
  std::int64_t images = 0;  // in the data set, readable or not
  std::uint64_t bytes = 0;  // of the image files, or of raw pixels

  struct Unreadable {
    std::string name, reason;
  };
  std::vector<Unreadable> unreadable;

  // Of the readable ones:
  struct Range {
    int smallest = 0, median = 0, largest = 0;
  };
  Range width, height;
  std::map<std::string, std::int64_t> formats;  // jpeg, png, webp, raw
  std::map<int, std::int64_t> channels;         // as stored
  // Over all pixels, values from 0 to 1, in red, green, blue; grey counts as all three. Of values
  // as stored, as they are, in each channel, without those that are no data.
  std::vector<double> mean, std;
  // Of values as stored alone: how many count, and their range.
  std::vector<std::int64_t> counted;
  std::vector<float> lowest, highest;

  std::vector<std::string> class_names;
  std::vector<std::int64_t> per_class;  // images, by label
  std::int64_t unlabelled = 0;

  // Images whose pixels are the same, by position in the data set, each group in order.
  std::vector<std::vector<std::int64_t>> duplicates;
  std::int64_t conflicting = 0;  // groups whose images have different labels
};

// Opens and decodes every image, on `threads` threads.
DataStats inspect_data(const Source& source, int threads);

nlohmann::ordered_json to_json(const std::vector<LeftOut>& left_out);

// Also what the source leaves out. Names at most 100 unreadable images and 100 groups of
// duplicates; the counts are of all.
nlohmann::ordered_json to_json(const DataStats& stats, const Source& source);

}  // namespace sgmae
