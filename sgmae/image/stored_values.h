// How files are read whose values are kept as stored. A model carries it, so that whatever is shown
// to the model later is read like its training images.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

namespace sgmae {

// What the pages of a TIFF are.
enum class Pages {
  first,     // the first one is the image
  channels,  // all are, their channels one after another
  images     // an image each
};

// Where the channels of an array of three axes are. automatic: the axis that differs from two
// equal ones, else the shorter of the first and the last.
enum class ArrayAxes { automatic, hwc, chw };

struct StoredValues {
  Pages pages = Pages::first;
  ArrayAxes axes = ArrayAxes::automatic;
  std::optional<double> nodata = {};  // stands for "not measured"
  std::vector<int> picture = {};      // channels shown as red, green and blue, from 1; or empty

  bool operator==(const StoredValues&) const = default;
};

nlohmann::json to_json(const StoredValues& stored);
// Throws nlohmann::json::exception for what is malformed.
StoredValues stored_values_from_json(const nlohmann::json& json);

}  // namespace sgmae
