// Internal to data/: what files a tar archive holds (POSIX ustar and pax, GNU long names), without
// reading them. Names are names only: nothing is ever unpacked, so "../x" leads nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace sgmae {

struct TarEntry {
  enum class Kind { file, hard_link, symbolic_link, other };
  std::string name;
  std::uint64_t offset = 0, size = 0;  // of a file's contents, in what `read` reads
  Kind kind = Kind::file;
  std::string target;  // the name that a link leads to
};

// Fills `out` from `offset` on.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::uint8_t> out)>;

// Calls `found` for each entry but folders of the archive that occupies [begin, end), in order.
// Memory is bounded, and time by the archive's length. Throws Error(data), without the archive's
// name, for what is no tar archive, is damaged or truncated.
void read_tar(const ReadAt& read, std::uint64_t begin, std::uint64_t end,
              const std::function<void(const TarEntry&)>& found);

}  // namespace sgmae
