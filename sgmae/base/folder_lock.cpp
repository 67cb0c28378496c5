#include "sgmae/base/folder_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"

namespace sgmae {

namespace fs = std::filesystem;

FolderLock::FolderLock(const fs::path& folder, const std::string& holder) {
  const fs::path path = folder / ".lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check(descriptor_ >= 0, code_of_failed_write(errno), "cannot write ", path.string(), ": ",
        std::strerror(errno));
  // Of the open file, not of the process: closing another descriptor of it does not lose the lock.
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor_, F_OFD_SETLK, &whole) != 0) {
    const int error = errno;
    if (error == EAGAIN || error == EACCES) {
      ::close(descriptor_);
      const std::string other = read_text(path);
      fail(ExitCode::usage, folder.string(), " is in use by ",
           other.empty() ? "another process" : other,
           "; wait until it ends, stop it, or choose another folder");
    }
    warn("cannot lock ", folder.string(), ": ", std::strerror(error),
         "; make sure that no other process uses it");
    return;
  }
  // Who holds it is told as far as it can be written: a full disk does not stop a run here.
  if (::ftruncate(descriptor_, 0) != 0 || ::write(descriptor_, holder.data(), holder.size()) < 0)
    return;
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

}  // namespace sgmae
