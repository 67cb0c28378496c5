// COCO's JSON: the truth (data/coco_file.h) and its outlines.
// sources: sgmae/data/coco_file.cpp sgmae/data/coco_fields.cpp
#include "sgmae/data/coco_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  static const int file = ::memfd_create("fuzz", 0);  // the reader takes paths
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) < 0) std::abort();
  return try_to(ExitCode::data, [&] {
    const CocoFile coco(path);
    for (std::size_t i = 0; i < coco.images().size(); ++i)
      for (const CocoAnnotation& object : coco.objects_of(static_cast<std::int64_t>(i))) {
        if (static_cast<std::size_t>(object.image) != i) std::abort();
        if (coco.is_panoptic()) {
          try_to(ExitCode::data, [&] { coco.segments_of(object); });
          continue;
        }
        const Shape shape = coco.shape(object);
        const Runs runs = runs_of(shape, {61, 43});
        const CropBox box = box_around(runs);
        if (area_of(runs) > static_cast<std::int64_t>(box.width) * box.height) std::abort();
      }
  });
}
