// Internal to data/: the shards of a split as the card of a data set of the Hugging Face hub has
// them (card_file.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/shards.h"

namespace sgmae {

// The files below `folder` that the pattern of a card means, sorted: * and ? stand for letters of a
// name, [ab] for one of them, ** for any number of folders. Hidden files and folders, and those
// called like __x__, only where the pattern names them.
std::vector<std::filesystem::path> files_matching(const std::filesystem::path& folder,
                                                  const std::string& pattern);

// Whether `path` is called as a configuration of the card in the folder above.
bool is_card_config(const std::filesystem::path& path);

// The shards of a split as a card has them: the card of the folder `path`, of which the default
// configuration counts, or where `path` is one of a card's configurations, that. Of files those
// count that have one of the extensions `types`; nullopt where a card says nothing of such files.
// Throws Error(data) where none of several configurations is the default, where the card has no
// such split, and for files that are not there.
std::optional<Shards> shards_of_card(const std::string& path, const std::string& split,
                                     const std::vector<std::string>& types);

}  // namespace sgmae
