#include "sgmae/tasks/picture_name.h"

#include "sgmae/base/error.h"

namespace sgmae {

std::string picture_name(const std::filesystem::path& image, std::set<std::string>& taken) {
  const std::string stem = image.stem().string();
  std::string name = stem;
  for (int number = 2; !taken.insert(name).second; ++number) name = str(stem, "_", number);
  return name;
}

}  // namespace sgmae
