// Parts of what Snappy compressed (data/snappy.h).
// sources: sgmae/data/snappy.cpp
#include <algorithm>
#include <vector>

#include "fuzz/fuzz.h"
#include "sgmae/data/snappy.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  const std::span<const std::uint8_t> text(data, size);
  return try_to(ExitCode::data, [&] {
    // The size is part of the text, in its first bytes.
    std::uint64_t unpacked = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(size, 3); ++i) {
      unpacked |= std::uint64_t{data[i] & 127u} << (7 * i);
      if (data[i] < 128) break;
    }
    const std::vector<SnappyPiece> pieces = snappy_pieces(text, unpacked);
    std::vector<std::uint8_t> out(1 << 12);
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
      // Each piece can be unpacked alone: that must not throw.
      out.resize(static_cast<std::size_t>(pieces[i + 1].unpacked - pieces[i].unpacked));
      unpack_snappy(text.subspan(static_cast<std::size_t>(pieces[i].stored),
                                 static_cast<std::size_t>(pieces[i + 1].stored - pieces[i].stored)),
                    out);
      use(out);
    }
    out.resize(1 << 12);
    unpack_snappy(text, out);
    use(out);
  });
}
