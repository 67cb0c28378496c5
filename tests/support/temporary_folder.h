// A folder that goes when the test ends.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"

namespace sgmae {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string path = std::filesystem::temp_directory_path() / "sgmae-XXXXXX";
    SGMAE_ASSERT(mkdtemp(path.data()));
    root_ = path;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(root_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::string path(const std::string& name = "") const {
    return name.empty() ? root_.string() : (root_ / name).string();
  }
  void write(const std::string& name, const std::string& contents) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    write_file(root_ / name, contents);
  }
  void touch(const std::string& name) const {  // an empty file, without a sync to disk
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace sgmae
