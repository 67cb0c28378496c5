#include "sgmae/base/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

namespace sgmae {

void* open_plugin(const std::string& name, const char* symbol, std::string& why) {
  std::error_code ignored;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::string file = "libsgmae_" + name + ".so";
  std::filesystem::path path = folder / file;
  if (!std::filesystem::exists(path, ignored)) path = folder / "../lib/sgmae" / file;
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const found = library ? dlsym(library, symbol) : nullptr;
  if (!found) why = dlerror();
  return found;
}

}  // namespace sgmae
