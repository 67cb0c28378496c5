// Internal to data/: what the card of a data set of the Hugging Face hub, the YAML header of its
// README.md, says of its files: which configurations there are, and which files are which split.
#pragma once

#include <string>
#include <vector>

namespace sgmae {

struct CardSplit {
  std::string name;
  std::vector<std::string> patterns;  // of paths below the configuration's folder
};
struct CardConfig {
  std::string name;
  bool is_default = false;
  std::string folder;             // `data_dir`, below that of the card; "" for that itself
  std::vector<CardSplit> splits;  // empty where files are told by their names
};

// The `configs` of a README.md, those of data sets without such a header none. Throws Error(data),
// which does not name the file, for a header that says them otherwise than `datasets` reads them.
std::vector<CardConfig> parse_card(const std::string& readme);

}  // namespace sgmae
