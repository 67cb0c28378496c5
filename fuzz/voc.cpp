// Pascal VOC's XML (data/voc_file.h).
// sources: sgmae/data/voc_file.cpp
#include "sgmae/data/voc_file.h"

#include <cmath>
#include <string>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const VocFile file = parse_voc({data, data + size}, "file");
    if (file.size.width < 0 || file.size.height < 0) std::abort();
    for (const VocObject& object : file.objects)
      for (const double x : {object.box.left, object.box.top, object.box.right, object.box.bottom})
        if (!(std::abs(x) <= 1e6 + 1) || object.line < 1) std::abort();
  });
}
