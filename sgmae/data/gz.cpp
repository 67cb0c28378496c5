#include "sgmae/data/gz.h"

#include <zlib.h>

#include <algorithm>

#include "sgmae/base/error.h"

namespace sgmae {

GzFile::GzFile(const std::filesystem::path& path) : file_(gzopen(path.c_str(), "rb")) {
  check(file_ != nullptr, ExitCode::data, "cannot read ", path.string());
  gzbuffer(file_, 1 << 17);
}

GzFile::~GzFile() {
  gzclose(file_);
}

std::size_t GzFile::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t wanted = std::min<std::size_t>(out.size() - done, 1 << 30);
    const int count = gzread(file_, out.data() + done, static_cast<unsigned>(wanted));
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

}  // namespace sgmae
