#include "sgmae/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace sgmae {
namespace {

std::string reason() {
  return std::strerror(errno);
}

constexpr std::string_view unfinished = ".part";  // then the writer's process number

[[noreturn]] void fail_to_write(const std::filesystem::path& path, const char* consequence = "") {
  const int error = errno;
  fail(code_of_failed_write(error), "cannot write ", path.string(), ": ", std::strerror(error),
       consequence);
}

constexpr const char* old_file_stays = "; a file of that name from before is untouched";

int open_to_read(const std::filesystem::path& path, ExitCode code) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(descriptor >= 0, code, "cannot read ", path.string(), ": ", reason());
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    fail(code, "cannot read ", path.string(), ": it is a folder; expected a file");
  }
  return descriptor;
}

template <class Bytes>
Bytes read_all(const std::filesystem::path& path, ExitCode code, std::uint64_t most) {
  const int descriptor = open_to_read(path, code);
  Bytes bytes;
  struct stat status {};
  ::fstat(descriptor, &status);
  if (static_cast<std::uint64_t>(status.st_size) > most) {
    ::close(descriptor);
    fail(code, "cannot read ", path.string(), ": it has ", status.st_size,
         " bytes, more than the limit for this kind of file (", most, ")");
  }
  bytes.resize(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const std::string why = reason();
      ::close(descriptor);
      fail(code, "cannot read ", path.string(), ": ", why);
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  ::close(descriptor);
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, ExitCode code,
                                    std::uint64_t most) {
  return read_all<std::vector<std::uint8_t>>(path, code, most);
}

std::string read_text(const std::filesystem::path& path, ExitCode code) {
  return read_all<std::string>(path, code, largest_whole_file);
}

ExitCode code_of_failed_write(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG ? ExitCode::disk_full
                                                              : ExitCode::usage;
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(str(path_.string(), unfinished, ::getpid())) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_to_write(path_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor_, next, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_write(path_, old_file_stays);
    next += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

void AtomicFile::write_at(std::size_t offset, const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::pwrite(descriptor_, next, bytes, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_write(path_, old_file_stays);
    next += count;
    offset += static_cast<std::size_t>(count);
    bytes -= static_cast<std::size_t>(count);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0)
    fail_to_write(path_, old_file_stays);
  ::close(std::exchange(descriptor_, -1));
}

void write_file(const std::filesystem::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

void remove_unfinished_files(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const std::size_t at = name.rfind(unfinished);
    if (at == std::string::npos || at + unfinished.size() == name.size()) continue;
    const bool numbered =
        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at + unfinished.size()), name.end(),
                    [](unsigned char c) { return std::isdigit(c); });
    if (numbered) std::filesystem::remove(entry.path(), ignored);
  }
}

void append_file(const std::filesystem::path& path, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) fail_to_write(path);
  const off_t end = ::lseek(descriptor, 0, SEEK_END);
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(count));
    else if (errno != EINTR)
      error = errno;
  }
  // A device has no length to go back to; nothing more can be done about a failure here.
  const bool part_stays = error != 0 && ::ftruncate(descriptor, end) != 0;
  ::close(descriptor);
  errno = error;
  if (error != 0) fail_to_write(path, part_stays ? ", and a part of it stays" : "");
}

RandomAccessFile::RandomAccessFile(const std::filesystem::path& path, ExitCode code)
    : path_(path), code_(code), descriptor_(open_to_read(path, code)) {
  struct stat status {};
  ::fstat(descriptor_, &status);
  size_ = static_cast<std::uint64_t>(status.st_size);
}

RandomAccessFile::~RandomAccessFile() {
  ::close(descriptor_);
}

void RandomAccessFile::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  check(offset <= size_ && out.size() <= size_ - offset, code_, path_.string(),
        " is truncated: it has ", size_, " bytes, and ", out.size(), " are to be read at ", offset);
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    check(count >= 0, code_, "cannot read ", path_.string(), ": ", reason());
    check(count > 0, code_, path_.string(), " shrank while it was being read");
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

MappedFile::MappedFile(const std::filesystem::path& path, ExitCode code) {
  const int descriptor = open_to_read(path, code);
  struct stat status {};
  ::fstat(descriptor, &status);
  size_ = static_cast<std::size_t>(status.st_size);
  void* memory =
      size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  check(memory != MAP_FAILED, code, "cannot map ", path.string(), ": ", reason());
  data_ = static_cast<const std::uint8_t*>(memory);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace sgmae
