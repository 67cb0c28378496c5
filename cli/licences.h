#pragma once

#include <string>
#include <vector>

namespace sgmae {

struct Part {
  std::string name;
  std::string source, package;  // "deb" or "pypi", and the name there
  std::string version;          // that was built with
  std::string licence;          // SPDX
  std::string how;              // the program has it
};

// What others made and the program holds (cmake/parts.txt).
const std::vector<Part>& parts();

}  // namespace sgmae
