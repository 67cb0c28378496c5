#pragma once

#include <map>
#include <string>

namespace sgmae {

// recipes/*.toml by name, built into the program (cmake/recipes.cmake).
const std::map<std::string, std::string>& builtin_recipes();

}  // namespace sgmae
