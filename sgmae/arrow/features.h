// Internal to arrow/: tables of features, as TablePlugin (data/table_file.h) says.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sgmae/data/table_file.h"

namespace sgmae {

std::string write_features(const FeatureTable& table, std::span<const float> features,
                           const ByteSink& sink);
std::string read_features(const std::string& path, FeatureTable& table,
                          std::vector<float>& features);

}  // namespace sgmae
