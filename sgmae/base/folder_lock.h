// One process at a time in a folder.
#pragma once

#include <filesystem>
#include <string>

namespace sgmae {

// Held while it lives. The system takes it from a process that ends, however it ends, so that a
// dead holder's lock is free; over NFS as far as the server passes on locks of byte ranges.
class FolderLock {
 public:
  // Locks the file `.lock` in `folder`, which is made and stays. `holder` says who we are, to those
  // who are refused. Throws Error(usage), naming the holder, when another process or another
  // FolderLock of this one has it. Where the file system knows no locks, that is warned of.
  FolderLock(const std::filesystem::path& folder, const std::string& holder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace sgmae
