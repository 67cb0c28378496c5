// Internal to data/: what the values of label PNGs are called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace sgmae {

using LabelNames = std::map<std::int64_t, std::string>;  // by value

// A text with a name a line, for the values from 0 on, or with "7: name" a line. Empty where it is
// something else.
LabelNames parse_label_names(const std::string& text);

// The ids and names of the categories of a JSON of COCO's manner, panoptic ones too. Empty where
// the file is no such.
LabelNames read_category_names(const std::filesystem::path& json);

// What lies in a data set's folder of the one kind (labels.txt, classes.txt, class_names.txt) or
// the other (panoptic_….json, also in annotations/).
LabelNames find_label_names(const std::filesystem::path& folder);

}  // namespace sgmae
