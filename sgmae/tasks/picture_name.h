// What files are called that a command writes of images.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace sgmae {

// The image's name without its ending, and a number where that is `taken` ("cat", "cat_2"); it then
// is.
std::string picture_name(const std::filesystem::path& image, std::set<std::string>& taken);

}  // namespace sgmae
